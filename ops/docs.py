"""
The documents made from the code: OpenAPI from the rooms' route tables, AsyncAPI from the contracts, and pictures.

Called by `antrean docs`, which writes them under docs/, and by `antrean docs --check`,
which only compares (`make check`). Never edits a document by hand, never asks a running process.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.events import EVENTS, Event
from contracts.topics import LIVE, Topic, dead
from kernel.http import openapi
from kernel.http.route import Route
from ops import pictures

Json = dict[str, Any]
ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "api"
BOOKING_LIFE: Final = ROOT / "docs" / "booking-life.md"
SAMPLES: Final = ROOT / "contracts" / "samples"
ROOMS: Final = ("identity", "quota", "booking", "payment", "notify")
VERSION: Final = "1.0.0"
LICENCE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

_HEADERS: Final[Json] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "description": "Stable over every delivery: how a second one is recognised."},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string", "description": "/antrean/ and the room that says it."},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C trace context, where there is one."},
    },
}


def documents() -> dict[Path, bytes]:
    """
    Every generated document by path, as the code of this moment says it.
    """
    made: dict[str, Callable[[], Json]] = {"openapi.json": _openapi, "asyncapi.json": _asyncapi}
    written = {
        FOLDER / name: json.dumps(make(), indent=1, ensure_ascii=False).encode() + b"\n" for name, make in made.items()
    }
    return {**written, BOOKING_LIFE: pictures.booking_life().encode()}


def write() -> list[Path]:
    """
    Write the documents. Returns those that changed.
    """
    changed = stale()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in documents().items():
        path.write_bytes(text)
    return changed


def stale() -> list[Path]:
    """
    The documents that differ from the code.
    """
    return [path for path, text in documents().items() if not path.is_file() or path.read_bytes() != text]


def route_tables() -> dict[str, Sequence[Route]]:
    """
    The rooms' tables, in the order a citizen meets the rooms.
    """
    return {room: importlib.import_module(f"services.{room}.routes").ROUTES for room in ROOMS}


def _openapi() -> Json:
    return openapi.document(
        route_tables(),
        info={
            "title": "Antrean",
            "version": VERSION,
            "description": (
                "Numbered appointment places, released at a set moment. Times are RFC 3339, `_ms` are milliseconds"
                " since 1970 UTC, rupiah are whole. Every refusal is `application/problem+json` with a stable `code`;"
                " every unsafe citizen call takes an Idempotency-Key, so repeating it is always safe."
            ),
            "license": LICENCE,
        },
        servers=[{"url": "/", "description": "The gateway that serves this document."}],
    )


def _asyncapi() -> Json:
    schemas, components = msgspec.json.schema_components(EVENTS, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Antrean",
            "version": VERSION,
            "description": (
                "CloudEvents 1.0 in Kafka's binary mode. Delivery is at least once; `ce_id` recognises a repeat."
                " Events change additively only."
            ),
            "license": {"name": LICENCE["name"]},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "`antrean up` prints it."}},
        "channels": {topic.name: _channel(topic) for topic in LIVE}
        | {dead(topic).name: _dead_channel(topic) for topic in LIVE},
        "operations": {f"{topic.writer}.sends.{topic.name}": _operation(topic) for topic in LIVE},
        "components": {
            "messages": {event.TYPE: _message(event, schema) for event, schema in zip(EVENTS, schemas, strict=True)},
            "schemas": dict(sorted(components.items())),
        },
    }


def _events_on(topic: Topic) -> list[type[Event]]:
    return [event for event in EVENTS if topic == event.TOPIC]


def _channel(topic: Topic) -> Json:
    return {
        "address": topic.name,
        "description": f"Written by {topic.writer} alone. Key: {topic.key}.",
        "messages": {event.TYPE: {"$ref": f"#/components/messages/{event.TYPE}"} for event in _events_on(topic)},
        "bindings": {"kafka": _kafka(topic)},
    }


def _dead_channel(topic: Topic) -> Json:
    return {
        "address": dead(topic).name,
        "description": (
            f"Messages of {topic.name} that can never be handled, unchanged, with the headers x-origin"
            " (topic/partition/offset), x-consumer, x-error and x-attempts added."
        ),
        "messages": {},
        "bindings": {"kafka": _kafka(dead(topic))},
    }


def _kafka(topic: Topic) -> Json:
    configuration: Json = {"cleanup.policy": ["compact"] if topic.compacted else ["delete"]}
    if not topic.compacted:
        configuration["retention.ms"] = topic.retention_ms
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": configuration,
        "bindingVersion": "0.5.0",
    }


def _operation(topic: Topic) -> Json:
    return {
        "action": "send",
        "summary": f"{topic.writer} tells {topic.name}",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{event.TYPE}"} for event in _events_on(topic)],
    }


def _message(event: type[Event], schema: Json) -> Json:
    sample = json.loads((SAMPLES / f"{event.TYPE}.json").read_bytes())
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": " ".join((event.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": schema,
        "bindings": {"kafka": {"key": {"type": "string", "description": event.TOPIC.key}, "bindingVersion": "0.5.0"}},
        "examples": [{"name": "sample", "payload": sample}],
    }
