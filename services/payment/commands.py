"""
What the commands of money do with files: reconcile a bank's report, write a file for the treasury.

Called by `__main__`. Each prints what it did for a person and, as its last line, one JSON object for a
program. Decides nothing: use cases do.
"""

import csv
import datetime as dt
import hashlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from kernel.errors import Retryable
from kernel.ids import fresh
from kernel.postgres import Database, database
from kernel.settings import PostgresSettings
from services.payment.domain import bank_day
from services.payment.domain.bank_day import BadReport, BankDay
from services.payment.domain.refunds import Refund
from services.payment.stores import refunds, settlements
from services.payment.stores.settlements import Counts, Difference
from services.payment.stores.statements import SCHEMA
from services.payment.use_cases import reconciling, refunding

ALL_MATCHED, DIFFERENCES, UNREADABLE, UNKNOWN = 0, 1, 2, 3
"""Exit codes. UNKNOWN: Postgres went away; run it again."""
REPORT_BYTES_MAX: Final = 64 * 1024 * 1024
LISTED_MAX: Final = 50
BATCH_REFUNDS_MAX: Final = 10_000
TREASURY_COLUMNS: Final = (
    "batch_id",
    "refund_id",
    "booking_id",
    "ntpn",
    "billing_code",
    "bank",
    "journal_number",
    "paid_rupiah",
    "amount_rupiah",
    "approved_at",
)


async def settle(settings: PostgresSettings, path: Path, *, bank: str | None, day: dt.date | None) -> int:
    """
    Reconcile a report and print how it came out. Returns the exit code.
    """
    try:
        content = _content(path)
        report = _read(content, bank=bank, day=day)
    except (BadReport, OSError, UnicodeDecodeError) as error:
        _say(f"{path} is refused, and nothing of it was taken: {error}")
        _say_json({"unreadable": str(error), "line": getattr(error, "line_number", None)})
        return UNREADABLE
    try:
        async with database(settings, schema=SCHEMA) as db:
            counts, before = await reconciling.reconcile(db, report, content_sha256=hashlib.sha256(content).hexdigest())
            async with db.connection() as connection:
                listed = await settlements.differences(connection, counts.run_id, rows_max=LISTED_MAX)
    except Retryable as error:
        _say(f"not finished: {error}; the same command goes on where it stopped")
        return UNKNOWN
    for line in _table(counts, listed):
        _say(line)
    _say_json(msgspec.structs.asdict(counts) | {"differences": counts.differences, "seen_before": before})
    return DIFFERENCES if counts.differences else ALL_MATCHED


async def export_refunds(settings: PostgresSettings, out: Path, *, batch_id: str | None) -> int:
    """
    Write what is approved, or a batch of before once more, as CSV; never over another file. Returns the exit code.
    """
    try:
        # Before anything is decided: a batch is closed only when there is a file to put it into.
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        _say(f"{out}: {error.strerror}; nothing was exported")
        return UNREADABLE
    chosen, told = batch_id or fresh("rfb"), list[Refund]()
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            async with database(settings, schema=SCHEMA) as db:
                told = await _batch(db, chosen, again=batch_id is not None)
            _write(file, told)
    except (Retryable, OSError) as error:
        _remove(out)
        _say(f"not finished: {error}; `refunds export --batch {chosen}` writes the batch if it was closed")
        return UNKNOWN
    if not told:
        _remove(out)
    amount_rupiah = sum(refund.amount_rupiah for refund in told)
    _say(f"{len(told)} refunds, {amount_rupiah} rupiah in {out}" if told else "nothing to export, no file is written")
    _say_json({"batch_id": chosen if told else None, "refunds": len(told), "amount_rupiah": amount_rupiah})
    return DIFFERENCES if batch_id and not told else ALL_MATCHED


async def _batch(db: Database, batch_id: str, *, again: bool) -> list[Refund]:
    async with db.transaction() as connection:
        if again:
            return await refunds.of_batch(connection, batch_id)
        return await refunding.report(connection, batch_id, rows_max=BATCH_REFUNDS_MAX)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _write(file: io.TextIOBase, told: Sequence[Refund]) -> None:
    writer = csv.writer(file)
    writer.writerow(TREASURY_COLUMNS)
    for refund in told:
        values = msgspec.structs.asdict(refund) | {"approved_at": _utc(refund.approved_at)}
        writer.writerow([values[name] for name in TREASURY_COLUMNS])
    file.flush()
    os.fsync(file.fileno())


def _utc(moment: dt.datetime | None) -> str:
    return "" if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(REPORT_BYTES_MAX + 1)
    if len(content) > REPORT_BYTES_MAX:
        raise BadReport(f"longer than {REPORT_BYTES_MAX} bytes", line_number=1)
    return content


def _read(content: bytes, *, bank: str | None, day: dt.date | None) -> BankDay:
    return bank_day.read(io.StringIO(content.decode("utf-8-sig"), newline=""), bank=bank, settled_on=day)


def _table(counts: Counts, listed: Sequence[Difference]) -> list[str]:
    lines = [f"{counts.bank}, {counts.settled_on}: {counts.lines} payments reported"]
    for name in ("matched", "missing_here", "missing_there", "amount_differs", "details_differ", "duplicate"):
        extra = f"  ({counts.taken} taken as payments)" if name == "missing_here" and counts.taken else ""
        lines.append(f"  {name.replace('_', ' '):16}{getattr(counts, name):>8}{extra}")
    if listed:
        lines.append(f"  {'line':>6}  {'NTPN':16}  {'billing code':15}  {'rupiah':>13}  what")
    for each in listed:
        what = each.outcome.replace("_", " ") + (f" ({each.verdict})" if each.verdict else "")
        number = "-" if each.line_number is None else each.line_number
        lines.append(f"  {number:>6}  {each.ntpn}  {each.billing_code}  {each.amount_rupiah:>13}  {what}")
    if counts.differences > len(listed):
        lines.append(f"  and {counts.differences - len(listed)} more: table settlement_line, run {counts.run_id}")
    return lines


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say_json(figures: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
