"""
The topics, each with its one writer, its partition count and its retention.

Called by the broker set-up (`ops`), by relays and by consumers. Never talks to
a broker itself.
"""

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """
    A Kafka topic as it must be created.
    """

    name: str
    writer: str
    """The one room allowed to publish."""
    partitions: int
    key: str
    """What the message key is, and so what is kept in order."""
    compacted: bool = False
    """Keep the newest message of each key for ever, instead of a time's worth of all."""
    retention_ms: int = 7 * 24 * 3600 * 1000


QUOTA_PARTITIONS_DEFAULT: Final = 32
"""Fixed at installation: a slot's partition follows from its office for ever."""

BOOKING_SLOTS: Final = Topic(name="booking.slots", writer="booking", partitions=8, key="slot_id", compacted=True)
QUOTA_EVENTS: Final = Topic(
    name="quota.events", writer="quota", partitions=QUOTA_PARTITIONS_DEFAULT, key="explicit partition"
)
BOOKING_EVENTS: Final = Topic(name="booking.events", writer="booking", partitions=8, key="booking_id")
BOOKING_WATERMARKS: Final = Topic(
    name="booking.watermarks", writer="booking", partitions=1, key="partition", compacted=True
)
PAYMENT_EVENTS: Final = Topic(name="payment.events", writer="payment", partitions=8, key="booking_id")
IDENTITY_EVENTS: Final = Topic(name="identity.events", writer="identity", partitions=4, key="account_id")

LIVE: Final = (BOOKING_SLOTS, QUOTA_EVENTS, BOOKING_EVENTS, BOOKING_WATERMARKS, PAYMENT_EVENTS, IDENTITY_EVENTS)


def dead(topic: Topic) -> Topic:
    """
    Where messages of `topic` go that can never be handled, for an operator to look at.
    """
    return Topic(name=f"{topic.name}.dead", writer="kernel", partitions=1, key="as source")


TOPICS: Final = (*LIVE, *(dead(topic) for topic in LIVE))
