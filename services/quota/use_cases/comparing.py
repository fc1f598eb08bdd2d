"""
What a rebuild would change: booking's snapshot against what Valkey has, nothing written.

Called by `restore --dry-run`. While places are being sold the two are never quite the same; of a
stopped partition every difference counts.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from services.quota.domain.rebuilding import RELEASED, Batch, Restored
from services.quota.domain.records import HoldRecord, hold_record
from services.quota.keys import Keys, is_hold
from services.quota.stores.restores import Restores
from services.quota.use_cases.restoring import ACTIVE, Affected, Report, as_counted, id_of, restored_of

SLOTS_PER_READ: Final = 500


async def compare(restores: Restores, keys: Keys, partitions: Sequence[int], chunks: AsyncIterator[str]) -> Report:
    """
    Every hold and every slot that is not as the snapshot says.
    """
    restored = restored_of(keys, partitions)
    there = {key: hold for key, hold in (await restores.holds(partitions)).items() if hold.state in ACTIVE}
    report = Report(partitions=len(partitions))
    async for lines in chunks:
        holds = _holds_of(restored.read(lines))
        report.differences += await _holds_that_differ(restores, holds)
        for key in holds:
            there.pop(key, None)
    report.holds, report.claims = restored.bookings, restored.claims
    report.affected = [
        Affected(reservation_id=id_of(key), hold=hold, honoured=restored.honour(id_of(key), hold))
        for key, hold in sorted(there.items())
    ]
    report.differences += await _slots_that_differ(restores, restored)
    report.slots = sum(tally.plan is not None for tally in restored.tallies.values())
    return report


def _holds_of(batch: Batch) -> dict[str, bytes]:
    pairs = zip(batch[::2], batch[1::2], strict=True)
    return {str(key): bytes(value) for key, value in pairs if is_hold(str(key))}  # type: ignore[arg-type]  # in turn


async def _holds_that_differ(restores: Restores, holds: Mapping[str, bytes]) -> list[str]:
    there = await restores.read(holds)
    return [key for key, value in holds.items() if not _same(hold_record(value), there[key])]


def _same(wanted: HoldRecord, there: bytes | None) -> bool:
    if there is None:
        return wanted.state == RELEASED
    hold = hold_record(there)
    return (hold.state, hold.slot_id, hold.account_id, sorted(hold.person_ids), sorted(hold.seats)) == (
        wanted.state,
        wanted.slot_id,
        wanted.account_id,
        sorted(wanted.person_ids),
        sorted(wanted.seats),
    )


async def _slots_that_differ(restores: Restores, restored: Restored) -> list[str]:
    planned = [tally for tally in restored.tallies.values() if tally.plan is not None]
    wrong: list[str] = []
    for start in range(0, len(planned), SLOTS_PER_READ):
        some = planned[start : start + SLOTS_PER_READ]
        books = await restores.books([tally.slot_id for tally in some])
        wrong += [tally.slot_id for tally in some if not as_counted(tally, books[tally.slot_id])]
    return wrong
