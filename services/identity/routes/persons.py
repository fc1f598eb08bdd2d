"""
The people an account may reserve for.
"""

from aiohttp import web

from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import BAD_REQUEST, Problem, answer
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.postgres import Connection
from services.identity import problems
from services.identity.domain import nik
from services.identity.domain.family import Refusal
from services.identity.routes.bodies import CreatePerson, PersonAdded, Persons
from services.identity.routes.keys import DESK, Desk
from services.identity.use_cases.add_persons import Added, AddPerson, add_persons, verified_by
from services.identity.use_cases.look_up import own_persons

REFUSALS = {
    Refusal.BELONGS_ELSEWHERE: problems.PERSON_BELONGS_ELSEWHERE,
    Refusal.CARD_DIFFERS: problems.FAMILY_CARD_DIFFERS,
    Refusal.LIMIT_REACHED: problems.PERSONS_LIMIT_REACHED,
}


async def create_person(request: web.Request) -> web.Response:
    """
    `POST /v1/persons`.
    """
    desk = request.app[DESK]
    idempotency_key(request)
    account_id = principal_of(request).account_id
    ask = await _ask(desk, account_id, await body_of(request, CreatePerson))

    async def work(connection: Connection) -> web.Response:
        [outcome] = await add_persons(connection, [ask], vault=desk.vault, persons_max=desk.accounts.persons_max)
        if isinstance(outcome, Refusal):
            return answer(request, REFUSALS[outcome])
        status = 201 if isinstance(outcome, Added) else 200
        return answer_json(PersonAdded(person_id=outcome.person_id, warnings=outcome.warnings), status=status)

    return await once(
        request,
        desk.database,
        scope=f"create_person:{account_id}",
        work=work,
        fingerprint_key=desk.vault.fingerprint_key(),
    )


async def list_persons(request: web.Request) -> web.Response:
    """
    `GET /v1/persons`.
    """
    desk = request.app[DESK]
    async with desk.database.connection() as connection:
        people = await own_persons(connection, principal_of(request).account_id, vault=desk.vault)
    return answer_json(Persons(persons=tuple(people)))


async def _ask(desk: Desk, account_id: str, body: CreatePerson) -> AddPerson:
    parsed = nik.parse(body.nik)
    if parsed is None:
        raise Problem(BAD_REQUEST, field="nik", reason="must be 16 digits")
    verified = await verified_by(
        desk.registry,
        digits=body.nik,
        full_name=body.full_name,
        birth_date=body.birth_date,
        within_seconds=desk.accounts.registry_timeout_seconds,
    )
    return AddPerson(
        account_id=account_id,
        nik=parsed,
        family_card_number=body.family_card_number,
        full_name=body.full_name,
        birth_date=body.birth_date,
        relation=body.relation,
        verified=verified,
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/persons",
        handler=create_person,
        operation="create_person",
        summary="Add somebody of the family; known already: the same person_id with 200",
        auth=Auth.TOKEN,
        body=CreatePerson,
        answers={201: PersonAdded, 200: PersonAdded},
        problems=(
            problems.PERSONS_LIMIT_REACHED,
            problems.FAMILY_CARD_DIFFERS,
            problems.PERSON_BELONGS_ELSEWHERE,
        ),
        idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/persons",
        handler=list_persons,
        operation="list_persons",
        summary="The caller's people, with names and masked NIKs",
        auth=Auth.TOKEN,
        answers={200: Persons},
    ),
)
