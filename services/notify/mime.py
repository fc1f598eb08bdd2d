"""
The body of a mail: text and HTML, a picture inside the HTML, files beside them.

Called by the composer. Assembled here by hand for the sake of size: the standard library's generator
walks every line of every attachment, which costs more than printing the ticket. Headers that need
care (the subject, the addresses) stay with the standard library.
"""

import base64
import hashlib
from collections.abc import Sequence
from email.message import EmailMessage

import msgspec

CRLF = b"\r\n"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """
    One leaf of a mail.
    """

    content_type: str
    body: bytes
    content_id: str | None = None
    filename: str | None = None


def text(words: str, *, subtype: str) -> Part:
    """
    Words as a part.
    """
    return Part(content_type=f"text/{subtype}; charset=utf-8", body=words.encode())


def whole(headers: EmailMessage, *, plain: Part, page: Part, pictures: Sequence[Part], files: Sequence[Part]) -> bytes:
    """
    The mail as it goes over the wire. `headers` carries everything but the MIME headers.
    """
    seed = str(headers["Message-ID"])
    shown = _multipart("related", [_leaf(page), *map(_leaf, pictures)], seed) if pictures else _leaf(page)
    body = _multipart("alternative", [_leaf(plain), shown], seed)
    if files:
        body = _multipart("mixed", [body, *map(_leaf, files)], seed)
    return headers.as_bytes().rstrip(CRLF) + CRLF + b"MIME-Version: 1.0" + CRLF + body


def _leaf(part: Part) -> bytes:
    lines = [f"Content-Type: {part.content_type}", "Content-Transfer-Encoding: base64"]
    if part.content_id is not None:
        lines.append(f"Content-ID: <{part.content_id}>")
    if part.filename is not None:
        kind = "inline" if part.content_id else "attachment"
        lines.append(f'Content-Disposition: {kind}; filename="{part.filename}"')
    encoded = base64.encodebytes(part.body).replace(b"\n", CRLF)
    return "\r\n".join(lines).encode() + CRLF + CRLF + encoded


def _multipart(kind: str, parts: Sequence[bytes], seed: str) -> bytes:
    # Base64 has no underscore, so no line of a part can be taken for a boundary.
    boundary = f"_{kind}_{hashlib.blake2b(seed.encode(), digest_size=12).hexdigest()}".encode()
    head = b"Content-Type: multipart/" + kind.encode() + b'; boundary="' + boundary + b'"' + CRLF + CRLF
    inner = b"".join(b"--" + boundary + CRLF + part + CRLF for part in parts)
    return head + inner + b"--" + boundary + b"--" + CRLF
