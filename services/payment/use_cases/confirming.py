"""
Believe a report only when its bank says the same being asked; ask again while it is silent.

`receive` is called by the callback, `confirm_for_ever` by the worker. No connection is held while
a bank is asked. A report nobody confirms ends in the list of exceptions, never in nothing.
"""

import asyncio
from typing import Protocol

from kernel.clock import NowMs
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Connection, Database
from services.payment import metrics, stores
from services.payment.domain.inquiry import ASKS_MAX, Answer, Said, compare
from services.payment.domain.settlement import Report, Verdict, judge
from services.payment.domain.snap import Code
from services.payment.use_cases import taking

log = get_logger(__name__)
ASKED_AT_ONCE = 16
IDLE_SECONDS = 1.0


class Banks(Protocol):
    """
    The banks that can be asked.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """
        All of them.
        """

    async def ask(self, bank: str, *, billing_code: str, journal_number: str) -> Answer:
        """
        What a bank knows of a payment. Silence is an answer; it never raises.
        """


async def receive(database: Database, banks: Banks, report: Report, *, now_ms: NowMs) -> tuple[Verdict | None, Code]:
    """
    Take a verified report once, after asking its bank. Returns what `taking.settle` does.
    """
    async with database.connection() as connection:
        is_open = await _is_open(connection, report)
    said = await _ask(banks, report) if is_open else Said.UNKNOWN
    async with database.transaction() as connection:
        verdict, code = await taking.settle(connection, report, said=said, now_ms=now_ms())
    _count(report, verdict)
    return verdict, code


async def confirm_for_ever(database: Database, banks: Banks, now_ms: NowMs) -> None:
    """
    Ask again about reports in doubt until cancelled.
    """
    while True:
        asked = 0
        try:
            asked = await confirm(database, banks, now_ms=now_ms)
        except Retryable as error:
            log.warning("confirming_waits", error=str(error))
        if asked < ASKED_AT_ONCE:
            await asyncio.sleep(IDLE_SECONDS)


async def confirm(database: Database, banks: Banks, *, now_ms: NowMs) -> int:
    """
    Ask about what is due, a bounded number at a time. Returns how many that were.
    """
    async with database.transaction() as connection:
        due = await stores.claim_unconfirmed(connection, rows_max=ASKED_AT_ONCE)
    said = await asyncio.gather(*(_ask(banks, report) for report, _ in due))
    for (report, asked), each in zip(due, said, strict=True):
        async with database.transaction() as connection:
            verdict = await taking.resolve(connection, report, said=each, is_last=asked >= ASKS_MAX, now_ms=now_ms())
        _count(report, verdict)
    async with database.connection() as connection:
        metrics.unconfirmed.set(await stores.count_unconfirmed(connection))
    return len(due)


async def _is_open(connection: Connection, report: Report) -> bool:
    """
    Whether only the bank's word is missing. Looked at without a lock: what it finds is judged again with one.
    """
    if await stores.callback_seen(connection, report) is not None:
        return False
    known = await stores.payment_of(connection, report.ntpn)
    invoice = await stores.invoice_by_code(connection, report.billing_code)
    return judge(report, invoice=invoice, known=known, said=Said.SAME) is Verdict.ACCEPTED


async def _ask(banks: Banks, report: Report) -> Said:
    answer = await banks.ask(report.bank, billing_code=report.billing_code, journal_number=report.journal_number)
    return compare(report.paid, answer)


def _count(report: Report, verdict: Verdict | None) -> None:
    if verdict is Verdict.ACCEPTED:
        metrics.received_rupiah.inc(report.amount_rupiah or 0)
