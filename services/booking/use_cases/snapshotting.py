"""
Snapshotting: everything quota needs to be rebuilt, of one moment, as lines.

Called by the snapshot command. First waits until what Kafka was told is recorded, so that no
acknowledged hold is missing; then reads in one transaction. Reads only. The lines, tab-separated:
`w partition epoch seq` · `s` and a slot as it is told, JSON · `n account_id person_ids
blocked_until_ms booking_id` of families that did not come · `b booking_id account_id slot_id
seats person_ids state held_at_ms pay_by_ms keeps_persons`, ended ones first · `end` and the
number of bookings, without which a snapshot is not whole.
"""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from kernel.errors import Retryable
from kernel.postgres import Connection, Database
from services.booking.domain.sequence import Line
from services.booking.stores import slots as slot_store
from services.booking.stores import snapshots
from services.booking.stores.snapshots import Take

LOOK_SECONDS = 0.1
SLOTS_PER_READ = 3000
_json = msgspec.json.Encoder()


async def wait_until_recorded(database: Database, wanted: Mapping[Line, int], *, patience_seconds: float) -> None:
    """
    Return when these decisions and all before them are recorded. Raises `Retryable` when patience ends.
    """
    give_up_at = asyncio.get_running_loop().time() + patience_seconds
    while True:
        async with database.connection() as connection:
            known = await snapshots.lines(connection)
        missing = {line: seq for line, seq in wanted.items() if known.get(line, 0) < seq}
        if not missing:
            return
        if asyncio.get_running_loop().time() >= give_up_at:
            named = ", ".join(f"{line[0]}:{line[1]}:{seq}" for line, seq in sorted(missing.items())[:5])
            raise Retryable(f"booking has not recorded {len(missing)} partitions to their end, such as {named}")
        await asyncio.sleep(LOOK_SECONDS)


async def snapshot(database: Database, take: Take) -> int:
    """
    Hand the snapshot out. Returns the number of bookings in it.
    """
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        for (partition, epoch), seq in (await snapshots.lines(connection)).items():
            await take(f"w\t{partition}\t{epoch}\t{seq}\n".encode())
        await _slots(connection, await snapshots.slot_ids(connection), take)
        await snapshots.copy_blocks(connection, take)
        bookings = await snapshots.copy_bookings(connection, take)
    await take(f"end\t{bookings}\n".encode())
    return bookings


async def _slots(connection: Connection, slot_ids: Sequence[str], take: Take) -> None:
    for start in range(0, len(slot_ids), SLOTS_PER_READ):
        for planned in await slot_store.read(connection, slot_ids[start : start + SLOTS_PER_READ]):
            await take(b"s\t" + _json.encode(planned) + b"\n")


def lines_of(text: str) -> dict[Line, int]:
    """
    `partition:epoch:seq` by commas as numbers. Raises `ValueError` for anything else.
    """
    wanted: dict[Line, int] = {}
    for part in text.split(",") if text else ():
        partition, epoch, seq = (int(number) for number in part.split(":"))
        wanted[partition, epoch] = max(seq, wanted.get((partition, epoch), 0))
    return wanted
