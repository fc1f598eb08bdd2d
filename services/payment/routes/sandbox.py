"""
The sandbox's doors: play the bank. Served only where SANDBOX=1.
"""

from typing import Annotated

import msgspec
from aiohttp import web

from kernel.http.problem import answer
from kernel.http.route import Route, answer_json, body_of, bytes_of
from services.payment import problems, stores
from services.payment.domain.access import TokenAnswer, TokenAsked
from services.payment.domain.notices import BillingCode, Inquiry, InquiryAnswer
from services.payment.routes.keys import DATABASE, SANDBOX_BANK
from services.payment.sandbox_bank import Receipt


class SandboxPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Pay this code; by default exactly what it costs.
    """

    billing_code: BillingCode
    amount_rupiah: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None = None
    paid_seconds_ago: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    """By the bank's clock: a report may come long after the money."""


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
    receipt = await request.app[SANDBOX_BANK].pay(
        asked.billing_code, amount_rupiah, paid_seconds_ago=asked.paid_seconds_ago
    )
    if receipt is None:
        return answer(request, problems.BANK_UNREACHABLE, retry_after_seconds=2)
    return answer_json(receipt)


async def post_sandbox_inquiry(request: web.Request) -> web.Response:
    """
    What the sandbox's bank knows of a payment, said only to who signs as its partner.
    """
    status, said = await request.app[SANDBOX_BANK].inquire(request.headers, request.path, await bytes_of(request))
    return answer_json(said, status=status)


async def post_sandbox_token(request: web.Request) -> web.Response:
    """
    An access token of the sandbox's bank, for who signs with the key of BANK_CLIENT_KEY.
    """
    await body_of(request, TokenAsked)
    status, said = request.app[SANDBOX_BANK].give_token(request.headers)
    return answer_json(said, status=status)


SANDBOX_ROUTES = (
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
    Route(
        method="POST",
        path="/v1/sandbox/bank/access-token",
        handler=post_sandbox_token,
        summary="Be given an access token by the sandbox's bank (SNAP BI, signed with SHA256withRSA)",
        operation="ask_sandbox_token",
        body=TokenAsked,
        answers={200: TokenAnswer, 401: TokenAnswer},
        sandbox=True,
    ),
    Route(
        method="POST",
        path="/v1/sandbox/bank/inquiries",
        handler=post_sandbox_inquiry,
        summary="Ask the sandbox's bank about a payment (SNAP BI, signed with HMAC-SHA512)",
        operation="ask_sandbox_bank",
        body=Inquiry,
        answers={200: InquiryAnswer, 400: InquiryAnswer, 401: InquiryAnswer, 404: InquiryAnswer},
        sandbox=True,
    ),
)
