"""
What quota listens to, and in whose name.

Called by wiring. Facts enter here and go straight to a use case.
"""

from collections.abc import Sequence

from contracts.envelope import Envelope, unseal
from contracts.topics import BOOKING_EVENTS, BOOKING_SLOTS, BOOKING_WATERMARKS
from kernel.kafka.consumer import Reading
from services.quota.use_cases.clearing import Clearing
from services.quota.use_cases.following import Following
from services.quota.use_cases.telling import Relay
from services.quota.use_cases.wishing import Wishing

BOOKINGS_BYTES = 64 * 1024
"""At an opening nearly all of them say `held`, which quota knows: it need not be woken for each."""


def plans(following: Following) -> Reading[Envelope]:
    """
    Slots as booking plans them.
    """
    return Reading(group="quota.slots", topics=(BOOKING_SLOTS.name,), decode=unseal, handle=following.plans)


def bookings(following: Following, wishing: Wishing) -> Reading[Envelope]:
    """
    What becomes of holds, and the places booking wants.
    """

    async def follow(envelopes: Sequence[Envelope]) -> None:
        # First what ends: it makes room for who is wished for.
        await following.bookings(envelopes)
        await wishing.wanted(envelopes)

    return Reading(
        group="quota.bookings",
        topics=(BOOKING_EVENTS.name,),
        decode=unseal,
        handle=follow,
        gather_bytes=BOOKINGS_BYTES,
    )


def watermarks(relay: Relay, clearing: Clearing) -> Reading[Envelope]:
    """
    How far booking has recorded, for every relay: it may take any partition over at any time.
    """

    async def note(envelopes: Sequence[Envelope]) -> None:
        await clearing.note_recorded(envelopes)
        await relay.note_recorded(envelopes)

    return Reading(group="quota.relay", topics=(BOOKING_WATERMARKS.name,), decode=unseal, handle=note, alone=True)
