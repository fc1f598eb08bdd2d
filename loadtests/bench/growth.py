"""
Whether a reservation costs more when millions have been made: CPU of worker and Valkey with 1,000 holds and with 10 M.

Called by the bench. Two workers on Valkeys that write nothing down (rewriting gigabytes of
append-only file is not what is asked here) are asked in turn, one with few holds and one
with many, so that faster and slower minutes of the machine are the same for both. The
worker makes one hold; the others are laid down as copies of it under other ids, key by
key, with the books of their slots, so that every record is as the product writes it.
"""

import asyncio
import dataclasses
import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.bench import books
from loadtests.bench.generator import closed_loop, lines
from loadtests.bench.report import Report
from loadtests.bench.scale import Scale
from loadtests.bench.steady import HELD, PEAK_CONNECTIONS, summary
from loadtests.ratio.processor import cpu_seconds
from loadtests.ratio.scenarios import RESERVATIONS_PER_SECOND_MAX
from loadtests.ratio.stand import UNWRITTEN, Pair, Stand, pair_of, without_a_file
from ops.errors import StackError
from services.quota.keys import Keys

FEW: Final = 1_000
CHUNK: Final = 2_000
"""Records laid down in one call: a few milliseconds."""
PROGRESS_HOLDS: Final = 1_000_000
LOADER: Final = Path(__file__).with_name("load-3.lua")
_ID: Final = 32


class _Held(msgspec.Struct, frozen=True):
    reservation_id: str
    slot_id: str
    person_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """
    A hold and its claims as the worker has written them.
    """

    slot_id: str
    account: str
    reservation: str
    hold: bytes
    claims: bytes

    def of_slot(self, slot_id: str) -> tuple[bytes, bytes]:
        """
        The same for another slot.
        """
        return _renamed(self.hold, self.slot_id, slot_id), _renamed(self.claims, self.slot_id, slot_id)


def _renamed(record: bytes, old: str, new: str) -> bytes:
    """
    The record with one string in it exchanged, whatever its layout.
    """

    def exchanged(value: Any) -> Any:
        if isinstance(value, list):
            return [exchanged(one) for one in value]
        if isinstance(value, dict):
            return {name: exchanged(one) for name, one in value.items()}
        return new if value == old else value

    return msgspec.msgpack.encode(exchanged(msgspec.msgpack.decode(record)))


async def play(stand: Stand, scale: Scale, report: Report, *, holds: int) -> None:
    """
    A few, many, and what a reservation costs with each.
    """
    few_held, many_held = await without_a_file(stand, "few"), pair_of(UNWRITTEN)
    model = await _model(stand, few_held)
    await _lay_down(stand, few_held, model, holds=FEW, report=report)
    memory_before = await books.trimmed_memory(stand, many_held.store)
    began = asyncio.get_running_loop().time()
    await _lay_down(stand, many_held, model, holds=holds, report=report)
    seconds = asyncio.get_running_loop().time() - began
    memory = await books.trimmed_memory(stand, many_held.store) - memory_before
    few, many = await _costs(stand, scale, report, (few_held, many_held))
    await _check(stand, many_held, at_least=holds)
    growth = statistics.median(more / less for less, more in zip(few, many, strict=True))
    report.keep("growth", holds=holds, few_us=few, many_us=many, load_seconds=seconds, bytes=memory)
    report.set(cpu_growth_10m=growth, growth_holds=holds, bytes_per_hold_of_many=memory / holds)
    report.say(
        f"growth: {statistics.median(few):.1f} µs with {FEW:,} holds, {statistics.median(many):.1f} µs with {holds:,};"
        f" {growth:.3f} round by round; {memory / holds:.0f} bytes per hold"
    )


async def _model(stand: Stand, pair: Pair) -> _Model:
    asks = deque(stand.people.with_passes(stand.slots[:1], 1))
    async with lines(stand.port_of[pair.worker], 1) as on:
        seen = await closed_loop(on, asks, seconds=1.0, bodies=True)
    if seen.count(HELD) != 1:
        raise StackError(f"no hold to copy: {seen.example.decode(errors='replace')}")
    held = msgspec.json.decode(seen.bodies[0], type=_Held)
    account = held.person_ids[0][-_ID:]
    async with books.store(stand, pair.store) as (client, keys):
        hold = await client.get(keys.hold(held.slot_id, held.reservation_id))
        claims = await client.get(keys.claims(f"acc_{account}"))
    return _Model(
        slot_id=held.slot_id,
        account=account,
        reservation=held.reservation_id[-_ID:],
        hold=hold,
        claims=claims,
    )


