"""
Booking wants places, for a move or out of an office's own: Valkey decides, and the stream tells booking.

Called by the consumer of booking's events with batches. Idempotent by the wish's id; a batch
that comes again takes nothing and says nothing new. Never tells anybody by itself: what
was decided is in the stream.
"""

from collections.abc import Sequence

from contracts.envelope import Envelope
from contracts.events import PlacesWanted
from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.wishes import Answer, Became
from services.quota.stores.wishes import Wishes

log = get_logger(__name__)


class Wishing:
    """
    Wishes, decided.
    """

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes

    async def wanted(self, envelopes: Sequence[Envelope]) -> None:
        """
        Take places or refuse them. Raises `Retryable` when it is not known of some, which all come again.
        """
        asked = {
            envelope.event.booking_id: envelope.event
            for envelope in envelopes
            if isinstance(envelope.event, PlacesWanted)
        }
        if not asked:
            return
        surprises = []
        for wish, settled in zip(asked.values(), await self._wishes.decide(list(asked.values())), strict=True):
            if isinstance(settled, Answer):
                _note(wish, settled)
            else:
                surprises.append(settled)
                log.warning("wish_undecided", booking_id=wish.booking_id, error=str(settled))
        # What is not known comes before what is: it is asked again with everything else.
        for surprise in sorted(surprises, key=lambda one: not isinstance(one, Retryable)):
            raise surprise


def _note(wish: PlacesWanted, answer: Answer) -> None:
    metrics.wishes.labels(wish.why, answer.became.value).inc()
    if answer.became is Became.REFUSED:
        log.info("wish_refused", booking_id=wish.booking_id, wanted_for=wish.why, reason=answer.why)
    elif answer.became is Became.HELD:
        log.info("wish_held", booking_id=wish.booking_id, wanted_for=wish.why, slot_id=answer.slot_id)
