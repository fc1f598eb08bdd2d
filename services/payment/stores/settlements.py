"""
Banks' daily reports, line by line, and what each line is to us, in Postgres.

Called by the use case that reconciles. Never decides.
"""

from collections.abc import Mapping, Sequence

import msgspec

from kernel.postgres import Connection
from services.payment.domain.bank_day import BankDay, BankLine, Outcome
from services.payment.domain.settlement import Payment
from services.payment.stores.statements import SQL

_COLUMNS = (
    "run_id",
    "line_number",
    "ntpn",
    "billing_code",
    "journal_number",
    "amount_rupiah",
    "paid_at_ms",
    "repeats",
    "outcome",
)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a report came out.
    """

    run_id: str
    bank: str
    settled_on: str
    lines: int
    matched: int
    missing_here: int
    taken: int
    """Of all lines: became a payment by this report."""
    missing_there: int
    amount_differs: int
    details_differ: int
    duplicate: int

    @property
    def differences(self) -> int:
        """
        How much did not match.
        """
        return self.missing_here + self.missing_there + self.amount_differs + self.details_differ + self.duplicate


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line, or a payment of ours, that did not match.
    """

    line_number: int | None
    ntpn: str
    billing_code: str
    amount_rupiah: int
    outcome: str
    verdict: str | None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a line turned out to be.
    """

    line_number: int
    outcome: Outcome
    verdict: str | None = None


async def read_now_ms(connection: Connection) -> int:
    """
    What time it is, by the server that decides.
    """
    now_ms: int = await connection.fetchval(SQL.read_now_ms)
    return now_ms


async def begin(connection: Connection, run_id: str, day: BankDay) -> bool:
    """
    Store a report with its lines, unless it is there. Returns whether it is new.
    """
    begun = await connection.fetchval(SQL.insert_settlement_run, run_id, day.bank, day.settled_on, len(day.lines))
    if begun is None:
        return False
    records = [
        (
            run_id,
            line.line_number,
            line.ntpn,
            line.billing_code,
            line.journal_number,
            line.amount_rupiah,
            line.paid_at_ms,
            line.repeats,
            Outcome.DUPLICATE.value if line.says_the_same else None,
        )
        for line in day.lines
    ]
    await connection.copy_records_to_table("settlement_line", records=records, columns=_COLUMNS)
    return True


async def next_lines(connection: Connection, run_id: str, *, rows_max: int) -> list[BankLine]:
    """
    Lines nobody has judged yet.
    """
    rows = await connection.fetch(SQL.read_settlement_chunk, run_id, rows_max)
    return [msgspec.convert(dict(row), BankLine) for row in rows]


async def payments_of(connection: Connection, ntpns: Sequence[str]) -> Mapping[str, Payment]:
    """
    Payments by NTPN.
    """
    rows = await connection.fetch(SQL.read_payments, ntpns)
    return {row["ntpn"]: msgspec.convert(dict(row), Payment) for row in rows}


async def judge(connection: Connection, run_id: str, judged: Sequence[Judged]) -> None:
    """
    Note what lines are to us. What is judged stays so.
    """
    await connection.execute(
        SQL.judge_settlement_lines,
        run_id,
        [each.line_number for each in judged],
        [each.outcome.value for each in judged],
        [each.verdict for each in judged],
    )


async def finish(connection: Connection, run_id: str, day: BankDay) -> None:
    """
    Note which payments of ours the report does not name, once.
    """
    if not await connection.fetchval(SQL.lock_settlement_run, run_id):
        await connection.execute(SQL.insert_missing_there, run_id, day.bank, day.begins_ms, day.ends_ms)
        await connection.execute(SQL.finish_settlement_run, run_id)


async def counts(connection: Connection, run_id: str) -> Counts:
    """
    How a report came out.
    """
    return msgspec.convert(dict(await connection.fetchrow(SQL.count_settlement, run_id) or {}), Counts)


async def differences(connection: Connection, run_id: str, *, rows_max: int) -> list[Difference]:
    """
    What did not match.
    """
    rows = await connection.fetch(SQL.read_differences, run_id, rows_max)
    return [msgspec.convert(dict(row), Difference) for row in rows]
