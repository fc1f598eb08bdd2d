"""
Payment's doors: a citizen's invoice, the banks' callbacks, and the sandbox's bank.

Called by the gateway through `kernel.http`. A callback is verified on its raw bytes before
anything in it is believed; what becomes of it is decided by `use_cases.settle`.
"""

from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from kernel.clock import NowMs
from kernel.http.application import principal_of
from kernel.http.problem import TOO_LARGE, Problem, answer
from kernel.http.route import Auth, Route, answer_json, body_of
from kernel.log import get_logger
from kernel.postgres import Database
from services.payment import metrics, problems, stores, use_cases
from services.payment.domain import snap
from services.payment.domain.billing import CURRENCY, Line
from services.payment.domain.settlement import Report, Verdict
from services.payment.domain.snap import Code
from services.payment.sandbox_bank import Receipt, SandboxBank

log = get_logger(__name__)
DATABASE: Final = web.AppKey("database", Database)
SECRETS: Final = web.AppKey("secrets", dict[str, str])
SANDBOX_BANK: Final = web.AppKey("sandbox_bank", SandboxBank)
NOW_MS: Final[web.AppKey[NowMs]] = web.AppKey("now_ms")

BillingCode = Annotated[str, msgspec.Meta(pattern="^[0-9]{15}$")]


class InvoiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is to be paid, how, and until when.
    """

    booking_id: str
    billing_code: str
    virtual_account: str
    amount_rupiah: int
    currency: str
    lines: tuple[Line, ...]
    pay_by: str
    """RFC 3339 with the office's offset."""
    state: str


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """
    An amount as banks write it: `350000.00`.
    """

    value: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,13}\.[0-9]{2}$")]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """
    A bank's report of a payment. Banks may add fields; the signature covers them, nobody reads them.
    """

    billing_code: BillingCode
    amount: Amount
    ntpn: Annotated[str, msgspec.Meta(pattern="^[0-9A-Z]{16}$")]
    journal_number: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z-]{1,30}$")]
    paid_at: Annotated[str, msgspec.Meta(max_length=40)]


class BankAnswer(
    msgspec.Struct, frozen=True, kw_only=True, rename={"code": "responseCode", "message": "responseMessage"}
):
    """
    A SNAP answer.
    """

    code: str
    message: str


class SandboxPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Pay this code; by default exactly what it costs.
    """

    billing_code: BillingCode
    amount_rupiah: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None = None


async def get_invoice(request: web.Request) -> web.Response:
    """
    The caller's invoice. Another account's looks exactly like none.
    """
    async with request.app[DATABASE].connection() as connection:
        invoice = await stores.invoice_of(
            connection, booking_id=request.match_info["booking_id"], account_id=principal_of(request).account_id
        )
    if invoice is None:
        return answer(request, problems.INVOICE_NOT_READY, retry_after_seconds=1)
    pay_by = datetime.fromtimestamp(invoice.pay_by_ms / 1000, ZoneInfo(invoice.timezone))
    return answer_json(
        InvoiceAnswer(
            booking_id=invoice.booking_id,
            billing_code=invoice.billing_code,
            virtual_account=invoice.virtual_account,
            amount_rupiah=invoice.amount_rupiah,
            currency=CURRENCY,
            lines=invoice.lines,
            pay_by=pay_by.isoformat(timespec="seconds"),
            state=invoice.state,
        )
    )


async def post_bank_callback(request: web.Request) -> web.Response:
    """
    Verify, settle once, answer in SNAP's words.
    """
    bank, now_ms = request.match_info["bank"], request.app[NOW_MS]()
    secret = request.app[SECRETS].get(bank)
    body = await _raw(request)
    headers = snap.headers_of(request.headers)
    refused = snap.check(headers, secret=secret, bank=bank, path=request.path, body=body, now_ms=now_ms)
    report = None if refused or headers is None else _report(bank, headers, body)
    if headers is None or report is None:
        refused = refused or snap.Refused(code=Code.INVALID_FIELD, reason="body_unreadable")
        return _bank_answer(bank if secret else "unknown", refused.reason, refused.code)
    async with request.app[DATABASE].transaction() as connection:
        verdict, code = await use_cases.settle(connection, report, now_ms=now_ms)
    if verdict is Verdict.ACCEPTED:
        metrics.received_rupiah.inc(report.amount_rupiah or 0)
    outcome = verdict.value if verdict else "replayed" if code is not Code.CONFLICT else "replay_differs"
    return _bank_answer(bank, outcome, code)


async def post_sandbox_payment(request: web.Request) -> web.Response:
    """
    Play the bank. A code nobody issued can be paid only by naming the amount: banks do send such reports.
    """
    asked = await body_of(request, SandboxPayment)
    amount_rupiah = asked.amount_rupiah
    if amount_rupiah is None:
        async with request.app[DATABASE].connection() as connection:
            amount_rupiah = await stores.amount_of(connection, asked.billing_code)
    if amount_rupiah is None:
        return answer(request, problems.BILLING_CODE_UNKNOWN, field="billing_code")
    receipt = await request.app[SANDBOX_BANK].pay(asked.billing_code, amount_rupiah)
    if receipt is None:
        return answer(request, problems.BANK_UNREACHABLE, retry_after_seconds=2)
    return answer_json(receipt)


async def _raw(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(TOO_LARGE) from None


def _report(bank: str, headers: snap.Headers, body: bytes) -> Report | None:
    try:
        told = msgspec.json.decode(body, type=Notification)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    paid_at_ms = snap.moment_ms(told.paid_at)
    if paid_at_ms is None:
        return None
    return Report(
        bank=bank,
        external_id=headers.external_id,
        body_sha256=snap.fingerprint(body),
        billing_code=told.billing_code,
        amount_value=told.amount.value,
        currency=told.amount.currency,
        ntpn=told.ntpn,
        journal_number=told.journal_number,
        paid_at_ms=paid_at_ms,
    )


def _bank_answer(bank: str, outcome: str, code: Code) -> web.Response:
    metrics.callbacks.labels(bank, outcome).inc()
    if code is not Code.SUCCESSFUL:
        log.warning("callback_refused", bank=bank, outcome=outcome, response_code=code.value[0])
    return answer_json(BankAnswer(code=code.value[0], message=code.value[1]), status=code.status)


ROUTES = (
    Route(
        method="GET",
        path="/v1/bookings/{booking_id}/invoice",
        handler=get_invoice,
        summary="What a booking costs and how to pay it",
        operation="get_invoice",
        auth=Auth.TOKEN,
        answers={200: InvoiceAnswer},
        problems=(problems.INVOICE_NOT_READY,),
    ),
    Route(
        method="POST",
        path="/v1/bank/callbacks/{bank}",
        handler=post_bank_callback,
        summary="A bank reports a payment (SNAP BI, signed with HMAC-SHA512)",
        operation="receive_bank_callback",
        body=Notification,
        answers={200: BankAnswer, 400: BankAnswer, 401: BankAnswer, 404: BankAnswer, 409: BankAnswer},
        problems=(TOO_LARGE,),
    ),
    Route(
        method="POST",
        path="/v1/sandbox/bank/payments",
        handler=post_sandbox_payment,
        summary="Play the bank: pay a billing code",
        operation="pay_in_sandbox",
        body=SandboxPayment,
        answers={200: Receipt},
        problems=(problems.BILLING_CODE_UNKNOWN, problems.BANK_UNREACHABLE),
        sandbox=True,
    ),
)
