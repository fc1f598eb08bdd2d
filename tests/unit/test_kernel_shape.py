"""
Requests of the plain shape: what is recognized the framework's parser reads alike, and nothing else is recognized.
"""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from kernel.http import shape

BODY = b'{"slot_id":"a"}'
LINES = [b"Host: a", b"Authorization: Pass x.y", b"Idempotency-Key: k-1", b"Content-Length: 15"]


def _request(*lines: bytes, first: bytes = b"POST /v1/reservations HTTP/1.1", body: bytes = BODY) -> bytes:
    return b"\r\n".join([first, *(lines or LINES), b"", body])


def _with(line: bytes) -> bytes:
    return _request(*LINES, line)


def _without(name: bytes) -> bytes:
    return _request(*(line for line in LINES if not line.startswith(name)))


def _parsed(data: bytes) -> list[tuple[str, str, dict[str, str], bytes]]:
    """
    What aiohttp's parser makes of it: method, path, headers and body of every request that is whole.
    """
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
        messages, _, _ = parser.feed_data(data)
        return [
            (
                message.method,
                message.path,
                {name.lower(): value for name, value in message.headers.items()},
                b"".join(getattr(payload, "_buffer", ())),
            )
            for message, payload in messages
            if payload.is_eof()
        ]
    finally:
        loop.close()


def test_a_plain_request_is_recognized_with_its_headers_by_small_names() -> None:
    """
    A POST as every client and the gateway send it.
    """
    found = shape.plain(_request())

    assert found is not None
    assert (BODY, "Pass x.y", "k-1") == (found.body, found.headers["authorization"], found.headers["idempotency-key"])
    assert b"/v1/reservations" == shape.path_of(_request())


@pytest.mark.parametrize(
    "data",
    [
        _request(first=b"GET /v1/reservations HTTP/1.1"),
        _request(first=b"POST /v1/reservations HTTP/1.0"),
        _request(first=b"POST  /v1/reservations HTTP/1.1"),
        _request(first=b"POST http://a/v1/reservations HTTP/1.1"),
        _with(b"Transfer-Encoding: chunked"),
        _with(b"Expect: 100-continue"),
        _with(b"Upgrade: h2c"),
        _with(b"Content-Encoding: gzip"),
        _with(b"Connection: close"),
        _with(b"Connection: keep-alive, upgrade"),
        _with(b"Content-Length: 15"),
        _with(b"content-length: 14"),
        _with(b"Host: b"),
        _with(b" folded: yes"),
        _with(b"Name : blank"),
        _with(b"Name:no-blank"),
        _with(b"Name: "),
        _with(b"Tab: a\tb"),
        _with(b"Zero: a\x00b"),
        _with(b"Bare: a\nX: b"),
        _with(b"Return: a\rb"),
        _with(b"Accent: \xc3\xa9"),
        _without(b"Content-Length"),
        _without(b"Host"),
        _request(*LINES[:3], b"Content-Length: +15"),
        _request(*LINES[:3], b"Content-Length: 0x0f"),
        _request(*LINES[:3], b"Content-Length: 14"),
        _request(*LINES[:3], b"Content-Length: 16"),
        _request()[:-1],
        _request()[:40],
        _request() + b"\r\n",
        _request() + _request(),
        b"",
    ],
)
def test_whatever_is_not_plain_is_the_frameworks(data: bytes) -> None:
    """
    Other framing, other methods, names twice, odd characters, parts of a request, and more than one.
    """
    assert shape.plain(data) is None


_LINE = st.builds(
    lambda name, between, value: name + between + value,
    st.sampled_from(
        [b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"X", b"Host", b"X y", b"Expect"]
    ),
    st.sampled_from([b": ", b":", b" : ", b":\t", b":  "]),
    st.one_of(
        st.sampled_from(
            [b"15", b"0", b"014", b"15 ", b"15, 15", b"chunked", b"keep-alive", b"close", b"a\nb", b"a\r\n b"]
        ),
        st.binary(max_size=6),
    ),
)


@given(
    extra=st.lists(_LINE, max_size=3),
    length=st.sampled_from([b"15", b"015", b"14", b"16"]),
    tail=st.binary(max_size=40),
)
def test_what_is_recognized_is_read_alike_by_the_parser(extra: list[bytes], length: bytes, tail: bytes) -> None:
    """
    One request, the same path, headers and body: else the two would disagree about where the next one begins.
    """
    data = _request(*LINES[:3], b"Content-Length: " + length, *extra) + tail
    found = shape.plain(data)
    if found is None:
        return
    names = {name: value.strip() for name, value in found.headers.items()}

    assert [("POST", "/v1/reservations", names, found.body)] == _parsed(data)


@given(
    lines=st.lists(_LINE, max_size=4),
    body=st.binary(max_size=30),
    first=st.sampled_from([b"POST /a HTTP/1.1", b"GET /a HTTP/1.1", b"DELETE /a HTTP/1.1"]),
)
def test_what_is_said_to_be_whole_the_parser_finds_whole(lines: list[bytes], body: bytes, first: bytes) -> None:
    """
    After a rest of 0 the parser has one whole request and nothing of the next, or has refused.
    """
    data = _request(b"Host: a", *lines, first=first, body=body)
    if shape.rest_of(data) != 0:
        return
    try:
        found = _parsed(data + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    except HttpProcessingError:
        return  # the connection ends with it

    assert ["/a", "/next"] == [path for _, path, _, _ in found]


def test_the_rest_of_a_body_is_known_to_the_byte() -> None:
    """
    A head that has come whole says how much is lacking; half a head and chunks do not.
    """
    rests = [shape.rest_of(data) for data in (_request(), _request()[:-4], _request()[:30], _request() + b"POST")]

    assert [0, 4, shape.UNKNOWN, shape.UNKNOWN] == rests
    assert shape.rest_of(_with(b"Transfer-Encoding: chunked")) == shape.UNKNOWN
