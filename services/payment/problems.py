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
REFUND_NOT_FOUND: Final = ProblemType(
    code="refund_not_found",
    status=404,
    title_id="Tidak ada pengembalian dana",
    title_en="There is no refund",
    next_id="Periksa nomornya; pengembalian dana muncul di sini setelah diajukan.",
    next_en="Check the number; a refund appears here once it has been asked for.",
)
NOTHING_TO_REFUND: Final = ProblemType(
    code="nothing_to_refund",
    status=409,
    title_id="Tidak ada pembayaran untuk pemesanan ini",
    title_en="There is no payment for this booking",
    next_id="Periksa nomor pemesanan; bila pemesanan dipindahkan, gunakan nomor yang baru.",
    next_en="Check the booking number; if the booking was moved, use the new one.",
)
REFUND_ABOVE_PAYMENT: Final = ProblemType(
    code="refund_above_payment",
    status=409,
    title_id="Jumlah melebihi pembayaran",
    title_en="The amount is more than was paid",
    next_id="Ajukan paling banyak sebesar jumlah yang dibayar.",
    next_en="Ask for what was paid at most.",
)
REFUND_EXISTS: Final = ProblemType(
    code="refund_exists",
    status=409,
    title_id="Pengembalian dana untuk pembayaran ini sudah diajukan",
    title_en="A refund of this payment has been asked for already",
    next_id="Lihat daftar pengembalian dana; yang baru hanya dapat diajukan setelah yang lama ditolak.",
    next_en="Look at the list of refunds; another can be asked for only once that one is rejected.",
)
REFUND_NEEDS_ANOTHER: Final = ProblemType(
    code="refund_needs_another_person",
    status=403,
    title_id="Pengaju tidak boleh menyetujui sendiri",
    title_en="Who asks for a refund does not approve it",
    next_id="Mintalah rekan lain menyetujuinya.",
    next_en="Let a colleague approve it.",
)
REFUND_DECIDED: Final = ProblemType(
    code="refund_decided",
    status=409,
    title_id="Pengembalian dana ini sudah diputuskan",
    title_en="This refund has been decided already",
    next_id="Lihat keadaannya di daftar pengembalian dana.",
    next_en="Look at its state in the list of refunds.",
)
PROOF_WRONG: Final = ProblemType(
    code="payment_proof_wrong",
    status=422,
    title_id="Tidak ada pembayaran dengan nomor jurnal ini untuk pemesanan ini",
    title_en="No payment under this journal number is known for this booking",
    next_id="Periksa nomor jurnal pada bukti pembayaran; bila baru saja membayar, coba lagi beberapa menit lagi.",
    next_en="Check the journal number on the receipt; if you have only just paid, try again in a few minutes.",
)
PROOFS_TOO_MANY: Final = ProblemType(
    code="payment_proofs_too_many",
    status=429,
    title_id="Terlalu banyak nomor jurnal yang salah",
    title_en="Too many wrong journal numbers",
    next_id="Tunggu selama retry_after detik; pembayaran yang dilaporkan bank tetap tercatat tanpa ini.",
    next_en="Wait for retry_after seconds; a payment your bank reports is taken without this too.",
)
