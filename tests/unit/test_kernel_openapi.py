"""
The OpenAPI generator: every row of a route table is told whole, and the document is valid 3.1.
"""

import msgspec
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from kernel.http import openapi
from kernel.http.problem import ProblemType
from kernel.http.route import Auth, Query, Route

TAKEN = ProblemType(
    code="place_taken", status=409, title_id="Sudah diambil", title_en="Taken", next_id="Pilih lain.", next_en="Choose."
)


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What somebody wants.
    """

    slot_id: str


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """
    What he got.
    """

    seats: tuple[int, ...]


async def _handler(_: web.Request) -> web.Response:
    return web.Response()


ASK = Route(
    method="POST",
    path="/v1/places/{office_id}",
    handler=_handler,
    summary="Take a place",
    operation="take_place",
    auth=Auth.PASS_OR_TOKEN,
    body=Ask,
    query=(Query(name="from", summary="First day", schema={"type": "string", "format": "date"}),),
    answers={201: Given},
    problems=(TAKEN,),
    idempotent=True,
)
TICKET = Route(
    method="GET",
    path="/v1/places/{place_id:[a-z]{2,9}}/ticket.pdf",
    handler=_handler,
    summary="The ticket",
    operation="get_ticket",
    answers={200: "application/pdf", 204: None},
)


def _document(*routes: Route) -> openapi.Json:
    return openapi.document({"places": routes}, info={"title": "t", "version": "1"}, servers=[{"url": "/"}])


def test_the_document_is_valid_openapi_3_1() -> None:
    """
    A stranger's validator accepts what the generator writes.
    """
    assert [] == [fault.message for fault in OpenAPIV31SpecValidator(_document(ASK, TICKET)).iter_errors()]


def test_a_body_an_answer_and_parameters_are_told() -> None:
    """
    What a route takes and gives stands in the document under its own names.
    """
    operation = _document(ASK)["paths"]["/v1/places/{office_id}"]["post"]

    assert "#/components/schemas/Ask" == operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert (
        "#/components/schemas/Given" == operation["responses"]["201"]["content"]["application/json"]["schema"]["$ref"]
    )
    assert ["office_id", "from"] == [parameter["name"] for parameter in operation["parameters"] if "name" in parameter]
    assert [{"pass": []}, {"token": []}] == operation["security"]


def test_every_refusal_is_told_by_code_under_its_status() -> None:
    """
    A client can read from the document which codes a call may answer, implied ones included.
    """
    responses = _document(ASK)["paths"]["/v1/places/{office_id}"]["post"]["responses"]
    codes = {
        status: response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        for status, response in responses.items()
        if "application/problem+json" in response["content"]
    }

    assert {
        "400": ["bad_request", "idempotency_key_missing"],
        "401": ["unauthenticated"],
        "408": ["body_missing"],
        "409": ["place_taken", "still_running"],
        "413": ["body_too_large"],
        "422": ["idempotency_key_reused"],
        "431": ["head_too_large"],
        "500": ["internal_error"],
        "503": ["outcome_unknown", "too_many_connections"],
    } == codes


def test_an_idempotent_call_asks_for_the_key_and_may_answer_a_replay() -> None:
    """
    The header to send and the header to expect are both told.
    """
    operation = _document(ASK)["paths"]["/v1/places/{office_id}"]["post"]

    assert {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]
    assert "Idempotency-Replayed" in operation["responses"]["201"]["headers"]
    assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_a_pattern_in_the_path_becomes_the_parameters_pattern() -> None:
    """
    The router's path form does not leak into the document.
    """
    item = _document(TICKET)["paths"]["/v1/places/{place_id}/ticket.pdf"]["get"]

    assert "^[a-z]{2,9}$" == item["parameters"][0]["schema"]["pattern"]
    assert ["application/pdf"] == list(item["responses"]["200"]["content"])
    assert "content" not in item["responses"]["204"]


def test_two_routes_with_one_operation_id_are_refused() -> None:
    """
    Generated clients name their functions by it.
    """
    with pytest.raises(ValueError, match="take_place"):
        _document(ASK, _at(ASK, path="/v1/other"))


def _at(route: Route, *, path: str) -> Route:
    fields = {name: getattr(route, name) for name in Route.__slots__}
    return Route(**{**fields, "path": path})
