"""
The banks' door: signed notifications of payments.

A callback is verified on its raw bytes before anything in it is believed; what becomes of it is
decided by the use case that takes it.
"""

from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http.problem import TOO_LARGE, Problem
from kernel.http.route import Route, answer_json
from kernel.log import get_logger
from services.payment import metrics, use_cases
from services.payment.domain import snap
from services.payment.domain.settlement import Report, Verdict
from services.payment.domain.snap import Code
from services.payment.routes.keys import DATABASE, NOW_MS, SECRETS, BillingCode

log = get_logger(__name__)


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


CALLBACK_ROUTES = (
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
)
