"""
A citizen's door: the invoice of a booking.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from kernel.http.application import principal_of
from kernel.http.problem import answer
from kernel.http.route import Auth, Route, answer_json
from services.payment import problems, stores
from services.payment.domain.billing import CURRENCY, Line
from services.payment.routes.keys import BOOKING_ID, DATABASE


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


async def get_invoice(request: web.Request) -> web.Response:
    """
    The caller's invoice. Another account's looks exactly like none.
    """
    booking_id = request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        return answer(request, problems.INVOICE_NOT_READY, retry_after_seconds=1)
    async with request.app[DATABASE].connection() as connection:
        invoice = await stores.invoice_of(
            connection, booking_id=booking_id, account_id=principal_of(request).account_id
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


INVOICE_ROUTES = (
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
)
