"""
Reconcile a bank's report of a day with the payments taken.

Called by the command `settle`. The report is stored first, then judged line by line, so that a run which
was cut short goes on where it stopped, and the same file again changes nothing. Money the bank took and
never told of is taken here by the same way as a notification, one transaction each: `taking.settle`.
"""

from collections.abc import Mapping
from typing import Final

from kernel.ids import derived
from kernel.postgres import Connection, Database
from services.payment import stores
from services.payment.domain.bank_day import BankDay, BankLine, Outcome, compare
from services.payment.domain.inquiry import Said
from services.payment.domain.settlement import Payment, Report, Verdict
from services.payment.stores import settlements
from services.payment.stores.settlements import Counts, Judged
from services.payment.use_cases import taking

CHUNK_LINES: Final = 1000
_OUTCOMES: Final = {
    Verdict.REPEATED: Outcome.MATCHED,
    Verdict.PARTIAL: Outcome.AMOUNT_DIFFERS,
    Verdict.OVERPAID: Outcome.AMOUNT_DIFFERS,
}
"""Of a line we know no payment of; whatever else settling says, it is missing here."""


async def reconcile(database: Database, day: BankDay, *, content_sha256: str) -> tuple[Counts, bool]:
    """
    Judge every line of a report. Returns how it came out, and whether the same report was there before.
    """
    run_id = derived("stl", day.bank, day.settled_on.isoformat(), content_sha256)
    async with database.transaction() as connection:
        new = await settlements.begin(connection, run_id, day)
    while True:
        async with database.connection() as connection:
            lines = await settlements.next_lines(connection, run_id, rows_max=CHUNK_LINES)
            known = await settlements.payments_of(connection, [line.ntpn for line in lines])
        if not lines:
            break
        await _judge(database, run_id, day.bank, lines, known)
    async with database.transaction() as connection:
        await settlements.finish(connection, run_id, day)
        return await settlements.counts(connection, run_id), not new


async def _judge(
    database: Database, run_id: str, bank: str, lines: list[BankLine], known: Mapping[str, Payment]
) -> None:
    found = {line.line_number: compare(line, known[line.ntpn], bank=bank) for line in lines if line.ntpn in known}
    matched = [
        Judged(line_number=line.line_number, outcome=Outcome.DUPLICATE if line.repeats else Outcome.MATCHED)
        for line in lines
        if found.get(line.line_number) is Outcome.MATCHED
    ]
    async with database.transaction() as connection:
        await settlements.judge(connection, run_id, matched)
    for line in lines:
        outcome = found.get(line.line_number)
        if outcome is not Outcome.MATCHED:
            async with database.transaction() as connection:
                await _settle(connection, run_id, bank, line, outcome)


async def _settle(connection: Connection, run_id: str, bank: str, line: BankLine, outcome: Outcome | None) -> None:
    """
    Take it as a payment or list it as an exception, as if the bank had notified us; and note what it was.
    """
    content = derived("stl", bank, line.ntpn, line.billing_code, str(line.amount_rupiah))
    report = Report(
        bank=bank,
        external_id=content,
        body_sha256=content,
        billing_code=line.billing_code,
        amount_value=f"{line.amount_rupiah}.00",
        currency="IDR",
        ntpn=line.ntpn,
        journal_number=line.journal_number,
        paid_at_ms=line.paid_at_ms,
    )
    now_ms = await settlements.read_now_ms(connection)
    # The report of the day is the bank's own word, asked for; nobody has to ask it again.
    verdict, _ = await taking.settle(connection, report, said=Said.SAME, now_ms=now_ms)
    verdict = verdict or await _before(connection, report)
    outcome = Outcome.DUPLICATE if line.repeats else outcome or _OUTCOMES.get(verdict, Outcome.MISSING_HERE)
    await settlements.judge(
        connection, run_id, [Judged(line_number=line.line_number, outcome=outcome, verdict=verdict.value)]
    )


async def _before(connection: Connection, report: Report) -> Verdict:
    """
    What settling made of the same line in an earlier report.
    """
    seen = await stores.callback_seen(connection, report)
    return seen[1] if seen is not None and seen[1].is_exception else Verdict.REPEATED
