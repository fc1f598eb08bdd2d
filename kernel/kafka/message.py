"""
A message as relays hand it to the producer.

Built by `contracts.envelope`. Holds bytes, no meaning.
"""

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """
    Something to tell: where, in which order, with which id.
    """

    topic: str
    key: str
    event_id: str
    """Stable over every try, so that readers recognise a second delivery."""
    headers: Headers
    body: bytes
    partition: int | None = None
    """Given where the writer decides the partition; else the key does."""


_headers_decoder = msgspec.msgpack.Decoder(Headers)


def pack_headers(headers: Headers) -> bytes:
    """
    Headers as one column of the outbox.
    """
    return msgspec.msgpack.encode(headers)


def unpack_headers(packed: bytes) -> Headers:
    """
    The reverse of `pack_headers`.
    """
    return _headers_decoder.decode(packed)
