"""
A citizen's door: the journal number of a receipt, where the bank's report is late or lost.
"""

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import answer
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.log import get_logger
from kernel.postgres import Connection
from services.payment import metrics, problems
from services.payment.domain.notices import Journal
from services.payment.domain.proofs import Proof
from services.payment.domain.settlement import Invoice, Payment, Verdict
from services.payment.routes.keys import BANKS, BOOKING_ID, DATABASE, NOW_MS
from services.payment.use_cases import proving
from services.payment.use_cases.proving import Heard, InDoubt, Refused, Settled, Why

log = get_logger(__name__)
COME_BACK_SECONDS = 5


class ProofAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What stands on the receipt.
    """

    journal_number: Journal


class ProofAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How the payment stands: `paid`; `unconfirmed`, the bank is being asked; `listed`, a person looks at it.
    """

    booking_id: str
    billing_code: str
    state: Literal["paid", "unconfirmed", "listed"]
    reason: str | None = None
    """Why it is listed."""
    ntpn: str | None = None
    amount_rupiah: int | None = None
    paid_at: str | None = None
    """RFC 3339 with the office's offset, by the bank's clock."""


async def post_payment_proof(request: web.Request) -> web.Response:
    """
    Check a journal number against what the bank reported, or says when asked.
    """
    asked = await body_of(request, ProofAsked)
    proof = Proof(
        booking_id=request.match_info["booking_id"],
        account_id=principal_of(request).account_id,
        journal_number=asked.journal_number,
        key=idempotency_key(request),
    )
    if not BOOKING_ID.fullmatch(proof.booking_id):
        return _refusal(request, proof, Refused(why=Why.NO_INVOICE))
    database, now_ms = request.app[DATABASE], request.app[NOW_MS]
    heard = await proving.hear(database, request.app[BANKS], proof)
    if isinstance(heard, Refused):
        return _refusal(request, proof, heard)
    if isinstance(heard, InDoubt):
        metrics.proofs.labels("unconfirmed").inc()
        return answer_json(_shown(heard.invoice, state="unconfirmed"), status=202)

    taken_rupiah: list[int] = []

    async def work(connection: Connection) -> web.Response:
        settled = await proving.settle(connection, heard, now_ms=now_ms())
        if settled.verdict is Verdict.ACCEPTED and settled.payment is not None:
            taken_rupiah.append(settled.payment.amount_rupiah)
        return answer_json(_settled(heard, settled))

    response = await once(request, database, scope=f"payment_proof:{proof.account_id}:{proof.booking_id}", work=work)
    metrics.proofs.labels("heard").inc()
    metrics.received_rupiah.inc(sum(taken_rupiah))
    return response


def _refusal(request: web.Request, proof: Proof, refused: Refused) -> web.Response:
    metrics.proofs.labels(refused.why.value).inc()
    log.info("proof_refused", booking_id=proof.booking_id, why=refused.why.value)
    if refused.why is Why.TOO_MANY:
        return answer(request, problems.PROOFS_TOO_MANY, retry_after_seconds=refused.wait_seconds)
    if refused.why is Why.WRONG:
        return answer(request, problems.PROOF_WRONG, field="journal_number")
    if refused.why is Why.SILENT:
        return answer(request, problems.BANK_UNREACHABLE, retry_after_seconds=COME_BACK_SECONDS)
    return answer(request, problems.INVOICE_NOT_READY, retry_after_seconds=1)


def _settled(heard: Heard, settled: Settled) -> ProofAnswer:
    if settled.payment is not None:
        return _shown(heard.invoice, state="paid", payment=settled.payment)
    return _shown(heard.invoice, state="listed", reason=settled.verdict.value)


def _shown(
    invoice: Invoice,
    *,
    state: Literal["paid", "unconfirmed", "listed"],
    payment: Payment | None = None,
    reason: str | None = None,
) -> ProofAnswer:
    zone = ZoneInfo(invoice.timezone)
    return ProofAnswer(
        booking_id=invoice.booking_id,
        billing_code=invoice.billing_code,
        state=state,
        reason=reason,
        ntpn=payment.ntpn if payment else None,
        amount_rupiah=payment.amount_rupiah if payment else None,
        paid_at=datetime.fromtimestamp(payment.paid_at_ms / 1000, zone).isoformat("T", "seconds") if payment else None,
    )


PROOF_ROUTES = (
    Route(
        method="POST",
        path="/v1/bookings/{booking_id}/payment-proof",
        handler=post_payment_proof,
        summary="Prove a payment by its journal number",
        operation="prove_payment",
        auth=Auth.TOKEN,
        body=ProofAsked,
        answers={200: ProofAnswer, 202: ProofAnswer},
        problems=(
            problems.INVOICE_NOT_READY,
            problems.PROOF_WRONG,
            problems.PROOFS_TOO_MANY,
            problems.BANK_UNREACHABLE,
        ),
        idempotent=True,
    ),
)
