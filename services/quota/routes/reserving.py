"""
The counter: one reservation from its bytes to its answer's bytes. The hottest code there is.

Called on the short way, once per request; `routes` documents it. Every refusal has a code and
the fields a person needs next. Whoever can be told "sold out" from memory is; everybody
else is decided together with all who ask at the same moment. Never waits without an end:
the decider answers in time, and no answer is 503 with the reservation's id.
"""

import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from contracts.events import SlotPlanned
from kernel.errors import Retryable
from kernel.http import problem
from kernel.http.problem import Problem, ProblemType
from kernel.http.quick import LATER, Begun, Tell
from kernel.http.route import Call, bytes_of, decode, idempotency_key, key_in
from kernel.http.spoken import Spoken
from services.quota import problems
from services.quota.domain.availability import Alternative, local_time, next_opening, utc_time
from services.quota.domain.decisions import Ask, Held, Outcome, Refusal, Refused
from services.quota.routes.parts import CATALOGUE, OFFICE_PATTERN, RETRY_SECONDS
from services.quota.stores.catalogue import Catalogue
from services.quota.use_cases.reservations import Reservations, ask_of

RESERVATIONS: Final = web.AppKey("reservations", Reservations)

PERSONS_MAX: Final = 5
REFUSAL_GOOD_FOR_SECONDS: Final = 1.0
"""A sold-out answer may be repeated word by word for so long: its alternatives are as old as that anyway."""
REFUSALS_KEPT_MAX: Final = 20_000
PATH: Final = "/v1/reservations"

# Python's $ also matches before a last newline; the look-ahead refuses it and means nothing to other engines.
_END = r"$(?!\n)"
_PART = "[a-z0-9_-]{1,32}"
SlotId = Annotated[
    str, msgspec.Meta(pattern=rf"^{OFFICE_PATTERN}\.[0-9]{{8}}\.{_PART}\.{_PART}\.{_PART}{_END}", max_length=180)
]
PersonId = Annotated[str, msgspec.Meta(pattern=rf"^per_[0-9a-z]{{1,40}}{_END}")]


class ReservationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which slot, and for whom. Places go to the persons in this order.
    """

    slot_id: SlotId
    person_ids: Annotated[tuple[PersonId, ...], msgspec.Meta(min_length=1, max_length=PERSONS_MAX)]


class ReservationView(msgspec.Struct, frozen=True, kw_only=True):
    """
    Places by number, one per person, and until when they wait for money.
    """

    reservation_id: str
    slot_id: str
    seats: tuple[int, ...]
    """Queue numbers, in the order of `person_ids`."""
    person_ids: tuple[str, ...]
    pay_by: str
    pay_by_ms: int
    state: Literal["held", "confirmed", "released"]
    give_back_asked: bool = False


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """
    The body without its patterns, which cost more than the rest: a known slot and the caller's own persons fit them.
    """

    slot_id: str
    person_ids: tuple[str, ...]


_wish: Final = msgspec.json.Decoder(_Wish).decode
_json: Final = msgspec.json.Encoder().encode
_HELD_HEAD: Final = (
    b"Content-Type: application/json\r\nCache-Control: no-store\r\n"
    b"Location: /v1/reservations/%b\r\nX-Request-Id: %b\r\n"
)
_SOLD_OUT_HEAD: Final = (
    b"Content-Type: application/problem+json\r\nCache-Control: no-store\r\nContent-Language: %b\r\nX-Request-Id: %b\r\n"
)
_REPLAYED: Final = b"Idempotency-Replayed: true\r\n"
# Looked up once: Python 3.11 finds a member of an enumeration in Python.
_CREATED: Final = HTTPStatus.CREATED.value


async def make_reservation(request: web.Request, call: Call) -> web.StreamResponse:
    """
    Take places for a family, or say why not.
    """
    principal, key = call.principal, idempotency_key(request)
    catalogue, reservations = call.app[CATALOGUE], call.app[RESERVATIONS]
    wish = _wish_of(await bytes_of(request), catalogue)
    for person_id in wish.person_ids:
        if person_id not in principal.person_ids:
            raise Problem(problems.PERSON_NOT_YOURS, person_id=person_id)
    if catalogue.empty:
        raise Problem(problems.NOT_READY, retry_after_seconds=RETRY_SECONDS)
    ask = ask_of(principal.account_id, key, wish.slot_id, wish.person_ids)
    if reservations.sold_out(ask):
        return await _sold_out(request, call, ask)
    if reservations.busy():
        return _spoken(call, problem.language_of(request), problems.BUSY, retry_after_seconds=RETRY_SECONDS)
    try:
        decision = await reservations.reserve(ask)
    except Retryable:
        return _unknown(call, problem.language_of(request), ask)
    if isinstance(decision, Held):
        return _held(call, ask, decision)
    if decision.why is Refusal.SOLD_OUT:
        return await _sold_out(request, call, ask)
    return _refused(call, problem.language_of(request), ask, decision)


def reserve_quickly(headers: Mapping[str, str], body: bytes, call: Call, tell: Tell) -> Begun:
    """
    The same without waiting for anything but the decision. None, or `Problem`: `make_reservation` has to say it.
    """
    catalogue, reservations = call.app[CATALOGUE], call.app[RESERVATIONS]
    key, principal = key_in(headers), call.principal
    wish = _wish_of(body, catalogue)
    if catalogue.empty or not principal.person_ids.issuperset(wish.person_ids):
        return None
    ask = ask_of(principal.account_id, key, wish.slot_id, wish.person_ids)
    language = problem.language_in(headers.get("accept-language", ""))
    if reservations.sold_out(ask):
        return _sold_out_at_once(call, language, ask)
    if reservations.busy():
        return _spoken(call, language, problems.BUSY, retry_after_seconds=RETRY_SECONDS)
    reservations.ask(ask, partial(_tell, tell, call, language, ask))
    return LATER


def _tell(tell: Tell, call: Call, language: str, ask: Ask, outcome: Outcome) -> None:
    try:
        spoken = _spelled(call, language, ask, outcome)
    except Exception:  # noqa: BLE001 - the handler meets it too, answers and logs it
        spoken = None
    tell(spoken)


def _spelled(call: Call, language: str, ask: Ask, outcome: Outcome) -> Spoken | None:
    if isinstance(outcome, Held):
        return _held(call, ask, outcome)
    if isinstance(outcome, Retryable):
        return _unknown(call, language, ask)
    if isinstance(outcome, Exception):
        return None
    if outcome.why is Refusal.SOLD_OUT:
        return _sold_out_at_once(call, language, ask)
    return _refused(call, language, ask, outcome)


def _sold_out_at_once(call: Call, language: str, ask: Ask) -> Spoken | None:
    """
    The last answer, or a new one if nobody has to be waited for.
    """
    again = call.app[SOLD_OUT_ANSWERS].again(_kept_under(ask, language), call.request_id, time.monotonic())
    plan = call.app[CATALOGUE].slots.get(ask.slot_id)
    if again is not None or plan is None:
        return again
    alternatives = call.app[RESERVATIONS].instead_at_once(plan, len(ask.person_ids))
    return None if alternatives is None else _say_sold_out(call, language, ask, plan, alternatives)


def _wish_of(raw: bytes, catalogue: Catalogue) -> _Wish | ReservationBody:
    """
    The body. Raises `Problem` for one that is none; a slot that is known needs no second look at its spelling.
    """
    try:
        wish: _Wish | ReservationBody = _wish(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _strict(raw)
    persons = len(wish.person_ids)
    if wish.slot_id not in catalogue.slots or not 1 <= persons <= PERSONS_MAX:
        wish = _strict(raw)
    if persons > 1 and len(set(wish.person_ids)) != persons:
        raise Problem(problem.BAD_REQUEST, field="person_ids", reason="a person is named twice")
    return wish


def _strict(raw: bytes) -> ReservationBody:
    return decode(raw, ReservationBody)


def _held(call: Call, ask: Ask, held: Held) -> Spoken:
    view = ReservationView(
        reservation_id=ask.reservation_id,
        slot_id=ask.slot_id,
        seats=held.seats,
        person_ids=ask.person_ids,
        pay_by=utc_time(held.pay_by_ms),
        pay_by_ms=held.pay_by_ms,
        state=held.state.value,
    )
    head = _HELD_HEAD % (ask.reservation_id.encode(), call.request_id.encode())
    return Spoken(_CREATED, head + _REPLAYED if held.replayed else head, _json(view))


class SoldOutAnswers:
    """
    The last words about slots that are sold out, kept to be repeated while they are young.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, str], tuple[float, bytes, bytes]] = {}

    def keep(self, key: tuple[str, int, str], said: bytes, request_id: str, now: float) -> None:
        """
        Remember an answer, less whom it was given to.
        """
        before, _, after = said.partition(request_id.encode())
        if len(self._kept) >= REFUSALS_KEPT_MAX:
            self._kept.clear()
        self._kept[key] = (now + REFUSAL_GOOD_FOR_SECONDS, before, after)

    def again(self, key: tuple[str, int, str], request_id: str, now: float) -> Spoken | None:
        """
        The same answer for somebody else, while it is young.
        """
        kept = self._kept.get(key)
        if kept is None or now >= kept[0]:
            return None
        spelled = request_id.encode()
        return Spoken(
            HTTPStatus.CONFLICT, _SOLD_OUT_HEAD % (key[2].encode(), spelled), b"%b%b%b" % (kept[1], spelled, kept[2])
        )


