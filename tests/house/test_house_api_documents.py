"""
The committed API documents: valid by their own standards, and whole.
"""

import json
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from contracts.events import EVENTS
from contracts.topics import TOPICS
from kernel.http.problem import COMMON
from ops.docs import FOLDER, route_tables

Json = dict[str, Any]

REFERENCE: Json = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"type": "string", "pattern": "^#/"}}}
ASYNCAPI_3: Json = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "servers": {"additionalProperties": {"type": "object", "required": ["host", "protocol"]}},
        "channels": {
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages"],
                "properties": {
                    "messages": {"additionalProperties": REFERENCE},
                    "bindings": {
                        "properties": {
                            "kafka": {
                                "required": ["topic", "partitions", "bindingVersion"],
                                "properties": {"partitions": {"type": "integer", "minimum": 1}},
                            }
                        }
                    },
                },
            }
        },
        "operations": {
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel", "messages"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "messages": {"type": "array", "minItems": 1, "items": REFERENCE},
                },
            }
        },
        "components": {
            "required": ["messages", "schemas"],
            "properties": {
                "messages": {
                    "additionalProperties": {
                        "required": ["name", "contentType", "headers", "payload", "examples"],
                        "properties": {"headers": {"type": "object"}, "payload": {"type": "object"}},
                    }
                }
            },
        },
    },
}


@pytest.fixture(scope="module")
def openapi() -> Json:
    document: Json = json.loads((FOLDER / "openapi.json").read_bytes())
    return document


@pytest.fixture(scope="module")
def asyncapi() -> Json:
    document: Json = json.loads((FOLDER / "asyncapi.json").read_bytes())
    return document


def _resolved(document: Json, reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [reference for child in value.values() for reference in _references(child)]
    if isinstance(value, list):
        return [reference for child in value for reference in _references(child)]
    return []


def test_the_openapi_document_is_valid(openapi: Json) -> None:
    """
    A stranger's validator accepts it.
    """
    assert [] == [fault.message for fault in OpenAPIV31SpecValidator(openapi).iter_errors()]


def test_the_openapi_document_tells_every_route(openapi: Json) -> None:
    """
    What is served is documented, each call once.
    """
    told = {operation["operationId"] for item in openapi["paths"].values() for operation in item.values()}
    served = [route.operation for table in route_tables().values() for route in table]

    assert sorted(served) == sorted(told)


def test_one_code_has_one_status_in_every_room() -> None:
    """
    A client branches on the code; two rooms must not mean two things by one.
    """
    statuses: dict[str, dict[str, frozenset[int]]] = {
        kind.code: {"kernel": frozenset({kind.status})} for kind in COMMON
    }
    for room, table in route_tables().items():
        kinds = {kind for route in table for kind in route.problems}
        for code in {kind.code for kind in kinds}:
            statuses.setdefault(code, {})[room] = frozenset(kind.status for kind in kinds if kind.code == code)

    assert {} == {code: rooms for code, rooms in statuses.items() if len(set(rooms.values())) > 1}


def test_every_unsafe_citizen_call_takes_an_idempotency_key(openapi: Json) -> None:
    """
    Repeating is always safe, except where nothing is kept: tokens and passes are issued anew, banks sign theirs.
    """
    without = [
        route.operation
        for table in route_tables().values()
        for route in table
        if route.method != "GET" and not route.idempotent
    ]

    exempt = {"/v1/tokens", "/v1/passes", "/v1/accounts/activation", "/v1/bank/callbacks/{bank}"}
    sandbox = {"/v1/sandbox/bank/payments", "/v1/sandbox/bank/inquiries", "/v1/sandbox/bank/access-token"}
    paths = {op["operationId"]: path for path, item in openapi["paths"].items() for op in item.values()}
    assert [] == [operation for operation in without if paths[operation] not in exempt | sandbox]


def test_the_asyncapi_document_has_the_structure_of_version_3(asyncapi: Json) -> None:
    """
    Channels, operations and messages stand where tools look for them.
    """
    jsonschema.Draft202012Validator(ASYNCAPI_3).validate(asyncapi)

    assert [] == [reference for reference in _references(asyncapi) if _resolved(asyncapi, reference) is None]


def test_the_asyncapi_document_tells_every_event_and_every_topic(asyncapi: Json) -> None:
    """
    A reader of one document knows all that is ever said.
    """
    assert {topic.name: topic.partitions for topic in TOPICS} == {
        name: channel["bindings"]["kafka"]["partitions"] for name, channel in asyncapi["channels"].items()
    }
    assert {event.TYPE for event in EVENTS} == set(asyncapi["components"]["messages"])
    assert all(f"#/components/messages/{event.TYPE}" in _references(asyncapi["channels"]) for event in EVENTS)


def test_every_payload_schema_accepts_its_own_example(asyncapi: Json) -> None:
    """
    Schema and sample come from one struct, and agree.
    """
    for message in asyncapi["components"]["messages"].values():
        schema = {**message["payload"], "components": asyncapi["components"]}
        jsonschema.Draft202012Validator(schema).validate(message["examples"][0]["payload"])

    assert len(EVENTS) == len(asyncapi["components"]["messages"])
