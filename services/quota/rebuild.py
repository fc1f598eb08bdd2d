"""
The commands of a rebuild: `stop` before booking's snapshot is taken, `restore` with it, or both in one.

Called by `__main__`; wires what they need. Progress goes to standard error, what was found to
standard output, the figures as one JSON object on the last line.
"""

import asyncio
import dataclasses
import gc
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

from services.quota.keys import Keys
from services.quota.settings import RebuildSettings
from services.quota.stores.histories import Histories
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import Position
from services.quota.stores.restores import Restores
from services.quota.stores.valkey import Valkey
from services.quota.use_cases import restoring
from services.quota.use_cases.clearing import told_last
from services.quota.use_cases.comparing import compare
from services.quota.use_cases.restoring import MARK, Report, Restoring

CALL_SECONDS: Final = 60.0
"""A write of many thousand keys is one call."""
CHUNK_BYTES: Final = 1 << 19
"""What comes of it fits into the socket to Valkey: it is written there while the next is read here."""


async def stop(settings: RebuildSettings, partitions: Sequence[int], *, patience_seconds: float) -> None:
    """
    Stop partitions; say the mark and what booking must have recorded before the snapshot.
    """
    async with _stores(settings) as (valkey, keys):
        await _stop(settings, valkey, keys, _chosen(partitions, keys), patience_seconds)


async def _stop(
    settings: RebuildSettings, valkey: Valkey, keys: Keys, chosen: Sequence[int], patience_seconds: float
) -> tuple[str, dict[int, Position]]:
    """
    The mark, and what the snapshot has to have.
    """
    mark = f"{MARK}{secrets.token_hex(8)}"
    told = await restoring.stop(
        Restores(valkey, keys),
        Histories(valkey, keys),
        settings.kafka,
        chosen,
        mark=mark,
        total=keys.partitions,
        patience_seconds=patience_seconds,
    )
    _out(json.dumps({"mark": mark, "recorded": restoring.spelled(told)}))
    return mark, told


async def restore(
    settings: RebuildSettings,
    snapshot: Path,
    partitions: Sequence[int],
    *,
    mark: str,
    patience_seconds: float,
    dry_run: bool,
) -> int:
    """
    Rebuild from a snapshot, `-` being standard input; stop first if nobody has. Returns how many differences are left.
    """
    began = time.monotonic()
    # A million tuples come and go without a cycle among them; looking for one costs a third of the time.
    gc.disable()
    async with _stores(settings) as (valkey, keys):
        restores, chosen = Restores(valkey, keys), _chosen(partitions, keys)
        with sys.stdin.buffer if str(snapshot) == "-" else snapshot.open("rb") as file:
            if dry_run:
                report = await compare(restores, keys, chosen, chunks_of(file))
            else:
                if mark:
                    told = await told_last(settings.kafka, keys.partitions)
                else:
                    mark, told = await _stop(settings, valkey, keys, chosen, patience_seconds)
                async with restores.unrewritten():
                    whole = Restoring(restores, keys, chosen, mark=mark, told=told, say=_err)
                    report = await whole.run(chunks_of(file))
    _tell(report, seconds=time.monotonic() - began)
    return len(report.differences)


async def chunks_of(file: BinaryIO) -> AsyncIterator[str]:
    """
    Whole lines, some thousand at a time, the last without its end; while one chunk is worked on the next is read.
    """
    rest, loop = b"", asyncio.get_running_loop()
    coming = loop.run_in_executor(None, file.read, CHUNK_BYTES)
    while chunk := await coming:
        coming = loop.run_in_executor(None, file.read, CHUNK_BYTES)
        whole, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield (rest + whole).decode()
            rest = tail
        else:
            rest += chunk
    if rest:
        yield rest.decode()


def _tell(report: Report, *, seconds: float) -> None:
    for one in report.affected:
        fate = "keeps its places" if one.honoured else "its places are another's"
        seats = ",".join(map(str, one.hold.seats))
        _out(f"affected {one.reservation_id} {one.hold.slot_id} {seats}: not recorded; {fate}")
    for subject in report.differences:
        _out(f"differs {subject}")
    figures = {
        "partitions": report.partitions,
        "slots": report.slots,
        "holds": report.holds,
        "claims": report.claims,
        "affected": len(report.affected),
        "displaced": sum(not one.honoured for one in report.affected),
        "differences": len(report.differences),
        "seconds": round(seconds, 2),
    }
    _out(json.dumps(figures))


def _chosen(partitions: Sequence[int], keys: Keys) -> list[int]:
    return sorted(set(partitions)) or list(range(keys.partitions))


@asynccontextmanager
async def _stores(settings: RebuildSettings) -> AsyncIterator[tuple[Valkey, Keys]]:
    patient = dataclasses.replace(settings.valkey, call_timeout_seconds=CALL_SECONDS)
    async with open_valkey(patient) as valkey:
        yield valkey, Keys(settings.valkey.partitions)


def _out(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _err(line: str) -> None:
    sys.stderr.write(f"{line}\n")
