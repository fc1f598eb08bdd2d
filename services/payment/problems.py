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
EXCEPTION_NOT_FOUND: Final = ProblemType(
    code="exception_not_found",
    status=404,
    title_id="Tidak ada laporan dengan nomor ini dalam daftar pengecualian",
    title_en="There is no report of this number in the list of exceptions",
    next_id="Gunakan `number` dari daftar pengecualian.",
    next_en="Use the `number` of the list of exceptions.",
)
EXCEPTION_RESOLVED: Final = ProblemType(
    code="exception_resolved",
    status=409,
    title_id="Laporan ini sudah diselesaikan",
    title_en="This report has been resolved already",
    next_id="Lihat penyelesaiannya dalam daftar pengecualian.",
    next_en="Look at how it ended in the list of exceptions.",
)
EXCEPTION_NOT_RUPIAH: Final = ProblemType(
    code="exception_not_rupiah",
    status=409,
    title_id="Jumlah yang dilaporkan bukan rupiah bulat",
    title_en="The amount reported is no whole rupiah",
    next_id="Tunggu laporan harian bank: rupiah yang tercantum di sana diselesaikan tersendiri; lalu tutup yang ini.",
    next_en="Wait for the bank's report of the day: rupiah it lists have an end of their own; then dismiss this one.",
)
EXCEPTION_MONEY_TAKEN: Final = ProblemType(
    code="exception_money_taken",
    status=409,
    title_id="NTPN ini sudah menjadi pembayaran",
    title_en="This NTPN is a payment already",
    next_id="Kembalikan pembayaran itu melalui pemesanannya, atau tutup laporan ini.",
    next_en="Refund that payment by its booking, or dismiss this report.",
)
EXCEPTION_UNCONFIRMED: Final = ProblemType(
    code="exception_unconfirmed",
    status=409,
    title_id="Bank belum membenarkan uang ini",
    title_en="The bank does not stand by this money",
    next_id="Ulangi bila bank menjawab, atau tunggu laporan hariannya; tanpa itu uang ini tidak digunakan.",
    next_en="Try again when the bank answers, or wait for its report of the day; until then the money goes nowhere.",
)
EXCEPTION_INVOICE_PAID: Final = ProblemType(
    code="exception_invoice_paid",
    status=409,
    title_id="Tagihan itu sudah dibayar",
    title_en="That invoice is paid already",
    next_id="Periksa kode billing; uang yang dibayar dua kali dikembalikan.",
    next_en="Check the billing code; money paid twice is given back.",
)
EXCEPTION_OTHER_AMOUNT: Final = ProblemType(
    code="exception_other_amount",
    status=409,
    title_id="Jumlahnya tidak sama dengan tagihan itu",
    title_en="The amount is not that of the invoice",
    next_id="Hanya pembayaran penuh yang dapat dicocokkan; selain itu uangnya dikembalikan.",
    next_en="Only a payment in full can be matched; any other money is given back.",
)
EXCEPTION_MONEY_MOVED: Final = ProblemType(
    code="exception_money_moved",
    status=409,
    title_id="Bank menyatakan uang ini telah diterima",
    title_en="The bank says that this money came",
    next_id="Kembalikan uangnya atau cocokkan dengan tagihan.",
    next_en="Give it back, or match it with an invoice.",
)
EXCEPTION_DAY_NOT_SETTLED: Final = ProblemType(
    code="exception_day_not_settled",
    status=409,
    title_id="Laporan harian bank untuk hari itu belum ada",
    title_en="The bank's report of that day is not here yet",
    next_id="Selesaikan laporan hari itu dengan `settle`, lalu ulangi.",
    next_en="Reconcile the report of that day with `settle`, then try again.",
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
