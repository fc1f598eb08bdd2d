"""
The refusals only booking gives.
"""

from typing import Final

from kernel.http.problem import ProblemType

OFFICE_NOT_FOUND: Final = ProblemType(
    code="office_not_found",
    status=404,
    title_id="Kantor tidak ditemukan",
    title_en="There is no such office",
    next_id="Pilih kantor dari GET /v1/offices.",
    next_en="Choose an office from GET /v1/offices.",
)
BOOKING_NOT_FOUND: Final = ProblemType(
    code="booking_not_found",
    status=404,
    title_id="Pemesanan tidak ditemukan",
    title_en="There is no such booking",
    next_id="Periksa nomornya; pemesanan baru muncul di sini beberapa saat setelah tempat didapat.",
    next_en="Check its number; a new booking appears here moments after the places were taken.",
)
TOO_LATE_TO_CANCEL: Final = ProblemType(
    code="too_late_to_cancel",
    status=409,
    title_id="Sudah terlambat untuk membatalkan",
    title_en="It is too late to cancel",
    next_id="Pembatalan hanya sampai sehari sebelum kunjungan. Hubungi kantor bila ada halangan.",
    next_en="Cancelling is possible until the day before the visit. Call the office if something keeps you away.",
)
BOOKING_ENDED: Final = ProblemType(
    code="booking_ended",
    status=409,
    title_id="Pemesanan ini sudah berakhir",
    title_en="This booking has already ended",
    next_id="Tidak ada yang perlu dibatalkan; lihat kolom state.",
    next_en="There is nothing left to cancel; see the member state.",
)
SLOT_NOT_FOUND: Final = ProblemType(
    code="slot_not_found",
    status=404,
    title_id="Slot tidak ditemukan",
    title_en="There is no such slot",
    next_id="Periksa slot_id; slot yang belum direncanakan tidak ada.",
    next_en="Check its slot_id; a slot that is not planned does not exist.",
)
CLOSURE_NOT_FOUND: Final = ProblemType(
    code="closure_not_found",
    status=404,
    title_id="Kantor tidak ditutup pada hari itu",
    title_en="The office is not closed on that day",
    next_id="Periksa tanggalnya; hari libur dan hari bukan kerja bukan penutupan luar biasa.",
    next_en="Check the day; holidays and days without service are no exceptional closures.",
)
PLAN_CONTRADICTS: Final = ProblemType(
    code="plan_contradicts",
    status=422,
    title_id="Rencana ini bertentangan",
    title_en="This plan contradicts itself or what stands",
    next_id="Perbaiki sesuai kolom reason, lalu kirim lagi.",
    next_en="Mend what the member reason says and send it again.",
)
