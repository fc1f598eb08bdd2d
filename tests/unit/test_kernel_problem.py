"""
Problems: the right language, a stable code, and nothing of what the client sent.
"""

import enum

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from kernel.http import problem
from kernel.http.problem import COMMON, Problem
from kernel.http.route import decode, idempotency_key


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "id"),
        ("", "id"),
        ("en", "en"),
        ("id", "id"),
        ("en-GB,en;q=0.9", "en"),
        ("id-ID,id;q=0.9,en;q=0.8", "id"),
        ("en;q=0.8,id;q=0.9", "id"),
        ("id;q=0.2, en; q=0.7", "en"),
        ("EN", "en"),
        ("fr,de;q=0.5", "id"),
        ("fr, en;q=0.1", "en"),
        ("*", "id"),
        ("en;q=0", "id"),
        ("en;q=nan", "id"),
        ("en;q=nonsense", "id"),
        ("id,en", "id"),
        ("en" + ",fr" * 10_000, "en"),
    ],
)
def test_the_language_is_indonesian_unless_english_is_preferred(accept: str | None, language: str) -> None:
    """
    A citizen who asks for nothing is answered in his own language.
    """
    headers = {} if accept is None else {"Accept-Language": accept}

    assert language == problem.language_of(make_mocked_request("GET", "/", headers=headers))


def test_a_refusal_is_problem_json_with_its_extras() -> None:
    """
    Code, status, request path and what the person needs next are all in the body.
    """
    request = make_mocked_request("POST", "/v1/tokens", headers={"Accept-Language": "en"})
    response = problem.answer(request, problem.STILL_RUNNING, retry_after_seconds=3, seats=[1])
    body = msgspec.json.decode(response.body)

    assert (409, "application/problem+json", "3") == (
        response.status,
        response.content_type,
        response.headers["Retry-After"],
    )
    assert {
        "type": "/problems/still_running",
        "title": "A request with this key is still being worked on",
        "status": 409,
        "detail": "Repeat in a moment with the same key.",
        "code": "still_running",
        "instance": "/v1/tokens",
        "request_id": None,
        "seats": [1],
        "retry_after": 3,
    } == body


@pytest.mark.parametrize(("chance", "expected_ms"), [(0.0, 2000), (0.25, 2500), (0.9999, 4000)])
def test_who_is_turned_away_returns_between_once_and_twice_the_time(chance: float, expected_ms: int) -> None:
    """
    The draw is spread evenly, and is never earlier than asked for.
    """
    assert expected_ms == problem.spread_ms(2, lambda: chance)


def test_a_crowd_turned_away_at_one_moment_is_told_different_moments() -> None:
    """
    Header and body agree; whole seconds in the header, as RFC 9110 has it.
    """
    request = make_mocked_request("POST", "/v1/reservations")
    answers = [problem.answer(request, problem.OUTCOME_UNKNOWN, retry_after_seconds=2) for _ in range(200)]
    bodies = [msgspec.json.decode(answer.body) for answer in answers]

    assert {"2", "3", "4"} == {answer.headers["Retry-After"] for answer in answers}
    assert [answer.headers["Retry-After"] for answer in answers] == [str(body["retry_after"]) for body in bodies]
    assert all(abs(body["retry_after_ms"] - 1000 * body["retry_after"]) <= 500 for body in bodies)
    assert len({body["retry_after_ms"] for body in bodies}) > 100


def test_common_problems_have_codes_of_their_own() -> None:
    """
    A code is what a client branches on.
    """
    assert len(COMMON) == len({kind.code for kind in COMMON})


class Colour(enum.Enum):
    """
    An enumeration in a request.
    """

    RED = "red"


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A request with one field of each kind that can be wrong.
    """

    colour: Colour
    people: tuple[str, ...] = ()
    anything: object = None


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b'{"colour":"red","anything":"\xff"}', "body"),
        (b"[]", "body"),
        (b"{}", "colour"),
        (b'{"colour":"3273014107900001"}', "colour"),
        (b'{"colour":"red","people":["a",3273014107900001]}', "people[1]"),
        (b'{"colour":"red","size":1}', "size"),
        (b'{"colour":"red","anything":' + b"[" * 20_000, "body"),
    ],
)
def test_a_bad_body_names_the_field_and_never_repeats_the_value(raw: bytes, field: str) -> None:
    """
    The value may be a NIK; problems end in logs of clients and proxies.
    """
    with pytest.raises(Problem) as refused:
        decode(raw, Asked)

    assert ("bad_request", field) == (refused.value.kind.code, refused.value.extras["field"])
    assert "3273014107900001" not in str(refused.value.extras)


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "with space", "späße-123", "semi;colon", "new\nline12"])
def test_an_idempotency_key_must_be_well_formed(key: str) -> None:
    """
    It becomes part of ids and of scopes, so its alphabet is small.
    """
    with pytest.raises(Problem, match="idempotency_key_missing"):
        idempotency_key(make_mocked_request("POST", "/", headers={"Idempotency-Key": key}))
