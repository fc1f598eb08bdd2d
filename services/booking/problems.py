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
BOOKLETS_UNKNOWN: Final = ProblemType(
    code="booklets_unknown",
    status=404,
    title_id="Jenis buku paspor ini tidak dikenal",
    title_en="There is no such kind of booklet",
    next_id="Pilih salah satu dari kolom kinds.",
    next_en="Choose one that the member kinds names.",
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
SOLD_OUT: Final = ProblemType(
    code="sold_out",
    status=409,
    title_id="Kuota untuk tempat itu sudah habis",
    title_en="There are not enough of those places left",
    next_id="Pilih hari, sesi atau layanan lain dengan Idempotency-Key baru.",
    next_en="Choose another day, session or service with a new Idempotency-Key.",
)
PLACES_REFUSED: Final = ProblemType(
    code="places_refused",
    status=409,
    title_id="Tempat itu tidak dapat diberikan",
    title_en="Those places could not be had",
    next_id="Lihat kolom refusal; ulangi dengan Idempotency-Key baru bila halangannya sudah tidak ada.",
    next_en="See the member refusal; repeat with a new Idempotency-Key once nothing stands in the way.",
)
NOTHING_PLANNED: Final = ProblemType(
    code="nothing_planned",
    status=409,
    title_id="Kantor tidak mempunyai tempat seperti itu pada hari itu",
    title_en="The office has no such places that day, or their time is over",
    next_id="Pilih hari kerja yang akan datang, atau sesi dan layanan yang ada di kantor itu.",
    next_en="Choose a coming working day, or a session and a service which the office has.",
)
CAP_REACHED: Final = ProblemType(
    code="cap_reached",
    status=409,
    title_id="Batas harian kantor untuk tempat seperti itu sudah tercapai",
    title_en="The office has given as many of those places as it may that day",
    next_id="Pilih hari lain; batasnya di kolom cap, yang sudah diberikan di kolom given.",
    next_en="Choose another day; the limit is in the member cap, what was given in the member given.",
)
SEATING_NOT_FOUND: Final = ProblemType(
    code="counter_booking_not_found",
    status=404,
    title_id="Kantor ini tidak memberikan pemesanan dengan nomor itu",
    title_en="This office has given no booking of that number",
    next_id="Periksa nomornya; pemesanan warga dicari menurut nomor antreannya.",
    next_en="Check its number; bookings people made themselves are found by their queue number.",
)
NOTHING_TO_WAIT_FOR: Final = ProblemType(
    code="nothing_to_wait_for",
    status=409,
    title_id="Belum ada tempat yang pernah dibuka untuk kantor, layanan dan hari itu",
    title_en="No places of that office, service and range of days have been released and are still to come",
    next_id="Pilih rentang yang sudah dibuka, atau tunggu pembukaannya; lihat GET /v1/offices.",
    next_en="Choose a range that has been released, or wait for its release; see GET /v1/offices.",
)
PLACES_LEFT: Final = ProblemType(
    code="places_left",
    status=409,
    title_id="Masih ada tempat; tidak perlu menunggu",
    title_en="There are places left; nobody needs to wait",
    next_id="Buat reservasi untuk salah satu slot_ids; yang baru kembali ditawarkan lagi beberapa saat kemudian.",
    next_en="Reserve one of slot_ids; places that just came back are offered again a little later.",
)
PERSON_ALREADY_BOOKED: Final = ProblemType(
    code="person_already_booked",
    status=409,
    title_id="Salah satu pemohon sudah mempunyai pemesanan aktif",
    title_en="One of the applicants already has an active booking",
    next_id="Keluarkan person_ids itu dari permintaan, atau batalkan pemesanannya dahulu.",
    next_en="Leave those person_ids out, or cancel their booking first.",
)
APPLICANT_NOT_YOURS: Final = ProblemType(
    code="person_not_yours",
    status=403,
    title_id="Pemohon itu tidak terdaftar pada akun Anda",
    title_en="That applicant does not belong to your account",
    next_id="Daftarkan pemohon dahulu, lalu minta token baru.",
    next_en="Register the applicant first, then get a new token.",
)
WAITS_ALREADY: Final = ProblemType(
    code="waits_already",
    status=409,
    title_id="Akun atau pemohon itu sudah menunggu",
    title_en="This account, or one of the applicants, is waiting already",
    next_id="Lihat GET /v1/waitlist; keluar dahulu bila ingin menunggu yang lain.",
    next_en="See GET /v1/waitlist; leave that line first if you want to wait for something else.",
)
LINE_FULL: Final = ProblemType(
    code="waitlist_full",
    status=409,
    title_id="Daftar tunggu kantor ini sudah penuh",
    title_en="The waitlist of this office is full",
    next_id="Pilih kantor atau layanan lain.",
    next_en="Choose another office or service.",
)
WAITLIST_ENTRY_NOT_FOUND: Final = ProblemType(
    code="waitlist_entry_not_found",
    status=404,
    title_id="Anda tidak berada di daftar tunggu itu",
    title_en="You are not on that waitlist",
    next_id="Lihat GET /v1/waitlist.",
    next_en="See GET /v1/waitlist.",
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
