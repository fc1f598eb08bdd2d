"""
The OpenAPI 3.1 document of a set of route tables.

Called by `ops.docs`, which writes docs/api/openapi.json. Reads the same `Route` rows that
`kernel.http.application` serves, so the document cannot promise another API. Never
imports a room, never starts anything.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec

from kernel.http import problem
from kernel.http.problem import ProblemType
from kernel.http.route import KEY_PATTERN, Auth, Route

Json = dict[str, Any]
PROBLEM_SCHEMA: Final = "Problem"
_PARAMETER = re.compile(r"\{(?P<name>\w+)(?::(?P<pattern>[^{}]+(?:\{[^{}]*\}[^{}]*)*))?\}")
_RETRYING: Final = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_STREAM: Final = (
    "Server-sent events. `data` is what the same call without the stream answers and `id` its ETag; a comment is a "
    "heartbeat. The stream may end at any time: connect again after `retry` milliseconds."
)
_LAST: Final = "The `id` the client has: what it names is not sent again."
_SECURITY: Final[dict[Auth, list[Json]]] = {
    Auth.NONE: [],
    Auth.TOKEN: [{"token": []}],
    Auth.PASS_OR_TOKEN: [{"pass": []}, {"token": []}],
}


def document(tables: Mapping[str, Sequence[Route]], *, info: Json, servers: Sequence[Json]) -> Json:
    """
    One document for all of `tables`, which are routes by room. Raises `ValueError` for an operation told twice.
    """
    routes = [route for table in tables.values() for route in table]
    _refuse_twins(routes)
    schemas = _Schemas(routes)
    paths: dict[str, Json] = {}
    for room, table in tables.items():
        for route in table:
            item = paths.setdefault(_PARAMETER.sub(r"{\g<name>}", route.path), {})
            item[route.method.lower()] = _operation(room, route, schemas)
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": list(servers),
        "tags": [{"name": room} for room in tables],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted({**schemas.components, PROBLEM_SCHEMA: _problem_schema()}.items())),
            "examples": {_name(kind): _example(kind) for kind in _every_problem(routes)},
            "headers": _headers(),
            "parameters": {"IdempotencyKey": _idempotency_key()},
            "securitySchemes": _security_schemes(),
        },
    }


def problems_of(route: Route) -> list[ProblemType]:
    """
    Every refusal a caller of `route` can meet: its own, and what its row of the table implies.
    """
    implied = [problem.OUTCOME_UNKNOWN, problem.TOO_MANY_CONNECTIONS, problem.HEAD_TOO_LARGE, problem.INTERNAL]
    if route.body is not None:
        implied += [problem.BAD_REQUEST, problem.TOO_LARGE, problem.BODY_MISSING]
    if route.query:
        implied.append(problem.BAD_REQUEST)
    if route.auth is not Auth.NONE:
        implied.append(problem.UNAUTHENTICATED)
    if route.role is not None:
        implied.append(problem.FORBIDDEN)
    if route.idempotent:
        implied += [problem.IDEMPOTENCY_KEY_MISSING, problem.IDEMPOTENCY_KEY_REUSED, problem.STILL_RUNNING]
    once = {_name(kind): kind for kind in (*route.problems, *implied)}
    return sorted(once.values(), key=attrgetter("status", "code"))


def _name(kind: ProblemType) -> str:
    return f"{kind.status}.{kind.code}"


class _Schemas:
    """
    The JSON schemas of all bodies and answers, named once for the whole document.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        types = list(dict.fromkeys(kind for route in routes for kind in _types_of(route)))
        schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        self._by_type = dict(zip(types, schemas, strict=True))
        self.components: Json = dict(components)

    def of(self, kind: Any) -> Json:
        """
        The schema of a body or an answer.
        """
        schema: Json = self._by_type[kind]
        return schema


def _types_of(route: Route) -> Iterator[Any]:
    if route.body is not None:
        yield route.body
    for kind in route.answers.values():
        if kind is not None and not isinstance(kind, str):
            yield kind


def _refuse_twins(routes: Sequence[Route]) -> None:
    for key in (attrgetter("operation"), attrgetter("method", "path")):
        seen = set()
        for route in routes:
            if key(route) in seen:
                raise ValueError(f"two routes share {key(route)}")
            seen.add(key(route))


def _every_problem(routes: Sequence[Route]) -> list[ProblemType]:
    once = {_name(kind): kind for route in routes for kind in problems_of(route)}
    return [once[name] for name in sorted(once)]


