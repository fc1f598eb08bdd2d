"""
Check a payer's proof: the journal number his bank gave him.

Called by the route. Looks at what was reported, and where that is not enough asks the banks. A
payment whose notification never came is taken here as if it had. Wrong numbers are counted.
"""

import asyncio
import enum

import msgspec

from kernel.postgres import Connection, Database
from services.payment import stores
from services.payment.domain.inquiry import Nothing, Paid, Said
from services.payment.domain.proofs import WRONG_PER_ACCOUNT_MAX, WRONG_PER_BOOKING_MAX, Proof
from services.payment.domain.settlement import Invoice, Payment, Report, Verdict
from services.payment.use_cases import taking
from services.payment.use_cases.confirming import Banks


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """
    No proof, and why; with the seconds to wait where that helps.
    """

    why: "Why"
    wait_seconds: int | None = None


class Why(enum.Enum):
    """
    Reasons to refuse a proof.
    """

    NO_INVOICE = "no_invoice"
    TOO_MANY = "too_many"
    WRONG = "wrong"
    SILENT = "silent"


class InDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """
    A bank has reported this payment and has not yet said the same when asked.
    """

    invoice: Invoice


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """
    The payment is known: stored already, or told by a bank just now.
    """

    invoice: Invoice
    payment: Payment | None = None
    report: Report | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """
    The end of a proof: the payment, taken now or before; or what the bank told instead of one.
    """

    verdict: Verdict
    payment: Payment | None = None


async def hear(database: Database, banks: Banks, proof: Proof) -> Heard | InDoubt | Refused:
    """
    What is known of a payment, by us or by a bank. Counts the attempt and forgives it unless it was wrong.
    """
    async with database.transaction() as connection:
        first = await _look(connection, proof)
    if not isinstance(first, Invoice):
        return first
    told = await asyncio.gather(
        *(banks.ask(bank, billing_code=first.billing_code, journal_number=proof.journal_number) for bank in banks.names)
    )
    reports = [_report(bank, paid) for bank, paid in zip(banks.names, told, strict=True) if isinstance(paid, Paid)]
    mine = [one for one in reports if _is_about(one, first, proof)]
    if not mine and Nothing.SILENT not in told:
        return Refused(why=Why.WRONG)
    async with database.transaction() as connection:
        await stores.forgive_attempt(connection, proof)
        if mine:
            return Heard(invoice=first, report=mine[0])
        waits = await stores.is_journal_unconfirmed(
            connection, billing_code=first.billing_code, journal_number=proof.journal_number
        )
    return InDoubt(invoice=first) if waits else Refused(why=Why.SILENT)


async def settle(connection: Connection, heard: Heard, *, now_ms: int) -> Settled:
    """
    Take what a bank told being asked, once.
    """
    if heard.payment is not None:
        return Settled(verdict=Verdict.REPEATED, payment=heard.payment)
    if heard.report is None:
        raise ValueError("what was heard is a payment or a report")
    verdict, _ = await taking.settle(connection, heard.report, said=Said.SAME, now_ms=now_ms)
    payment = await stores.payment_of_booking(connection, heard.invoice.booking_id)
    if payment is not None and payment.ntpn == heard.report.ntpn:
        return Settled(verdict=verdict or Verdict.REPEATED, payment=payment)
    seen = await stores.callback_seen(connection, heard.report) if verdict is None else None
    return Settled(verdict=verdict or (seen[1] if seen else Verdict.UNCONFIRMED))


async def _look(connection: Connection, proof: Proof) -> Invoice | Heard | Refused:
    """
    The invoice to ask the banks about, with the attempt counted; or an answer that needs no bank.
    """
    invoice = await stores.invoice_of(connection, booking_id=proof.booking_id, account_id=proof.account_id)
    if invoice is None:
        return Refused(why=Why.NO_INVOICE)
    payment = await stores.payment_of_booking(connection, proof.booking_id)
    if payment is not None and payment.journal_number == proof.journal_number:
        return Heard(invoice=invoice, payment=payment)
    wait_seconds = _wait_seconds(await stores.attempts(connection, proof))
    if wait_seconds is not None:
        return Refused(why=Why.TOO_MANY, wait_seconds=wait_seconds)
    await stores.insert_attempt(connection, proof)
    return invoice


def _wait_seconds(attempts: stores.Attempts) -> int | None:
    if attempts.of_request:
        return None
    waits = [
        wait_seconds
        for count, count_max, wait_seconds in (
            (attempts.of_booking, WRONG_PER_BOOKING_MAX, attempts.booking_wait_seconds),
            (attempts.of_account, WRONG_PER_ACCOUNT_MAX, attempts.account_wait_seconds),
        )
        if count >= count_max and wait_seconds is not None
    ]
    return max(1, *waits) if waits else None


def _is_about(report: Report, invoice: Invoice, proof: Proof) -> bool:
    return (report.billing_code, report.journal_number) == (invoice.billing_code, proof.journal_number)


def _report(bank: str, paid: Paid) -> Report:
    # Banks' own ids are counted apart: theirs have no colon.
    return Report(
        **{name: getattr(paid, name) for name in Paid.__struct_fields__},
        bank=bank,
        external_id=f"inquiry:{paid.ntpn}",
        body_sha256=f"{paid.billing_code}:{paid.amount_value}:{paid.journal_number}",
    )