async def _lay_down(stand: Stand, pair: Pair, model: _Model, *, holds: int, report: Report) -> None:
    """
    So many records, evenly over the slots.
    """
    said = 0
    async with books.store(stand, pair.store) as (client, keys):
        script = client.register_script(LOADER.read_text())
        done = 0
        for slot_id, count in _shares(stand.slots, holds):
            hold, claims = model.of_slot(slot_id)
            for at in range(0, count, CHUNK):
                size = min(CHUNK, count - at)
                await script(
                    keys=_keys(keys, slot_id, model),
                    args=[
                        *(hold, claims, _claims_prefix(keys, model)),
                        *(model.account, model.reservation, done, size, keys.partitions),
                    ],
                )
                done += size
            if done - said >= PROGRESS_HOLDS:
                report.say(f"growth: {done:,} holds laid down")
                said = done


def _shares(slot_ids: list[str], total: int) -> Iterator[tuple[str, int]]:
    for nth, slot_id in enumerate(slot_ids):
        yield slot_id, total // len(slot_ids) + (nth < total % len(slot_ids))


def _keys(keys: Keys, slot_id: str, model: _Model) -> list[str]:
    hold = keys.hold(slot_id, f"rsv_{model.reservation}")
    return [keys.books(slot_id), keys.takers(slot_id), hold]


def _claims_prefix(keys: Keys, model: _Model) -> str:
    """
    The key of an account's claims without what is its own, the number of the tag left open.
    """
    account_id = f"acc_{model.account}"
    tag = f"{{c{keys.account_tag(account_id):02d}}}"
    return keys.claims(account_id).replace(tag, "{c%02d}")[:-_ID]


async def _costs(stand: Stand, scale: Scale, report: Report, pairs: Sequence[Pair]) -> list[list[float]]:
    """
    Microseconds of CPU a reservation takes of worker and Valkey together, of each pair round by round.
    """
    rounds = [
        [await _cost(stand, scale, report, pair, number=number) for pair in pairs]
        for number in range(1 + scale.growth_rounds)
    ]
    # The first round warms up.
    return [list(costs) for costs in zip(*rounds[1:], strict=True)]


async def _cost(stand: Stand, scale: Scale, report: Report, pair: Pair, *, number: int) -> float:
    supply = deque(stand.people.with_passes(stand.slots, int(RESERVATIONS_PER_SECOND_MAX * scale.growth_seconds)))
    async with lines(stand.port_of[pair.worker], PEAK_CONNECTIONS[0]) as on:
        before = _clocks(stand, pair)
        seen = await closed_loop(on, supply, seconds=scale.growth_seconds)
        after = _clocks(stand, pair)
    if set(seen.statuses) != {str(HELD)}:
        raise StackError(f"expected {HELD} only, got {seen.statuses}")
    worker, valkey = ((now - then) / seen.count(HELD) * 1e6 for now, then in zip(after, before, strict=True))
    report.keep("growth_round", worker=pair.worker, number=number, worker_us=worker, valkey_us=valkey, **summary(seen))
    report.say(f"growth, {pair.worker}: worker {worker:.1f} µs  Valkey {valkey:.1f} µs")
    return worker + valkey


def _clocks(stand: Stand, pair: Pair) -> tuple[float, float]:
    return cpu_seconds(stand.pid_of(pair.worker)), cpu_seconds(stand.pid_of(pair.store))


async def _check(stand: Stand, pair: Pair, *, at_least: int) -> None:
    """
    What was laid down is in the books, and the books add up.
    """
    kept = await books.books(stand, pair.store, stand.slots)
    wrong = [one for one in kept if one["capacity"] != one["free"] + one["held"] + one["confirmed"] + one["withheld"]]
    if wrong or sum(one["held"] for one in kept) < at_least:
        raise StackError(f"the books do not show the holds that were laid down: {wrong[:1]}")
