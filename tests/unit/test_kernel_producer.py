"""
Where a message of a key goes never changes: order within a key rests on it.
"""

import pytest

from kernel.kafka.producer import partition_of


@pytest.mark.parametrize(
    ("key", "partitions", "partition"),
    [("123456789", 2**32, 0xCBF43926), ("rsv_00", 8, 4), ("", 8, 0), ("any", 1, 0)],
)
def test_a_key_has_its_partition_for_ever(key: str, partitions: int, partition: int) -> None:
    """
    The first line is CRC-32's published check value, the same as librdkafka computes.
    """
    assert partition == partition_of(key, partitions)


def test_keys_are_spread_evenly() -> None:
    """
    No partition gets more than a tenth above its share.
    """
    numbers = [partition_of(f"rsv_{number:032x}", 8) for number in range(8000)]

    assert all(900 < numbers.count(partition) < 1100 for partition in range(8))
