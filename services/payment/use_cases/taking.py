"""
Take what a bank reported, once.

Called by the use cases that have asked the bank, in their transaction, with the event it announces
in the outbox of the same transaction. Nothing here reads the clock or asks anybody.
"""

from contracts.envelope import seal
from contracts.events import PaymentReceived
from kernel import outbox
from kernel.postgres import Connection
from services.payment import stores
from services.payment.domain.inquiry import Paid, Said
from services.payment.domain.settlement import Invoice, Payment, Report, Verdict, judge
from services.payment.domain.snap import Code

ROOM = "payment"


async def settle(connection: Connection, report: Report, *, said: Said, now_ms: int) -> tuple[Verdict | None, Code]:
    """
    Take a verified report once. Returns the verdict, None for a repeated notification, and the answer.

    `said` is what the bank answered when it was asked about this report; silence keeps the report in doubt.
    """
    await stores.lock_report(connection, report)
    seen = await stores.callback_seen(connection, report)
    if seen is not None:
        body_sha256, before = seen
        return None, before.code if body_sha256 == report.body_sha256 else Code.CONFLICT
    verdict = await _judge(connection, report, said=said, now_ms=now_ms)
    if verdict is Verdict.UNCONFIRMED:
        await stores.insert_unconfirmed(connection, report)
    await stores.remember_callback(connection, report, verdict)
    return verdict, verdict.code


async def resolve(connection: Connection, report: Report, *, said: Said, is_last: bool, now_ms: int) -> Verdict | None:
    """
    Give a report in doubt its end, if the bank's answer is one. The last silence lists it. None if it has had its end.
    """
    await stores.lock_report(connection, report)
    if not await stores.is_unconfirmed(connection, report):
        return None
    verdict = await _judge(connection, report, said=said, now_ms=now_ms)
    if verdict is Verdict.UNCONFIRMED:
        if not is_last:
            return verdict
        await stores.insert_exception(connection, report, verdict)
    await stores.end_doubt(connection, report, verdict)
    return verdict


async def _judge(connection: Connection, report: Report, *, said: Said, now_ms: int) -> Verdict:
    known = await stores.payment_of(connection, report.ntpn)
    invoice = await stores.lock_invoice(connection, report.billing_code)
    is_given_back = await stores.is_given_back(connection, report.ntpn)
    verdict = judge(report, invoice=invoice, known=known, said=said, is_given_back=is_given_back)
    if verdict is Verdict.ACCEPTED and invoice is not None:
        await take(connection, report, invoice, bank=report.bank, now_ms=now_ms)
    elif verdict.is_exception:
        await stores.insert_exception(connection, report, verdict)
    return verdict


async def take(connection: Connection, paid: Paid, invoice: Invoice, *, bank: str, now_ms: int) -> None:
    """
    Money pays an invoice in full: stored, and told to booking with the bank's moment. The invoice is locked.
    """
    payment = Payment(
        ntpn=paid.ntpn,
        bank=bank,
        journal_number=paid.journal_number,
        billing_code=invoice.billing_code,
        booking_id=invoice.booking_id,
        amount_rupiah=invoice.amount_rupiah,
        paid_at_ms=paid.paid_at_ms,
        told_code=paid.billing_code if paid.billing_code != invoice.billing_code else None,
    )
    await stores.insert_payment(connection, payment)
    await stores.resolve_doubts(connection, payment.ntpn)
    received = PaymentReceived(
        booking_id=payment.booking_id,
        billing_code=payment.billing_code,
        bank=payment.bank,
        journal_number=payment.journal_number,
        ntpn=payment.ntpn,
        amount_rupiah=payment.amount_rupiah,
        paid_at_ms=payment.paid_at_ms,
        at_ms=now_ms,
    )
    event_id = f"p.{payment.booking_id}.received"
    await outbox.append(connection, [seal(received, event_id=event_id, key=payment.booking_id, source=ROOM)])
