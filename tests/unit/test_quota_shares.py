"""
Relays share the partitions without asking each other.
"""

from hypothesis import given
from hypothesis import strategies as st

from services.quota.domain.shares import share_of, surplus, wanted

RELAYS = st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=1, max_size=20)


@given(relays=RELAYS, partitions=st.integers(1, 1024))
def test_the_shares_of_all_relays_are_all_partitions(relays: set[str], partitions: int) -> None:
    """
    None is left over, none is wanted twice, and nobody has more than one above another.
    """
    shares = [share_of(relay, relays, partitions) for relay in relays]

    assert partitions == sum(shares)
    assert max(shares) - min(shares) <= 1


def test_a_relay_that_is_not_listed_yet_counts_itself() -> None:
    """
    Its own entry may have run out between two looks.
    """
    assert (11, 11, 10) == (share_of("a", "abc", 32), share_of("b", "abc", 32), share_of("c", "ab", 32))


@given(held=st.sets(st.integers(0, 31)), share=st.integers(0, 32))
def test_what_is_given_up_leaves_the_share(held: set[int], share: int) -> None:
    """
    No more than is too much, and nothing that is not held.
    """
    given_up = surplus(sorted(held), share)

    assert min(len(held), share) == len(held - set(given_up))
    assert set(given_up) <= held


@given(relays=RELAYS, free=st.sets(st.integers(0, 31)), missing=st.integers(-5, 40))
def test_only_what_is_free_and_missing_is_asked_for(relays: set[str], free: set[int], missing: int) -> None:
    """
    A relay with more than its share asks for nothing.
    """
    asked = wanted(min(relays), relays, free, missing=missing, partitions=32)

    assert min(len(free), max(0, missing)) == len(asked) == len(set(asked))
    assert set(asked) <= free


@given(relays=RELAYS, partitions=st.integers(1, 100))
def test_relays_that_start_together_ask_for_different_partitions(relays: set[str], partitions: int) -> None:
    """
    Or all but one would go away with nothing and have to come again.
    """
    asked: list[int] = []
    for relay in relays:
        share = share_of(relay, relays, partitions)
        asked += wanted(relay, relays, range(partitions), missing=share, partitions=partitions)

    assert sorted(asked) == list(range(partitions))
