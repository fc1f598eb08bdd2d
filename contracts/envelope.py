"""
CloudEvents 1.0 in Kafka's binary mode: attributes in headers, the event as JSON.

Called by relays (seal) and by consumer loops (open). Never decides what to do
with a message that does not open: it raises `Malformed` and the caller parks it.

Source of the header names: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

import functools
from collections.abc import Iterable
from typing import Final

import msgspec

from contracts.events import EVENTS, Event
from kernel.kafka.message import Headers, Message

CONTENT_TYPE: Final = b"application/json"

_DECODERS: Final = {event.TYPE.encode(): msgspec.json.Decoder(event) for event in EVENTS}
_VERSION: Final = ("ce_specversion", b"1.0")
_ENCODER: Final = msgspec.json.Encoder()


@functools.cache
def _always(event_type: str, source: str) -> Headers:
    """
    The headers that all events of a type from a room have.
    """
    return (
        ("ce_type", event_type.encode()),
        ("ce_source", f"/antrean/{source}".encode()),
        ("content-type", CONTENT_TYPE),
    )


class Malformed(ValueError):
    """
    A message that is not one of our events. It will not become one by trying again.
    """


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event as it came off the wire, with the id that recognises a second delivery.
    """

    event_id: str
    event: Event
    traceparent: str | None = None


def seal(event: Event, *, event_id: str, key: str, source: str, partition: int | None = None) -> Message:
    """
    `event` as a message under a stable `event_id`. `source` is the room that says it.
    """
    headers = (_VERSION, ("ce_id", event_id.encode()), *_always(event.TYPE, source))
    return Message(
        topic=event.TOPIC.name,
        key=key,
        event_id=event_id,
        headers=headers,
        body=_ENCODER.encode(event),
        partition=partition,
    )


def unseal(headers: Iterable[tuple[str, bytes]], body: bytes | None) -> Envelope:
    """
    Decode a message. Raises `Malformed` for anything that is not an event of `EVENTS`.
    """
    attributes = dict(headers)
    event_id, event_type = attributes.get("ce_id"), attributes.get("ce_type")
    if event_id is None or event_type is None or body is None:
        message = "message has no ce_id, ce_type or body"
        raise Malformed(message)
    decoder = _DECODERS.get(event_type)
    if decoder is None:
        message = f"unknown event type {event_type!r}"
        raise Malformed(message)
    try:
        event = decoder.decode(body)
        named, traceparent = event_id.decode(), attributes.get("traceparent", b"").decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message = f"message is no {event_type!r}: {error}"
        raise Malformed(message) from error
    return Envelope(event_id=named, event=event, traceparent=traceparent or None)
