"""
The ways identity says no.

Used by routes. None of them says more than its asker may know: a wrong password and an
unknown username are one answer, and nothing tells whether an e-mail address has an account.
"""

from typing import Final

from kernel.http.problem import ProblemType

USERNAME_TAKEN: Final = ProblemType(
    code="username_taken",
    status=409,
    title_id="Nama pengguna sudah dipakai",
    title_en="This username is taken",
    next_id="Pilih nama pengguna lain.",
    next_en="Choose another username.",
)
PASSWORD_REFUSED: Final = ProblemType(
    code="password_refused",
    status=400,
    title_id="Kata sandi terlalu mudah ditebak",
    title_en="This password is too easy to guess",
    next_id="Pilih kata sandi lain: beberapa kata yang tidak berhubungan lebih kuat daripada satu.",
    next_en="Choose another password: a few unrelated words are stronger than one.",
)
ACTIVATION_TOKEN_UNKNOWN: Final = ProblemType(
    code="activation_token_invalid",
    status=404,
    title_id="Tautan aktivasi tidak dikenal",
    title_en="This activation link is not known",
    next_id="Buka tautan dari surel terakhir secara utuh, atau daftar lagi.",
    next_en="Open the whole link of the latest mail, or register again.",
)
ACTIVATION_TOKEN_EXPIRED: Final = ProblemType(
    code="activation_token_invalid",
    status=410,
    title_id="Tautan aktivasi tidak berlaku lagi",
    title_en="This activation link is no longer good",
    next_id="Daftar lagi untuk mendapat tautan baru.",
    next_en="Register again to get a new link.",
)
WRONG_CREDENTIALS: Final = ProblemType(
    code="wrong_credentials",
    status=401,
    title_id="Nama pengguna atau kata sandi salah",
    title_en="Wrong username or password",
    next_id="Periksa keduanya lalu coba lagi.",
    next_en="Check both and try again.",
)
ACCOUNT_NOT_ACTIVE: Final = ProblemType(
    code="account_not_active",
    status=403,
    title_id="Akun belum diaktifkan",
    title_en="This account is not active yet",
    next_id="Buka tautan aktivasi di surel Anda.",
    next_en="Open the activation link in your mail.",
)
TOO_MANY_ATTEMPTS: Final = ProblemType(
    code="too_many_attempts",
    status=429,
    title_id="Terlalu banyak percobaan masuk",
    title_en="Too many attempts to log in",
    next_id="Tunggu selama retry_after detik, lalu coba lagi.",
    next_en="Wait for retry_after seconds, then try again.",
)
BUSY: Final = ProblemType(
    code="busy",
    status=503,
    title_id="Sedang terlalu ramai",
    title_en="Too busy right now",
    next_id="Coba lagi sebentar lagi; belum ada yang terjadi.",
    next_en="Try again in a moment; nothing has happened yet.",
)
PERSONS_LIMIT_REACHED: Final = ProblemType(
    code="persons_limit_reached",
    status=409,
    title_id="Jumlah anggota keluarga di akun ini sudah penuh",
    title_en="This account has as many family members as it may",
    next_id="Pakai akun lain untuk anggota keluarga berikutnya.",
    next_en="Use another account for further family members.",
)
FAMILY_CARD_DIFFERS: Final = ProblemType(
    code="family_card_differs",
    status=409,
    title_id="Nomor KK berbeda dari anggota lain di akun ini",
    title_en="The family card number differs from the others of this account",
    next_id="Periksa nomor KK; satu akun hanya untuk satu kartu keluarga.",
    next_en="Check the family card number; an account is for one family card.",
)
PERSON_BELONGS_ELSEWHERE: Final = ProblemType(
    code="person_belongs_elsewhere",
    status=409,
    title_id="Orang ini sudah terdaftar di akun lain",
    title_en="This person belongs to another account",
    next_id="Periksa NIK. Bila benar, hubungi kantor imigrasi untuk memindahkannya.",
    next_en="Check the NIK. If it is right, ask an immigration office to move the person.",
)
NAMES_NOT_TODAY: Final = ProblemType(
    code="names_not_today",
    status=403,
    title_id="Nama hanya dapat dibaca pada hari kunjungan itu sendiri",
    title_en="Names are read on the day of the visit itself",
    next_id="Sekarang yang dapat dibaca adalah hari dalam today. Hari yang diminta baru terbuka pada readable_from; "
    "hari yang sudah lewat tidak terbuka lagi.",
    next_en="What can be read now is the day in today. The day asked for opens at readable_from; a day that is over "
    "does not open again.",
)
NO_VISITS_KNOWN: Final = ProblemType(
    code="no_visits_known",
    status=404,
    title_id="Belum ada kunjungan yang diketahui di kantor ini",
    title_en="No visit is known at this office yet",
    next_id="Periksa kode kantor. Nama muncul setelah ada pemesanan yang dibayar di kantor itu.",
    next_en="Check the office's code. Names appear once a booking there has been paid.",
)
