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
ALREADY_CHECKED_IN: Final = ProblemType(
    code="already_checked_in",
    status=409,
    title_id="Pemesanan ini sudah dilayani masuk",
    title_en="This booking has already been checked in",
    next_id="Lihat checked_in_at dan checked_in_by; tanyakan kepada petugas itu.",
    next_en="See checked_in_at and checked_in_by; ask that officer.",
)
WRONG_DAY: Final = ProblemType(
    code="wrong_day",
    status=409,
    title_id="Pemesanan ini untuk hari lain",
    title_en="This booking is for another day",
    next_id="Minta pemohon datang pada tanggal dalam date, atau jadwalkan ulang.",
    next_en="Ask the applicant to come on date, or reschedule the booking.",
)
WRONG_OFFICE: Final = ProblemType(
    code="wrong_office",
    status=409,
    title_id="Pemesanan ini untuk kantor lain",
    title_en="This booking is for another office",
    next_id="Arahkan pemohon ke kantor dalam office_id.",
    next_en="Send the applicant to the office named in office_id.",
)
STEP_NOT_POSSIBLE: Final = ProblemType(
    code="step_not_possible",
    status=409,
    title_id="Langkah ini tidak mungkin dari keadaan sekarang",
    title_en="This step is not possible from where the booking is",
    next_id="Lihat kolom state dan muat ulang lembar hari ini.",
    next_en="See the member state and load the day sheet again.",
)
TICKET_REFUSED: Final = ProblemType(
    code="ticket_refused",
    status=422,
    title_id="Tiket ini tidak sah",
    title_en="This ticket is not genuine",
    next_id="Periksa identitas pemohon dan cari dengan nomor antrean.",
    next_en="Check who the applicant is and look for the queue number.",
)
TICKETS_UNREADABLE: Final = ProblemType(
    code="tickets_unreadable",
    status=409,
    title_id="Tiket tidak dapat diperiksa di sini",
    title_en="Tickets cannot be checked here",
    next_id="Masukkan nomor antrean; beri tahu pengelola bahwa TICKET_PUBLIC_KEYS kosong.",
    next_en="Enter the queue number; tell the operators that TICKET_PUBLIC_KEYS is empty.",
)