def _operation(room: str, route: Route, schemas: _Schemas) -> Json:
    operation: Json = {"operationId": route.operation, "summary": route.summary, "tags": [room]}
    if route.sandbox:
        operation["description"] = "Sandbox only: served where SANDBOX=1."
        operation["x-sandbox"] = True
    if route.stream:
        operation["description"] = _STREAM
    if route.role is not None:
        operation["x-role"] = route.role
    operation["security"] = _SECURITY[route.auth]
    parameters = _parameters(route)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": schemas.of(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _responses(route, schemas)
    return operation


def _parameters(route: Route) -> list[Json]:
    parameters: list[Json] = []
    for match in _PARAMETER.finditer(route.path):
        schema = {"type": "string", "pattern": f"^{match['pattern']}$"} if match["pattern"] else {"type": "string"}
        parameters.append({"name": match["name"], "in": "path", "required": True, "schema": schema})
    parameters += [
        {"name": query.name, "in": "query", "description": query.summary, "schema": query.schema}
        for query in route.query
    ]
    if route.idempotent:
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if route.stream:
        parameters.append({"name": "Last-Event-ID", "in": "header", "description": _LAST, "schema": {"type": "string"}})
    return parameters


def _responses(route: Route, schemas: _Schemas) -> Json:
    responses: dict[str, Json] = {}
    for status, kind in route.answers.items():
        responses[str(status)] = _answer(route, status, kind, schemas)
    for status, kinds in groupby(problems_of(route), attrgetter("status")):
        refusal = _refusal(status, list(kinds))
        known = responses.get(str(status))
        if known is None:
            responses[str(status)] = refusal
        else:
            known["content"] = {**known.get("content", {}), **refusal["content"]}
    return dict(sorted(responses.items()))


def _answer(route: Route, status: int, kind: Any, schemas: _Schemas) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase, "headers": {"X-Request-Id": _header("RequestId")}}
    if isinstance(kind, str):
        answer["content"] = {kind: {}}
    elif kind is not None:
        answer["content"] = {"application/json": {"schema": schemas.of(kind)}}
    if route.idempotent and status < HTTPStatus.BAD_REQUEST:
        answer["headers"]["Idempotency-Replayed"] = _header("IdempotencyReplayed")
    return answer


def _refusal(status: int, kinds: list[ProblemType]) -> Json:
    codes = [kind.code for kind in kinds]
    headers = {"X-Request-Id": _header("RequestId"), "Content-Language": _header("ContentLanguage")}
    if status in _RETRYING:
        headers["Retry-After"] = _header("RetryAfter")
    problem_ref = {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA}"}
    return {
        "description": "; ".join(f"`{kind.code}`: {kind.title_en}" for kind in kinds),
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": {"allOf": [problem_ref, {"properties": {"code": {"enum": codes}}}]},
                "examples": {kind.code: {"$ref": f"#/components/examples/{_name(kind)}"} for kind in kinds},
            }
        },
    }


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _headers() -> Json:
    return {
        "RequestId": {"description": "Name it when reporting a fault.", "schema": {"type": "string"}},
        "IdempotencyReplayed": {
            "description": "Present on a stored answer: this key was worked on before.",
            "schema": {"const": "true"},
        },
        "RetryAfter": {
            "description": "Seconds to wait before the same request makes sense again, where known.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "ContentLanguage": {"description": "The language of title and detail.", "schema": {"enum": ["id", "en"]}},
    }


def _idempotency_key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Chosen by the client before its first try and kept for every further one.",
        "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
    }


def _security_schemes() -> Json:
    return {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "From POST /v1/tokens; Ed25519, checked against /.well-known/jwks.json.",
        },
        "pass": {
            "type": "http",
            "scheme": "Pass",
            "description": "From POST /v1/passes: `Authorization: Pass <pass>`, for the hot path only.",
        },
    }


def _problem_schema() -> Json:
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "code", "instance")}
    return {
        "title": PROBLEM_SCHEMA,
        "description": "A refusal (RFC 9457). `code` is stable; title and detail are for people, by Accept-Language.",
        "type": "object",
        "properties": {
            **texts,
            "status": {"type": "integer"},
            "request_id": {"type": ["string", "null"]},
            "retry_after": {"type": "integer", "description": "Seconds, as in Retry-After."},
            "retry_after_ms": {"type": "integer", "description": "The same, finer: drawn anew for every 503."},
            "field": {"type": "string", "description": "The part of the request that is meant."},
        },
        "required": ["type", "title", "status", "detail", "code", "instance"],
    }


def _example(kind: ProblemType) -> Json:
    return {
        "summary": kind.title_id,
        "value": {
            "type": f"/problems/{kind.code}",
            "title": kind.title_en,
            "status": kind.status,
            "detail": kind.next_en,
            "code": kind.code,
            "instance": "/v1/…",
        },
    }
