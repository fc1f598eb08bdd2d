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
BOOKING_NOT_MOVABLE: Final = ProblemType(
    code="booking_not_movable",
    status=409,
    title_id="Pemesanan ini tidak dapat dipindahkan",
    title_en="This booking cannot be moved",
    next_id="Hanya pemesanan yang sudah dikonfirmasi dapat dipindahkan; lihat kolom state.",
    next_en="Only a confirmed booking can be moved; see the member state.",
)
TOO_LATE_TO_RESCHEDULE: Final = ProblemType(
    code="too_late_to_reschedule",
    status=409,
    title_id="Sudah terlambat untuk mengganti jadwal",
    title_en="It is too late to choose another time",
    next_id="Jadwal dapat diganti sampai sehari sebelum kunjungan. Hubungi kantor bila ada halangan.",
    next_en="Another time can be chosen until the day before the visit. Call the office if something keeps you away.",
)
NO_RESCHEDULE_LEFT: Final = ProblemType(
    code="no_reschedule_left",
    status=409,
    title_id="Jadwal sudah pernah diganti",
    title_en="The time has been changed as often as it can be",
    next_id="Datanglah pada waktu yang tercatat, atau hubungi kantor.",
    next_en="Come at the time that is recorded, or call the office.",
)
MOVE_UNDER_WAY: Final = ProblemType(
    code="move_under_way",
    status=409,
    title_id="Perpindahan jadwal sedang diproses",
    title_en="Another move of this booking is under way",
    next_id="Tunggu sebentar, lalu lihat pemesanan ini lagi.",
    next_en="Wait a moment, then look at this booking again.",
)
REFUND_CHOSEN: Final = ProblemType(
    code="refund_chosen",
    status=409,
    title_id="Pengembalian uang sudah dipilih",
    title_en="The money is already wanted back",
    next_id="Tunggu pengembalian uang; untuk jadwal baru, buat pemesanan baru.",
    next_en="Wait for the refund; for another time make a new booking.",
)
SLOT_NOT_ELIGIBLE: Final = ProblemType(
    code="slot_not_eligible",
    status=409,
    title_id="Slot ini tidak dapat dipilih",
    title_en="This slot cannot be chosen",
    next_id="Pilih slot lain untuk layanan yang sama; lihat alternatives.",
    next_en="Choose another slot of the same service; see alternatives.",
)
NO_PLACES_THERE: Final = ProblemType(
    code="no_places_there",
    status=409,
    title_id="Tempat di slot ini tidak didapat; pemesanan Anda tetap seperti semula",
    title_en="There are no places to be had there; your booking stays as it was",
    next_id="Pilih slot lain; lihat alternatives.",
    next_en="Choose another slot; see alternatives.",
)
MOVE_NOT_FOUND: Final = ProblemType(
    code="move_not_found",
    status=404,
    title_id="Perpindahan tidak ditemukan",
    title_en="There is no such move",
    next_id="Ikuti Location dari jawaban permintaan pindah.",
    next_en="Follow the Location of the answer to your wish to move.",
)
