"""
The refusals only notify gives.
"""

from typing import Final

from kernel.http.problem import ProblemType

NOT_CONFIRMED: Final = ProblemType(
    code="not_confirmed",
    status=409,
    title_id="Pemesanan ini tidak memiliki tiket",
    title_en="This booking has no ticket",
    next_id="Tiket tersedia setelah pembayaran dikonfirmasi, selama pemesanan berlaku.",
    next_en="A ticket is there once the payment is confirmed, for as long as the booking stands.",
)
