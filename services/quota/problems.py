"""
How quota says no, in the words people read. Codes never change once published.
"""

from typing import Final

from kernel.http.problem import ProblemType

WINDOW_NOT_OPEN: Final = ProblemType(
    code="window_not_open",
    status=403,
    title_id="Pendaftaran belum dibuka",
    title_en="The window is not open yet",
    next_id="Coba lagi mulai opens_at, menurut waktu server.",
    next_en="Try again from opens_at on, by server time.",
)
WINDOW_CLOSED: Final = ProblemType(
    code="window_closed",
    status=403,
    title_id="Pendaftaran sudah ditutup",
    title_en="The window has closed",
    next_id="Kantor ini membuka lagi pada next_opens_at.",
    next_en="This office opens again at next_opens_at.",
)
SOLD_OUT: Final = ProblemType(
    code="sold_out",
    status=409,
    title_id="Kuota untuk sesi ini sudah habis",
    title_en="There are not enough places left in this slot",
    next_id="Pilih salah satu alternatives yang masih tersedia, atau tunggu next_opens_at.",
    next_en="Choose one of the alternatives that still have places, or wait for next_opens_at.",
)
ACCOUNT_ALREADY_RESERVED: Final = ProblemType(
    code="account_already_reserved",
    status=409,
    title_id="Akun ini sudah mempunyai reservasi aktif",
    title_en="This account already has an active reservation",
    next_id="Lihat reservation_id; batalkan dahulu bila ingin memilih yang lain.",
    next_en="See reservation_id; give it back first if you want another.",
)
PERSON_ALREADY_RESERVED: Final = ProblemType(
    code="person_already_reserved",
    status=409,
    title_id="Salah satu pemohon sudah mempunyai reservasi aktif",
    title_en="One of the applicants already has an active reservation",
    next_id="Keluarkan person_id itu dari permintaan, atau batalkan reservasinya dahulu.",
    next_en="Leave that person_id out, or give his reservation back first.",
)
NO_SHOW_BLOCK: Final = ProblemType(
    code="no_show_block",
    status=403,
    title_id="Salah satu pemohon tidak hadir pada janji sebelumnya",
    title_en="One of the applicants did not come to an earlier appointment",
    next_id="person_id itu dapat mendaftar lagi mulai until.",
    next_en="That person_id may reserve again from until on.",
)
CHANNEL_NOT_PUBLIC: Final = ProblemType(
    code="channel_not_public",
    status=403,
    title_id="Tempat ini hanya diberikan oleh petugas",
    title_en="These places are given out by officers only",
    next_id="Pilih slot dengan channel online.",
    next_en="Choose a slot whose channel is online.",
)
PERSON_NOT_YOURS: Final = ProblemType(
    code="person_not_yours",
    status=403,
    title_id="Pemohon itu tidak terdaftar pada akun Anda",
    title_en="That applicant does not belong to your account",
    next_id="Daftarkan pemohon dahulu, lalu minta pass baru.",
    next_en="Register the applicant first, then get a new pass.",
)
SLOT_NOT_FOUND: Final = ProblemType(
    code="slot_not_found",
    status=404,
    title_id="Slot itu tidak ada",
    title_en="There is no such slot",
    next_id="Ambil slot_id dari ketersediaan kantor.",
    next_en="Take a slot_id from the office's availability.",
)
SLOT_CLOSED: Final = ProblemType(
    code="slot_closed",
    status=409,
    title_id="Kantor menutup sesi ini",
    title_en="The office has closed this slot",
    next_id="Pilih sesi atau hari lain.",
    next_en="Choose another session or day.",
)
RESERVATION_ENDED: Final = ProblemType(
    code="reservation_ended",
    status=409,
    title_id="Reservasi ini sudah berakhir",
    title_en="This reservation has ended",
    next_id="Buat reservasi baru dengan Idempotency-Key baru.",
    next_en="Make a new reservation with a new Idempotency-Key.",
)
RESERVATION_CONFIRMED: Final = ProblemType(
    code="reservation_confirmed",
    status=409,
    title_id="Reservasi ini sudah dibayar",
    title_en="This reservation has been paid for",
    next_id="Batalkan melalui pemesanannya.",
    next_en="Cancel it through its booking.",
)
NOT_READY: Final = ProblemType(
    code="not_ready",
    status=503,
    title_id="Layanan belum siap menerima reservasi",
    title_en="Reservations cannot be taken at this moment",
    next_id="Ulangi sebentar lagi dengan Idempotency-Key yang sama.",
    next_en="Repeat in a moment with the same Idempotency-Key.",
)
STREAMS_FULL: Final = ProblemType(
    code="streams_full",
    status=503,
    title_id="Terlalu banyak yang mengikuti secara langsung",
    title_en="Too many are listening already",
    next_id="Ulangi setelah retry_after detik; sementara itu ambil ketersediaan tanpa /stream.",
    next_en="Repeat after retry_after seconds; meanwhile ask for the availability without /stream.",
)
BUSY: Final = ProblemType(
    code="busy",
    status=503,
    title_id="Terlalu banyak permintaan sekaligus",
    title_en="Too many requests at once",
    next_id="Ulangi setelah retry_after detik dengan Idempotency-Key yang sama.",
    next_en="Repeat after retry_after seconds with the same Idempotency-Key.",
)
