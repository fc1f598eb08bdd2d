"""
Recording beside a bare COPY of the very rows, and beside a table with a million bookings: interleaved rounds, medians.

Called by `__main__`. The real consumer records from Kafka; COPY writes the same rows into equal tables, in transactions
of the same size. Each of two databases has partitions of its own, so that one consumer group serves them in turn.
"""

import statistics
import time
from typing import Any, Final

from kernel.kafka.producer import Producer
from kernel.settings import KafkaSettings
from loadtests.booking.stand import STATEMENT_SECONDS_MAX, Stand, consume, told
from services.booking.consumers import RECORDING_BATCH_MAX

OLD_PARTITION: Final = 99
FILL_AT_ONCE: Final = 100_000


async def compare(
    few: Stand, many: Stand, kafka: KafkaSettings, producer: Producer, *, rounds: int, size: int
) -> dict[str, Any]:
    """
    Rounds of: record where there are few bookings, COPY the same rows, record where there are many. The first warms up.
    """
    await _make_copies(few)
    recorded, copied, grown = [], [], []
    for number in range(rounds + 1):
        mark = await _mark(few)
        rate = await _record(few, kafka, producer, size)
        copy = await _copy(few, mark, size)
        slow = await _record(many, kafka, producer, size)
        word = "warm-up" if number == 0 else f"round {number}"
        print(
            f"  {word:<8} recording {rate:9,.0f}/s   bare COPY {copy:9,.0f}/s   with many {slow:9,.0f}/s   "
            f"recording/COPY {rate / copy:.2f}   many/few {slow / rate:.2f}",
            flush=True,
        )
        if number:
            recorded.append(rate)
            copied.append(copy)
            grown.append(slow)
    ratios = [rate / copy for rate, copy in zip(recorded, copied, strict=True)]
    kept = [slow / rate for slow, rate in zip(grown, recorded, strict=True)]
    return {
        "record_vs_copy": round(statistics.median(ratios), 3),
        "slowdown_1m": round(1 - statistics.median(kept), 3),
        "record_per_second": round(statistics.median(recorded)),
        "copy_per_second": round(statistics.median(copied)),
        "record_1m_per_second": round(statistics.median(grown)),
    }


async def grow(stand: Stand, bookings: int) -> None:
    """
    Years before: bookings of other slots and people.
    """
    async with stand.db.connection() as connection:
        for first in range(1, bookings + 1, FILL_AT_ONCE):
            last = min(first + FILL_AT_ONCE - 1, bookings)
            await connection.execute(_GROWTH, first, last, OLD_PARTITION, timeout=STATEMENT_SECONDS_MAX)
            print(f"  {last:,} bookings are there", flush=True)
    await stand.execute("VACUUM ANALYZE", "CHECKPOINT")


_GROWTH: Final = """
WITH grown AS (
    INSERT INTO booking
        (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch, seq)
    SELECT 'rsv_' || md5('g' || n), 'acc_' || md5('g' || n), 'old.20200101.morning.regular.online', ARRAY[n],
        ARRAY['per_' || md5('g' || n)], 'held', now() + interval '9 h', now(), $3, 1, n
    FROM generate_series($1::integer, $2::integer) AS n
    RETURNING booking_id, slot_id, seats, person_ids
), seated AS (
    INSERT INTO booking_seat (booking_id, slot_id, seat) SELECT booking_id, slot_id, seats[1] FROM grown
)
INSERT INTO booking_person (booking_id, person_id) SELECT booking_id, person_ids[1] FROM grown
"""


async def _record(stand: Stand, kafka: KafkaSettings, producer: Producer, size: int) -> float:
    await producer.publish(told(stand.holds(size)))
    return await consume(stand, kafka, producer, size)


_OURS: Final = """
FROM booking AS b INNER JOIN unnest($1::integer[], $2::bigint[]) AS m (p, s) ON b.partition = m.p AND b.seq > m.s
"""
_ROWS: Final = {
    "booking": f"SELECT b.* {_OURS} ORDER BY b.ctid",
    "booking_seat": f"SELECT t.* {_OURS} INNER JOIN booking_seat AS t USING (booking_id) ORDER BY t.ctid",
    "booking_person": f"SELECT t.* {_OURS} INNER JOIN booking_person AS t USING (booking_id) ORDER BY t.ctid",
    "booking_unpaid": f"SELECT t.* {_OURS} INNER JOIN booking_unpaid AS t USING (booking_id) ORDER BY t.ctid",
}
_TOLD: Final = "SELECT * FROM outbox WHERE id > $1 ORDER BY id"


async def _make_copies(stand: Stand) -> None:
    tables = ("booking", "booking_seat", "booking_person", "booking_unpaid", "outbox")
    await stand.execute(*(f"CREATE TABLE copy_{table} (LIKE {table} INCLUDING ALL)" for table in tables))
    # LIKE leaves this out.
    await stand.execute("ALTER TABLE copy_booking SET (fillfactor = 50)")


async def _mark(stand: Stand) -> tuple[dict[int, int], int]:
    """
    Where a round begins: in the partitions and in the outbox.
    """
    async with stand.db.connection() as connection:
        return dict(stand.seqs), await connection.fetchval("SELECT coalesce(max(id), 0) FROM outbox")


async def _copy(stand: Stand, mark: tuple[dict[int, int], int], size: int) -> float:
    """
    The rows of a round into equal tables, by nothing but COPY. Returns reservations a second.
    """
    seqs, outbox_id = mark
    new = ([*seqs], [*seqs.values()])
    asked = {table: (order, new) for table, order in _ROWS.items()} | {"outbox": (_TOLD, (outbox_id,))}
    async with stand.db.connection() as connection:
        rows = {
            table: await connection.fetch(order, *given, timeout=STATEMENT_SECONDS_MAX)
            for table, (order, given) in asked.items()
        }
        began = time.perf_counter()
        for start in range(0, size, RECORDING_BATCH_MAX):
            async with connection.transaction():
                for table, all_rows in rows.items():
                    share = len(all_rows) / size
                    part = all_rows[round(start * share) : round((start + RECORDING_BATCH_MAX) * share)]
                    await connection.copy_records_to_table(f"copy_{table}", records=part)
        return size / (time.perf_counter() - began)
