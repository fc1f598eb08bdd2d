"""
Valkey is gone, and a million bookings are in Postgres: how long until every place is where it was.

Called by the bench on a stack of the whole path. The bookings are written by Postgres
itself, as many as the window has places for; Valkey is killed and its files removed, and
`antrean rebuild`'s own function puts everything back. Its figures count, and the books of
Valkey are compared with Postgres once more at the end.
"""

import asyncio
import shutil
import time
from typing import Final

import asyncpg

from loadtests.bench.nation import STORE_SECONDS, Slot, open_window, valkey, watching, whole_path
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from ops.errors import StackError
from ops.rebuild import rebuild
from ops.stack import Stack
from services.quota.domain.records import slot_books
from services.quota.keys import Keys, office_of

WRITE_SECONDS_MAX: Final = 240.0
BACK_SECONDS_MAX: Final = 30.0
PLACES_A_WEEK: Final = 95_920
# One person a booking, places of a slot from its first on, numbered as if quota had decided them in this order.
_BOOKINGS: Final = """
INSERT INTO booking.booking
    (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch, seq)
SELECT 'rsv_' || id, 'acc_' || id, slot_id, ARRAY[seat], ARRAY['per_' || id], 'held',
    now() + interval '2 hours', now(), partition, 1,
    coalesce(w.seq, 0) + row_number() OVER (PARTITION BY partition ORDER BY n)
FROM (
    SELECT *, lpad(to_hex(n), 32, '0') AS id FROM (
        SELECT s.slot_id, g.seat, o.partition, row_number() OVER (ORDER BY s.slot_id, g.seat) AS n
        FROM booking.slot AS s
        CROSS JOIN LATERAL generate_series(1, s.capacity) AS g (seat)
        JOIN unnest($1::text[], $2::integer[]) AS o (office_id, partition) USING (office_id)
    ) AS numbered
    ORDER BY n
    LIMIT $3
) AS places
LEFT JOIN booking.partition_watermark AS w USING (partition)
"""
_SEATS: Final = """
INSERT INTO booking.booking_seat (booking_id, slot_id, seat) SELECT booking_id, slot_id, seats[1] FROM booking.booking
"""
_PEOPLE: Final = """
INSERT INTO booking.booking_person (booking_id, person_id) SELECT booking_id, person_ids[1] FROM booking.booking
"""
_DEADLINES: Final = """
INSERT INTO booking.booking_unpaid (pay_by, booking_id) SELECT pay_by, booking_id FROM booking.booking
"""
_WATERMARKS: Final = """
INSERT INTO booking.partition_watermark (partition, epoch, seq)
SELECT partition, epoch, max(seq) FROM booking.booking GROUP BY partition, epoch
ON CONFLICT (partition, epoch) DO UPDATE SET seq = excluded.seq
"""

_TABLES: Final = ("booking", "booking_seat", "booking_person", "booking_unpaid", "partition_watermark")


async def play(scale: Scale, report: Report) -> None:
    """
    Fill, lose, rebuild, compare.
    """
    times = -(-scale.rebuilt // (PLACES_A_WEEK * scale.offices // 133))
    report.say(f"rebuild: a stack with {scale.rebuilt:,} bookings")
    async with whole_path(report.say) as stack:
        slots = await open_window(stack, offices=scale.offices, quota_times=times)
        async with watching(stack) as watch:
            await watch.until_recorded()
        await _write(stack, slots, scale.rebuilt, report)
        await _lose(stack)
        report.say("rebuild: Valkey is empty")
        rebuilt = await rebuild(stack.env, say=report.say)
        differences = int(rebuilt.figures["differences"]) + await _differences(stack)
    report.keep("rebuild", **rebuilt.figures, differences_found=differences)
    if int(rebuilt.figures["holds"]) != scale.rebuilt:
        raise StackError(f"{scale.rebuilt:,} bookings became {rebuilt.figures['holds']:,} holds")
    report.set(rebuild_1m_seconds=float(rebuilt.figures["seconds"]), rebuilt_holds=scale.rebuilt)
    report.add(rebuild_differences=differences)
    report.say(f"rebuild: {scale.rebuilt:,} holds in {rebuilt.figures['seconds']:.1f} s, {differences} differences")


async def _write(stack: Stack, slots: list[Slot], count: int, report: Report) -> None:
    keys = Keys(int(stack.env["PARTITIONS"]))
    offices = sorted({office_of(slot.slot_id) for slot in slots})
    began = time.perf_counter()
    # Triggers look for their tables where booking's own connections do.
    path = {"search_path": "booking"}
    connection = await asyncpg.connect(stack.env["DATABASE_URL"], timeout=STORE_SECONDS, server_settings=path)
    try:
        async with asyncio.timeout(WRITE_SECONDS_MAX), connection.transaction():
            # Neither a step's history nor what holds tables together is wanted of rows that are right by construction.
            await connection.execute("SET LOCAL session_replication_role = replica")
            partitions = [keys.partition_of(office_id) for office_id in offices]
            await connection.execute(_BOOKINGS, offices, partitions, count, timeout=WRITE_SECONDS_MAX)
            for statement in (_SEATS, _PEOPLE, _DEADLINES, _WATERMARKS):
                await connection.execute(statement, timeout=WRITE_SECONDS_MAX)
        # Bookings of weeks have been cleaned up after before Valkey is lost; those of a minute ago would be meanwhile.
        for table in _TABLES:
            await connection.execute(f"VACUUM (ANALYZE) booking.{table}", timeout=WRITE_SECONDS_MAX)
        await connection.execute("CHECKPOINT", timeout=WRITE_SECONDS_MAX)
        written = await connection.fetchval("SELECT count(*) FROM booking.booking", timeout=WRITE_SECONDS_MAX)
    finally:
        await connection.close(timeout=STORE_SECONDS)
    if written != count:
        raise StackError(f"{count:,} bookings were to be written, there are {written:,}")
    report.say(f"rebuild: {count:,} bookings written in {time.perf_counter() - began:.1f} s")


async def _lose(stack: Stack) -> None:
    """
    Kill Valkey, take its files away, and let it start with nothing.
    """
    keeper = stack.supervisor.keepers["valkey"]
    lost = stack.pid_of("valkey")
    keeper.hold()
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while keeper.pid == lost:  # noqa: ASYNC110  # its keeper tells nobody
            await asyncio.sleep(0.01)
        for folder in stack.state.data("valkey").iterdir():
            if folder.is_dir():
                await asyncio.to_thread(shutil.rmtree, folder)
        keeper.release()
        await stack.wait_ready("valkey")


async def _differences(stack: Stack) -> int:
    """
    Slots whose books are not what Postgres says.
    """
    connection = await asyncpg.connect(stack.env["DATABASE_URL"], timeout=STORE_SECONDS)
    try:
        booked = await connection.fetch(
            "SELECT s.slot_id, s.capacity, count(b.*) AS held FROM booking.slot AS s"
            " LEFT JOIN booking.booking AS b USING (slot_id) GROUP BY s.slot_id, s.capacity",
            timeout=WRITE_SECONDS_MAX,
        )
    finally:
        await connection.close(timeout=STORE_SECONDS)
    async with valkey(stack) as (client, keys):
        pipe = client.pipeline(transaction=False)
        for row in booked:
            pipe.get(keys.books(row["slot_id"]))
        found = [(books.capacity, books.held, books.free) for books in map(slot_books, await pipe.execute())]
    expected = [(row["capacity"], row["held"], row["capacity"] - row["held"]) for row in booked]
    return sum(one != other for one, other in zip(expected, found, strict=True))
