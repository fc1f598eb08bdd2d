"""
CloudEvents 1.0 in Kafka's binary mode: attributes in headers, the event as JSON.

Called by relays (seal) and by consumer loops (open). Never decides what to do
with a message that does not open: it raises `Malformed` and the caller parks it.

Source of the header names: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from contracts.events import EVENTS, Event

CONTENT_TYPE: Final = b"application/json"
Headers = tuple[tuple[str, bytes], ...]

_DECODERS: Final = {event.TYPE: msgspec.json.Decoder(event) for event in EVENTS}
_ENCODER: Final = msgspec.json.Encoder()


class Malformed(ValueError):
    """
    A message that is not one of our events. It will not become one by trying again.
    """


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event ready for the wire.
    """

    event_id: str
    type: str
    body: bytes
    source: str


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event as it came off the wire, with the id that recognises a second delivery.
    """

    event_id: str
    event: Event
    traceparent: str | None = None


def seal(event: Event, *, event_id: str, source: str) -> Sealed:
    """
    Encode `event` under a stable `event_id`. `source` is the room that says it.
    """
    return Sealed(event_id=event_id, type=event.TYPE, body=_ENCODER.encode(event), source=source)


def headers_of(sealed: Sealed, *, traceparent: str | None = None) -> Headers:
    """
    The CloudEvents attributes of a sealed event.
    """
    attributes: list[tuple[str, bytes]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", sealed.event_id.encode()),
        ("ce_type", sealed.type.encode()),
        ("ce_source", f"/antrean/{sealed.source}".encode()),
        ("content-type", CONTENT_TYPE),
    ]
    if traceparent is not None:
        attributes.append(("traceparent", traceparent.encode()))
    return tuple(attributes)


def unseal(headers: Iterable[tuple[str, bytes]], body: bytes | None) -> Envelope:
    """
    Decode a message. Raises `Malformed` for anything that is not an event of `EVENTS`.
    """
    attributes = dict(headers)
    event_id, event_type = attributes.get("ce_id"), attributes.get("ce_type")
    if event_id is None or event_type is None or body is None:
        message = "message has no ce_id, ce_type or body"
        raise Malformed(message)
    decoder = _DECODERS.get(event_type.decode(errors="replace"))
    if decoder is None:
        message = f"unknown event type {event_type!r}"
        raise Malformed(message)
    try:
        event = decoder.decode(body)
    except msgspec.MsgspecError as error:
        message = f"body is no {event_type!r}: {error}"
        raise Malformed(message) from error
    traceparent = attributes.get("traceparent")
    return Envelope(event_id=event_id.decode(), event=event, traceparent=traceparent.decode() if traceparent else None)
