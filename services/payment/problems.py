"""
The refusals only payment gives.
"""

from typing import Final

from kernel.http.problem import ProblemType

INVOICE_NOT_READY: Final = ProblemType(
    code="invoice_not_ready",
    status=404,
    title_id="Belum ada tagihan untuk pemesanan ini",
    title_en="There is no invoice for this booking yet",
    next_id="Bila Anda baru saja memesan, coba lagi dalam satu detik; bila tidak, periksa nomor pemesanan Anda.",
    next_en="If you have only just booked, try again in a second; if not, check your booking number.",
)
BILLING_CODE_UNKNOWN: Final = ProblemType(
    code="billing_code_unknown",
    status=404,
    title_id="Kode billing tidak dikenal",
    title_en="The billing code is not known",
    next_id="Periksa lima belas angka kode billing pada tagihan.",
    next_en="Check the fifteen digits of the billing code on the invoice.",
)
BANK_UNREACHABLE: Final = ProblemType(
    code="bank_report_unknown",
    status=503,
    title_id="Hasil pelaporan bank belum diketahui",
    title_en="Whether the bank's report arrived is not known",
    next_id="Ulangi permintaan yang sama; pembayaran tidak akan tercatat dua kali.",
    next_en="Repeat the same request; the payment will not be taken twice.",
)
