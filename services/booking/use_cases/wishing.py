"""
Wishing: booking asks quota for places.

Called by moves and for the office's own places, in their transaction; answered by the
recording of quota's events (settling). Never waits for quota inside a transaction: whoever
waits for an answer looks at the wish (awaiting).
"""

import asyncio

from contracts.envelope import seal
from contracts.events import PlacesWanted
from kernel import outbox
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.booking.domain.record import ms_of
from services.booking.domain.wishes import Wish
from services.booking.stores import offices, wishes
from services.booking.use_cases.telling import SOURCE

log = get_logger(__name__)
REMIND_SECONDS = 30.0
REMINDED_AT_ONCE = 200


async def ask(connection: Connection, wish: Wish) -> bool:
    """
    Ask quota for places, once. False if this was asked before, or another move of the booking is under way.
    """
    if not await wishes.put(connection, wish):
        return False
    await tell_wish(connection, wish)
    return True


async def tell_wish(connection: Connection, wish: Wish, *, again: int = 0) -> None:
    """
    Announce a wish; `again` tells a repeated announcement from the first.
    """
    wanted = PlacesWanted(
        booking_id=wish.booking_id,
        account_id=wish.account_id,
        person_ids=wish.person_ids,
        slot_ids=wish.slot_ids,
        seats=wish.seats,
        why=wish.why.value,
        replaces=wish.replaces,
        pay_by_ms=ms_of(wish.pay_by),
        good_until_ms=ms_of(wish.good_until),
        at_ms=ms_of(await offices.read_now(connection)),
    )
    event_id = f"w.{wish.booking_id}.{again}"
    await outbox.append(connection, [seal(wanted, event_id=event_id, key=wish.booking_id, source=SOURCE)])


async def remind_for_ever(database: Database) -> None:
    """
    Remind until cancelled.
    """
    while True:
        await asyncio.sleep(REMIND_SECONDS)
        try:
            await remind(database)
        except Retryable as error:
            log.warning("wishes_wait", error=str(error))


async def remind(database: Database) -> int:
    """
    Ask again for what quota has not answered: by now it answers that it is too late, or that the places are had.

    Numbered by the clock, so that a worker that has just started is not taken for one that has said it before.
    """
    async with database.transaction() as connection:
        again = ms_of(await offices.read_now(connection)) // 1000
        late = await wishes.unsettled(connection, after_seconds=REMIND_SECONDS, limit=REMINDED_AT_ONCE)
        for wish in late:
            await tell_wish(connection, wish, again=again)
    return len(late)
