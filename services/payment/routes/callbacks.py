"""
The banks' door: signed notifications of payments.

A callback is verified on its raw bytes before anything in it is believed; what becomes of it is
decided by the use case that takes it.
"""

import msgspec
from aiohttp import web

from kernel.http.problem import TOO_LARGE, Problem
from kernel.http.route import Route, answer_json
from kernel.log import get_logger
from services.payment import metrics
from services.payment.domain import snap
from services.payment.domain.inquiry import Paid
from services.payment.domain.notices import Notification, paid_of
from services.payment.domain.settlement import Report
from services.payment.domain.snap import Code
from services.payment.routes.keys import BANKS, DATABASE, KEYS, NOW_MS
from services.payment.use_cases import confirming

log = get_logger(__name__)


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
    Verify, have the bank confirm, settle once, answer in SNAP's words.
    """
    bank, clock = request.match_info["bank"], request.app[NOW_MS]
    keys = request.app[KEYS].get(bank)
    body = await _raw(request)
    headers = snap.headers_of(request.headers, with_token=keys is None or not keys.public_keys)
    refused = snap.check(headers, keys=keys, partner=bank, path=request.path, body=body, now_ms=clock())
    report = None if refused or headers is None else _report(bank, headers, body)
    if headers is None or report is None:
        refused = refused or snap.Refused(code=Code.INVALID_FIELD, reason="body_unreadable")
        return _bank_answer(bank if keys else "unknown", refused.reason, refused.code)
    verdict, code = await confirming.receive(request.app[DATABASE], request.app[BANKS], report, now_ms=clock)
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    paid = paid_of(told)
    if paid is None:
        return None
    return Report(
        **{name: getattr(paid, name) for name in Paid.__struct_fields__},
        bank=bank,
        external_id=headers.external_id,
        body_sha256=snap.fingerprint(body),
    )


def _bank_answer(bank: str, outcome: str, code: Code) -> web.Response:
    metrics.callbacks.labels(bank, outcome).inc()
    if code not in {Code.SUCCESSFUL, Code.IN_PROGRESS}:
        log.warning("callback_refused", bank=bank, outcome=outcome, response_code=code.value[0])
    return answer_json(BankAnswer(code=code.value[0], message=code.value[1]), status=code.status)


CALLBACK_ROUTES = (
    Route(
        method="POST",
        path="/v1/bank/callbacks/{bank}",
        handler=post_bank_callback,
        summary="A bank reports a payment (SNAP BI, signed with HMAC-SHA512 or SHA256withRSA)",
        operation="receive_bank_callback",
        body=Notification,
        answers={200: BankAnswer, 202: BankAnswer, 400: BankAnswer, 401: BankAnswer, 404: BankAnswer, 409: BankAnswer},
        problems=(TOO_LARGE,),
    ),
)