SOLD_OUT_ANSWERS: Final = web.AppKey("sold_out_answers", SoldOutAnswers)


async def _sold_out(request: web.Request, call: Call, ask: Ask) -> web.StreamResponse:
    language = problem.language_of(request)
    at_once = _sold_out_at_once(call, language, ask)
    if at_once is not None:
        return at_once
    plan = call.app[CATALOGUE].slots.get(ask.slot_id)
    if plan is None:
        return _spoken(call, language, problems.SOLD_OUT)
    alternatives = await call.app[RESERVATIONS].instead_of(plan, len(ask.person_ids))
    return _say_sold_out(call, language, ask, plan, alternatives)


def _say_sold_out(
    call: Call, language: str, ask: Ask, plan: SlotPlanned, alternatives: tuple[Alternative, ...]
) -> Spoken:
    said = _spoken(call, language, problems.SOLD_OUT, next_opens_at=next_opening(plan), alternatives=alternatives)
    call.app[SOLD_OUT_ANSWERS].keep(_kept_under(ask, language), said.body, call.request_id, time.monotonic())
    return said


def _kept_under(ask: Ask, language: str) -> tuple[str, int, str]:
    return ask.slot_id, len(ask.person_ids), language


def _refused(call: Call, language: str, ask: Ask, refused: Refused) -> Spoken:
    kind = REFUSALS[refused.why]
    retry_after_seconds = RETRY_SECONDS if kind.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return _spoken(call, language, kind, retry_after_seconds=retry_after_seconds, **_next_steps(call, ask, refused))


def _unknown(call: Call, language: str, ask: Ask) -> Spoken:
    return _spoken(
        call,
        language,
        problem.OUTCOME_UNKNOWN,
        retry_after_seconds=RETRY_SECONDS,
        reservation_id=ask.reservation_id,
    )


def _spoken(call: Call, language: str, kind: ProblemType, **more: Any) -> Spoken:
    return problem.spoken(kind, language=language, instance=PATH, request_id=call.request_id, **more)


def _next_steps(call: Call, ask: Ask, refused: Refused) -> dict[str, Any]:
    plan = call.app[CATALOGUE].slots.get(ask.slot_id)
    extras: dict[str, Any] = {}
    if refused.why is Refusal.WINDOW_NOT_OPEN:
        timezone = plan.timezone if plan else "UTC"
        extras = {"opens_at": local_time(refused.at_ms, timezone), "opens_at_ms": refused.at_ms}
    elif refused.why is Refusal.WINDOW_CLOSED:
        extras = {"next_opens_at": next_opening(plan) if plan else None}
    elif refused.why is Refusal.ACCOUNT_ALREADY_RESERVED:
        extras = {"reservation_id": refused.who}
    elif refused.why is Refusal.PERSON_ALREADY_RESERVED:
        extras = {"person_id": refused.who}
    elif refused.why is Refusal.NO_SHOW_BLOCK:
        extras = {"person_id": refused.who, "until": utc_time(refused.at_ms), "until_ms": refused.at_ms}
    elif refused.why is Refusal.CLAIM_TOO_OLD:
        extras = {"reservation_id": ask.reservation_id}
    return extras


REFUSALS: Final[dict[Refusal, ProblemType]] = {
    Refusal.UNKNOWN_SLOT: problems.SLOT_NOT_FOUND,
    Refusal.KEY_REUSED: problem.IDEMPOTENCY_KEY_REUSED,
    Refusal.ENDED: problems.RESERVATION_ENDED,
    Refusal.CHANNEL_NOT_PUBLIC: problems.CHANNEL_NOT_PUBLIC,
    Refusal.SLOT_CLOSED: problems.SLOT_CLOSED,
    Refusal.WINDOW_NOT_OPEN: problems.WINDOW_NOT_OPEN,
    Refusal.WINDOW_CLOSED: problems.WINDOW_CLOSED,
    Refusal.SOLD_OUT: problems.SOLD_OUT,
    Refusal.CLAIM_TOO_OLD: problem.OUTCOME_UNKNOWN,
    Refusal.STOPPED: problems.NOT_READY,
    Refusal.UNBALANCED: problems.NOT_READY,
    Refusal.ACCOUNT_ALREADY_RESERVED: problems.ACCOUNT_ALREADY_RESERVED,
    Refusal.PERSON_ALREADY_RESERVED: problems.PERSON_ALREADY_RESERVED,
    Refusal.NO_SHOW_BLOCK: problems.NO_SHOW_BLOCK,
}
"""How each refusal is said."""
