"""
Give a report that is no payment its end: the money goes back, pays an invoice, or never moved.

Called by the door of finance. The bank is asked first, with no connection held; then one transaction judges
under the locks under which reports are taken, so that no NTPN has two ends. A refund asked for here takes the
way of every other: a second person approves it, and while nobody has, it can be rejected; then the report is
open again.
"""

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection, Database
from services.payment import stores
from services.payment.domain.exceptions import End, KeptReport, Refusal, may_end
from services.payment.domain.inquiry import Said, compare
from services.payment.domain.refunds import Refund
from services.payment.domain.settlement import Verdict
from services.payment.stores import exceptions
from services.payment.stores.exceptions import Listed
from services.payment.use_cases import refunding, taking
from services.payment.use_cases.confirming import Banks


class Resolve(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who ends which report how, and why.
    """

    number: int
    end: End
    billing_code: str | None
    """Of the invoice it pays."""
    reason: str
    actor: str
    refund_id: str
    """Of the refund, should one be asked for."""


async def hear(database: Database, banks: Banks, number: int) -> Said:
    """
    What the bank says of the money now.
    """
    async with database.connection() as connection:
        kept = await exceptions.read(connection, number)
    if kept is None or kept.is_resolved or kept.amount_rupiah is None:
        return Said.UNKNOWN
    answer = await banks.ask(kept.bank, billing_code=kept.billing_code, journal_number=kept.journal_number)
    return compare(kept.paid, answer)


async def resolve(connection: Connection, ask: Resolve, *, said: Said, now_ms: int) -> Listed | Refusal:
    """
    End a report. Returns it as it stands then.
    """
    kept = await exceptions.lock(connection, ask.number)
    if kept is None:
        return Refusal.UNKNOWN
    known = await exceptions.evidence(connection, kept, said=said)
    invoice = await stores.lock_invoice(connection, ask.billing_code) if ask.billing_code else None
    refusal = may_end(kept, ask.end, known, invoice=invoice)
    if refusal is not None:
        return refusal
    if ask.end is End.REFUND and not await _give_back(connection, ask):
        return Refusal.GIVEN_BACK
    if ask.end is End.MATCHED and invoice is not None:
        await taking.take(connection, kept, invoice, bank=kept.bank, now_ms=now_ms)
        await stores.answer_callback(connection, kept.bank, kept.external_id, Verdict.ACCEPTED)
    await exceptions.end(connection, ask.number, ask.end, actor=ask.actor, reason=ask.reason)
    await entries.write(connection, _deed(ask, kept))
    return await exceptions.listed(connection, ask.number) or Refusal.UNKNOWN


async def _give_back(connection: Connection, ask: Resolve) -> bool:
    asked = await refunding.ask_for_exception(
        connection, refund_id=ask.refund_id, exception_number=ask.number, reason=ask.reason, actor=ask.actor
    )
    return isinstance(asked, Refund)


def _deed(ask: Resolve, kept: KeptReport) -> Deed:
    return Deed(
        actor=ask.actor,
        action="resolve_exception",
        subject=f"exception {ask.number}",
        reason=ask.reason,
        details={"end": ask.end.value, "was": kept.reason, "ntpn": kept.ntpn, "billing_code": ask.billing_code},
    )
