"""
A bank's notification is believed only as it was signed, by who signed it, when it was signed.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.payment.domain import snap
from services.payment.domain.snap import Code, Headers, Keys

SECRET = "a-secret-of-the-bank"
PATH = "/v1/bank/callbacks/sandbox"
BODY = b'{ "billing_code" : "812345678901234",\n "amount" : {"value": "350000.00"} }'
NOW = datetime(2026, 11, 27, 14, 0, tzinfo=timezone(timedelta(hours=7)))
NOW_MS = round(NOW.timestamp() * 1000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def headers(*, at: datetime = NOW, body: bytes = BODY, secret: str = SECRET, path: str = PATH) -> Headers:
    timestamp = at.isoformat()
    return Headers(
        timestamp=timestamp,
        signature=snap.signature(secret, path=path, access_token="token", body=body, timestamp=timestamp),
        partner_id="sandbox",
        external_id="1",
        access_token="token",
    )


def check(told: Headers | None, *, body: bytes = BODY, secret: str | None = SECRET) -> snap.Refused | None:
    keys = None if secret is None else Keys(secrets=(secret,))
    return snap.check(told, keys=keys, partner="sandbox", path=PATH, body=body, now_ms=NOW_MS)


@given(JSON, st.sampled_from([None, 1, 4, "\t"]))
def test_minifying_takes_white_space_and_nothing_else(value: object, indent: int | str | None) -> None:
    """
    However a bank lays its JSON out, the signed bytes are the same, in the same order.
    """
    compact = json.dumps(value, separators=(",", ":")).encode()

    assert compact == snap.minify(json.dumps(value, indent=indent).encode())
    assert compact == snap.minify(compact)


@given(st.text())
def test_white_space_inside_strings_is_kept(text: str) -> None:
    """
    A blank in a value is part of the value.
    """
    raw = json.dumps({"a b": text}, ensure_ascii=False).encode("utf-8", "surrogatepass")

    assert raw.replace(b'": "', b'":"', 1) == snap.minify(raw)


def test_the_signature_is_the_one_of_the_specification() -> None:
    """
    HMAC-SHA512 in base64 over POST, path, token, hash of the minified body, and time.
    """
    minified = b'{"billing_code":"812345678901234","amount":{"value":"350000.00"}}'
    text = f"POST:{PATH}:token:{hashlib.sha256(minified).hexdigest()}:2026-11-27T14:00:00+07:00"
    expected = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha512).digest()).decode()

    assert expected == headers().signature


def test_a_signed_notification_of_now_is_accepted() -> None:
    """
    The ordinary case, with the body laid out differently from how it was signed.
    """
    assert check(headers()) is None
    assert check(headers(), body=snap.minify(BODY)) is None


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_altered_byte_is_refused(position: int, flip: int) -> None:
    """
    Whoever changes the body on its way changes nothing but the answer.
    """
    altered = BODY[:position] + bytes([BODY[position] ^ flip]) + BODY[position + 1 :]
    if snap.minify(altered) == snap.minify(BODY):
        return  # white space for white space is the same message

    refused = check(headers(), body=altered)

    assert refused is not None
    assert "signature_wrong" == refused.reason


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (headers(secret="another-secret-of-16"), "signature_wrong"),
        (headers(path="/v1/bank/callbacks/other"), "signature_wrong"),
        (replace(headers(), access_token="other"), "signature_wrong"),
        (replace(headers(), signature="ü"), "signature_wrong"),
        (replace(headers(), partner_id="other"), "bank_unknown"),
        (replace(headers(), timestamp="yesterday"), "timestamp_unreadable"),
        (replace(headers(), timestamp="2026-11-27T14:00:00"), "timestamp_unreadable"),
        (None, "header_missing"),
    ],
)
def test_what_is_forged_is_refused(told: Headers | None, reason: str) -> None:
    """
    Another key, path, token, partner or a time without a zone: each has its own reason in the log.
    """
    refused = check(told)

    assert refused is not None
    assert reason == refused.reason


@pytest.mark.parametrize(
    ("seconds", "reason"), [(-301, "timestamp_stale"), (-300, ""), (0, ""), (300, ""), (301, "timestamp_stale")]
)
def test_a_notification_is_good_for_five_minutes_by_our_clock(seconds: int, reason: str) -> None:
    """
    Too late or too early is refused even with a true signature.
    """
    refused = check(headers(at=NOW + timedelta(seconds=seconds)))

    assert reason == (refused.reason if refused else "")


def test_a_bank_without_a_secret_is_nobody() -> None:
    """
    Not even a signature under an empty key helps.
    """
    refused = check(headers(secret=""), secret=None)

    assert snap.Refused(code=Code.UNAUTHORIZED, reason="bank_unknown") == refused


def test_every_header_is_needed_and_bounded() -> None:
    """
    A missing or monstrous header ends the reading.
    """
    good = {
        "X-TIMESTAMP": "t",
        "X-SIGNATURE": "s",
        "X-PARTNER-ID": "p",
        "X-EXTERNAL-ID": "e",
        "Authorization": "Bearer a",
    }

    assert snap.headers_of(good) is not None
    assert all(snap.headers_of({**good, name: ""}) is None for name in good)
    assert snap.headers_of({**good, "X-EXTERNAL-ID": "1" * 37}) is None
    assert snap.headers_of({**good, "Authorization": "Basic a"}) is None
    assert snap.headers_of({**good, "X-EXTERNAL-ID": "\udcff"}) is None


def test_response_codes_carry_their_http_status() -> None:
    """
    SNAP: three digits of HTTP status, two of the service, two of the case.
    """
    assert all(7 == len(code.value[0]) and 200 <= code.status < 500 for code in Code)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - naive on purpose
def test_a_moment_needs_an_offset(naive: datetime) -> None:
    """
    A wall clock without its wall is no moment.
    """
    assert snap.moment_ms(naive.isoformat()) is None
    assert round(naive.replace(tzinfo=UTC).timestamp() * 1000) == snap.moment_ms(naive.isoformat() + "+00:00")
