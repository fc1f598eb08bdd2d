"""
Awaiting quota's answer to a wish, for as long as a caller waits for it.

Called by handlers after the wish is committed. Holds no connection while it waits, and
decides nothing: no answer yet is not no.
"""

import asyncio

from kernel.postgres import Database
from services.booking.stores import wishes
from services.booking.stores.wishes import Standing

LOOK_EVERY_SECONDS = 0.1
ASKED = "asked"


async def answer_to(database: Database, booking_id: str, *, within_seconds: float) -> Standing | None:
    """
    How a wish stands as soon as quota has answered, or when the time is up. None if there is no such wish.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within_seconds
    while True:
        async with database.connection() as connection:
            standing = await wishes.read(connection, booking_id)
        if standing is None or standing.state != ASKED or loop.time() >= until:
            return standing
        await asyncio.sleep(LOOK_EVERY_SECONDS)
