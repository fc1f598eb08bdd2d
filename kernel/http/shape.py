"""
Requests of one plain shape, recognized in a few microseconds; everything else is the framework's parser's to judge.

Called by `quick` with what has come on a connection, never by anybody who wants to know whether a request is
valid. What fits is a request every parser reads alike: a POST with a path, printable ASCII, lines that end in
CRLF, one blank between a name and its value, no name twice, a length in digits and exactly so many bytes behind
the head. Nothing that frames a message in another way, or asks for another manner of answer, fits. `rest_of`
tells how much of a request is still to come after what the framework was given: where the next one begins.
"""

import re
from typing import Final

import msgspec

HEAD_BYTES_MAX: Final = 8192
BODY_BYTES_MAX: Final = 8192
"""Larger ones are the framework's."""
UNKNOWN: Final = -1
"""Nobody but the framework knows where its request ends."""

# Possessive: a head that does not fit is found out in one pass.
_SHAPE: Final = re.compile(
    rb"POST (/[!-~]{1,200}+) HTTP/1\.1\r\n((?:[A-Za-z0-9-]{1,64}+: [!-~](?:[ -~]{0,4095}+)\r\n){1,64}+)\r\n"
)
_FRAMED_OTHERWISE: Final = re.compile(rb"transfer-encoding|upgrade|(?<!\r)\n", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]{1,9}) *(?=\r\n)", re.IGNORECASE)
_UNUSUAL: Final = frozenset({"transfer-encoding", "expect", "upgrade", "content-encoding", "te", "trailer"})


class Plain(msgspec.Struct, frozen=True, gc=False):
    """
    A request that came whole and alone.
    """

    headers: dict[str, str]
    """By name in small letters."""
    body: bytes


def path_of(data: bytes) -> bytes:
    """
    What stands where a plain request has its path; anything at all for other data.
    """
    return data[5 : data.find(b" ", 5, 206)]


def plain(data: bytes) -> Plain | None:
    """
    The one request that `data` is; None when it is another number of them, a part of one, or of another shape.
    """
    found = _SHAPE.match(data)
    if found is None or found.end() > HEAD_BYTES_MAX:
        return None
    headers: dict[str, str] = {}
    lines = found[2].decode("ascii").split("\r\n")
    lines.pop()
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    length = headers.get("content-length", "")
    if len(headers) != len(lines) or not length.isdigit() or "host" not in headers:
        return None
    body = data[found.end() :]
    if len(body) != int(length) or len(body) > BODY_BYTES_MAX:
        return None
    if not _UNUSUAL.isdisjoint(headers) or headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return Plain(headers, body)


def rest_of(data: bytes) -> int:
    """
    How many bytes a request that begins with `data` still lacks: 0 when it is whole, `UNKNOWN` when nobody can tell.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or _FRAMED_OTHERWISE.search(data, 0, end):
        return UNKNOWN
    lengths = _LENGTH.findall(data, 0, end + 2)
    if len(lengths) > 1 or data[:end].lower().count(b"content-length") != len(lengths):
        return UNKNOWN
    rest = end + 4 + (int(lengths[0]) if lengths else 0) - len(data)
    return rest if rest >= 0 else UNKNOWN
