"""
Refusals as RFC 9457 `application/problem+json`, with a stable code, in Indonesian or English.

Rooms list theirs as `ProblemType`s in `problems.py`; routes return `answer(...)` for an
expected refusal or raise `Problem` from a helper. What is common to all rooms is here.
"""

import dataclasses
import functools
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from kernel.http.spoken import Spoken

_json = msgspec.json.Encoder()
REQUEST_ID: Final = web.RequestKey("request_id", str)
"""Names the request in its answer and in every line of the log about it."""
_chance = random.Random()  # noqa: S311 - spreads returning clients; nothing is guarded by it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """
    One way to say no. `code` never changes once published.
    """

    code: str
    status: int
    title_id: str
    """Indonesian, for people."""
    title_en: str
    next_id: str
    """What to do next, in Indonesian."""
    next_en: str


class Problem(Exception):
    """
    A refusal raised where returning one would be noise. `extras` become members of the body.
    """

    def __init__(self, kind: ProblemType, *, retry_after_seconds: int | None = None, **extras: Any) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds
        self.extras = extras


def language_of(request: web.Request) -> str:
    """
    `en` if the client prefers English over Indonesian, else `id`.
    """
    return language_in(request.headers.get("Accept-Language", ""))


def language_in(accepted: str) -> str:
    """
    The same from the header itself.
    """
    return _language(accepted[:200])


@functools.lru_cache(maxsize=1024)
def _language(accepted: str) -> str:
    weights = {"id": 0.0, "en": 0.0}
    for part in accepted.lower().split(",")[:10]:
        tag, _, parameter = part.partition(";")
        language, quality = tag.strip().split("-")[0], parameter.strip().removeprefix("q=")
        if language in weights:
            try:
                weights[language] = max(weights[language], float(quality or 1))
            except ValueError:
                continue
    return "en" if weights["en"] > weights["id"] else "id"


def spread_ms(retry_after_seconds: int, chance: Callable[[], float] = _chance.random) -> int:
    """
    When to come back, anywhere from `retry_after_seconds` to twice that: turned away together, they return one by one.
    """
    return round(retry_after_seconds * 1000 * (1 + chance()))


def answer(
    request: web.Request, kind: ProblemType, *, retry_after_seconds: int | None = None, **extras: Any
) -> web.Response:
    """
    The refusal as a response. Where it is we who cannot (503), everybody is given another moment to come back.
    """
    language = language_of(request)
    said = _members(
        kind, language, retry_after_seconds, instance=request.path, request_id=request.get(REQUEST_ID), **extras
    )
    headers = {"Content-Language": language, "Cache-Control": "no-store"}
    if "retry_after" in said:
        headers["Retry-After"] = str(said["retry_after"])
    return web.Response(
        status=kind.status, body=_json.encode(said), content_type="application/problem+json", headers=headers
    )


def spoken(
    kind: ProblemType,
    *,
    language: str,
    instance: str,
    request_id: str,
    retry_after_seconds: int | None = None,
    **extras: Any,
) -> Spoken:
    """
    The same where there is no request object: on a quick way.
    """
    said = _members(kind, language, retry_after_seconds, instance=instance, request_id=request_id, **extras)
    retry = f"Retry-After: {said['retry_after']}\r\n" if "retry_after" in said else ""
    head = (
        f"Content-Type: application/problem+json\r\nCache-Control: no-store\r\nContent-Language: {language}\r\n"
        f"{retry}X-Request-Id: {request_id}\r\n"
    )
    return Spoken(kind.status, head.encode(), _json.encode(said))


def _members(kind: ProblemType, language: str, retry_after_seconds: int | None, **more: Any) -> dict[str, Any]:
    english = language == "en"
    body = {
        "type": f"/problems/{kind.code}",
        "title": kind.title_en if english else kind.title_id,
        "status": kind.status,
        "detail": kind.next_en if english else kind.next_id,
        "code": kind.code,
        **more,
    }
    if retry_after_seconds is not None:
        if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
            body["retry_after_ms"] = spread_ms(retry_after_seconds)
            retry_after_seconds = round(body["retry_after_ms"] / 1000)
        body["retry_after"] = retry_after_seconds
    return body


BAD_REQUEST: Final = ProblemType(
    code="bad_request",
    status=400,
    title_id="Permintaan tidak dapat dibaca",
    title_en="The request cannot be read",
    next_id="Perbaiki kolom yang disebut lalu kirim lagi.",
    next_en="Correct the named field and send it again.",
)
UNAUTHENTICATED: Final = ProblemType(
    code="unauthenticated",
    status=401,
    title_id="Anda belum masuk, atau sesi Anda sudah berakhir",
    title_en="You are not signed in, or your sign-in has ended",
    next_id="Masuk lagi lalu ulangi.",
    next_en="Sign in again and repeat.",
)
FORBIDDEN: Final = ProblemType(
    code="forbidden",
    status=403,
    title_id="Akun ini tidak berhak melakukan itu",
    title_en="This account may not do that",
    next_id="Gunakan akun dengan hak yang sesuai.",
    next_en="Use an account that has the role for it.",
)
NOT_FOUND: Final = ProblemType(
    code="not_found",
    status=404,
    title_id="Tidak ditemukan",
    title_en="Not found",
    next_id="Periksa alamat atau nomornya.",
    next_en="Check the address or the number.",
)
METHOD_NOT_ALLOWED: Final = ProblemType(
    code="method_not_allowed",
    status=405,
    title_id="Metode tidak tersedia di alamat ini",
    title_en="This address does not take that method",
    next_id="Gunakan salah satu metode dalam Allow.",
    next_en="Use one of the methods in Allow.",
)
TOO_LARGE: Final = ProblemType(
    code="body_too_large",
    status=413,
    title_id="Isi permintaan terlalu besar",
    title_en="The body is too large",
    next_id="Kirim isi yang lebih kecil.",
    next_en="Send a smaller body.",
)
BODY_MISSING: Final = ProblemType(
    code="body_missing",
    status=408,
    title_id="Isi permintaan tidak diterima sampai selesai",
    title_en="The body did not arrive",
    next_id="Kirim lagi dengan Idempotency-Key yang sama.",
    next_en="Send it again with the same Idempotency-Key.",
)
HEAD_TOO_LARGE: Final = ProblemType(
    code="head_too_large",
    status=431,
    title_id="Alamat atau header permintaan terlalu panjang",
    title_en="The address or a header of the request is too long",
    next_id="Kirim alamat dan header yang lebih pendek.",
    next_en="Send a shorter address and shorter headers.",
)
TOO_MANY_CONNECTIONS: Final = ProblemType(
    code="too_many_connections",
    status=503,
    title_id="Terlalu banyak sambungan sekaligus",
    title_en="Too many connections at once",
    next_id="Ulangi setelah retry_after detik dengan Idempotency-Key yang sama.",
    next_en="Repeat after retry_after seconds with the same Idempotency-Key.",
)
IDEMPOTENCY_KEY_MISSING: Final = ProblemType(
    code="idempotency_key_missing",
    status=400,
    title_id="Idempotency-Key tidak ada atau tidak sah",
    title_en="Idempotency-Key is missing or not valid",
    next_id="Kirim header Idempotency-Key: 8 sampai 128 huruf, angka, titik, titik dua, garis bawah atau tanda hubung.",
    next_en="Send the header Idempotency-Key: 8 to 128 letters, digits, dots, colons, underscores or hyphens.",
)
IDEMPOTENCY_KEY_REUSED: Final = ProblemType(
    code="idempotency_key_reused",
    status=422,
    title_id="Idempotency-Key ini sudah dipakai untuk permintaan lain",
    title_en="This Idempotency-Key was used for another request",
    next_id="Pakai kunci baru untuk permintaan baru.",
    next_en="Use a new key for a new request.",
)
STILL_RUNNING: Final = ProblemType(
    code="still_running",
    status=409,
    title_id="Permintaan dengan kunci ini masih dikerjakan",
    title_en="A request with this key is still being worked on",
    next_id="Ulangi sebentar lagi dengan kunci yang sama.",
    next_en="Repeat in a moment with the same key.",
)
OUTCOME_UNKNOWN: Final = ProblemType(
    code="outcome_unknown",
    status=503,
    title_id="Jawaban belum diketahui",
    title_en="The outcome is not known yet",
    next_id="Ulangi dengan Idempotency-Key yang sama; tidak akan terjadi dua kali.",
    next_en="Repeat with the same Idempotency-Key; it will not happen twice.",
)
INTERNAL: Final = ProblemType(
    code="internal_error",
    status=500,
    title_id="Kesalahan pada sistem kami",
    title_en="A fault of ours",
    next_id="Ulangi dengan Idempotency-Key yang sama; sebutkan request_id bila melapor.",
    next_en="Repeat with the same Idempotency-Key; name the request_id when you report it.",
)

COMMON: Final = (
    BAD_REQUEST,
    UNAUTHENTICATED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TOO_LARGE,
    BODY_MISSING,
    HEAD_TOO_LARGE,
    TOO_MANY_CONNECTIONS,
    IDEMPOTENCY_KEY_MISSING,
    IDEMPOTENCY_KEY_REUSED,
    STILL_RUNNING,
    OUTCOME_UNKNOWN,
    INTERNAL,
)
