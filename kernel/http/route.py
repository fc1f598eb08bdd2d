"""
A route is a row of a table: what it takes, what it answers, who may ask.

Rooms list theirs as `ROUTES`; `kernel.http.application` serves the table and
`kernel.http.openapi` documents the same table, so the two cannot differ.
"""

import dataclasses
import enum
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from kernel.auth.principal import Principal
from kernel.http.problem import BAD_REQUEST, IDEMPOTENCY_KEY_MISSING, TOO_LARGE, Problem, ProblemType
from kernel.http.quick import Begun, Tell

Handler = Callable[..., Awaitable[web.StreamResponse]]
"""Takes the request; that of a hot route also the `Call`."""
T = TypeVar("T")
_json = msgspec.json.Encoder()
_IDEMPOTENCY_KEY = "idempotency-key"
"""In small letters, as a quick way has it; aiohttp's headers do not mind."""
KEY_PATTERN = r"[A-Za-z0-9._:-]{8,128}"
_KEY = re.compile(KEY_PATTERN)
_VALUE = re.compile(r"(?<=^Invalid enum value) .*$", re.DOTALL)
"""msgspec repeats the value of an enumeration, which may be anything a person typed."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """
    What is known of a request to a hot route when its handler begins.
    """

    principal: Principal
    request_id: str
    app: web.Application


class Auth(enum.Enum):
    """
    What a caller must show.
    """

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - the name of a scheme
    PASS_OR_TOKEN = "pass_or_token"  # noqa: S105 - the name of a scheme


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    A query parameter, for the document; handlers read it with `query`.
    """

    name: str
    summary: str
    schema: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One call of the API.
    """

    method: str
    path: str
    """aiohttp's form: `/v1/bookings/{booking_id}`."""
    handler: Handler
    summary: str
    operation: str
    """operationId: a verb and a noun in snake_case."""
    auth: Auth = Auth.NONE
    role: str | None = None
    """A role the token must carry."""
    body: type | None = None
    query: tuple[Query, ...] = ()
    answers: dict[int, Any]
    """Struct type by status; None for no body, a content type such as `application/pdf` for bytes."""
    problems: tuple[ProblemType, ...] = ()
    idempotent: bool = False
    """Whether Idempotency-Key is required."""
    sandbox: bool = False
    """Served only where SANDBOX=1."""
    stream: bool = False
    """Answers for as long as somebody listens: the handler keeps its own deadlines, per write."""
    hot: bool = False
    """Served on the short way: without a deadline and a log context of its own, which its handler sees to."""
    quick: "Callable[[Mapping[str, str], bytes, Call, Tell], Begun] | None" = None
    """A hot route's way without a coroutine; what it does not know is the handler's."""


async def bytes_of(request: web.Request) -> bytes:
    """
    The body, which may be asked for again. Raises `Problem` when it is too large or breaks off.
    """
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(TOO_LARGE) from None
    except web.RequestPayloadError:
        raise Problem(BAD_REQUEST, field="body", reason="it broke off or cannot be decoded") from None


async def body_of(request: web.Request, kind: type[T]) -> T:
    """
    Decode and validate the JSON body in one pass. Raises `Problem` naming the field.
    """
    return decode(await bytes_of(request), kind)


def decode(raw: bytes, kind: type[T]) -> T:
    """
    JSON as `kind`. Raises `Problem` with `field` and `reason`; the value itself is not repeated.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or _named(reason)
        raise Problem(BAD_REQUEST, field=field, reason=_VALUE.sub("", reason)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(BAD_REQUEST, field="body", reason=f"not JSON: {error}") from None


def _named(reason: str) -> str:
    quoted = re.search(r"field `([^`]+)`", reason)
    return quoted[1] if quoted else "body"


def answer_json(payload: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """
    A struct as a JSON response, not cached unless `headers` say otherwise.
    """
    return web.Response(
        status=status,
        body=_json.encode(payload),
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def idempotency_key(request: web.Request) -> str:
    """
    The caller's Idempotency-Key. Raises `Problem` when it is missing or not well formed.
    """
    return key_in(request.headers)


def key_in(headers: Mapping[str, str]) -> str:
    """
    The same from the headers.
    """
    key = headers.get(_IDEMPOTENCY_KEY, "")
    if not _KEY.fullmatch(key):
        raise Problem(IDEMPOTENCY_KEY_MISSING, field="Idempotency-Key")
    return key


def query_of(request: web.Request, name: str, *, default: str, pattern: str, reason: str) -> str:
    """
    A query parameter that matches `pattern` whole. Raises `Problem` naming it.
    """
    value = request.query.get(name, default)
    if not re.fullmatch(pattern, value):
        raise Problem(BAD_REQUEST, field=name, reason=reason)
    return value
