"""
Tokens for people, passes for the opening, and the public keys that check tokens.

Tokens and passes take no Idempotency-Key: they issue something and change nothing.
"""

import datetime as dt

from aiohttp import web

from kernel.http.application import principal_of
from kernel.http.problem import UNAUTHENTICATED, answer
from kernel.http.route import Auth, Route, answer_json, body_of
from services.identity import metrics, problems
from services.identity.routes.accounts import BUSY_RETRY_SECONDS
from services.identity.routes.bodies import CreateToken, Jwks, Pass, Token
from services.identity.routes.keys import DESK, Desk
from services.identity.stores.passwords import Busy
from services.identity.use_cases.log_in import Limited, Limits, LoggedIn, LogInRefused, Outcome, log_in
from services.identity.use_cases.look_up import person_ids

JWKS_CACHE = {"Cache-Control": "public, max-age=300"}
"""As often as the rooms look again."""


async def create_token(request: web.Request) -> web.Response:
    """
    `POST /v1/tokens`.
    """
    desk = request.app[DESK]
    body = await body_of(request, CreateToken)
    outcome = await log_in(
        desk.database,
        username=body.username,
        password=body.password,
        vault=desk.vault,
        passwords=desk.passwords,
        limits=Limits(attempts_max=desk.accounts.login_attempts_max, window_seconds=desk.accounts.login_window_seconds),
    )
    metrics.tokens.labels(_label(outcome)).inc()
    if isinstance(outcome, LoggedIn):
        return answer_json(_token(desk, outcome))
    return _refused(request, outcome)


async def create_pass(request: web.Request) -> web.Response:
    """
    `POST /v1/passes`.
    """
    desk = request.app[DESK]
    account_id = principal_of(request).account_id
    async with desk.database.connection() as connection:
        people = await person_ids(connection, account_id)
    if people is None:
        return answer(request, UNAUTHENTICATED, field="Authorization")
    expires_at_ms = desk.now_ms() + desk.credentials.pass_ttl_seconds * 1000
    issued = desk.pass_keys.issue(account_id=account_id, person_ids=people, expires_at_ms=expires_at_ms)
    metrics.passes.inc()
    return answer_json(
        Pass(pass_=issued, expires_at=_rfc3339(expires_at_ms), expires_at_ms=expires_at_ms, person_ids=people)
    )


async def read_jwks(request: web.Request) -> web.Response:
    """
    `GET /.well-known/jwks.json`.
    """
    return answer_json(request.app[DESK].signer.jwks(), headers=JWKS_CACHE)


def _token(desk: Desk, who: LoggedIn) -> Token:
    ttl_seconds = desk.credentials.token_ttl_seconds
    token = desk.signer.issue(
        account_id=who.account_id,
        person_ids=who.person_ids,
        roles=who.roles,
        now_ms=desk.now_ms(),
        ttl_seconds=ttl_seconds,
    )
    return Token(access_token=token, expires_in=ttl_seconds, account_id=who.account_id)


def _refused(request: web.Request, outcome: Limited | LogInRefused | Busy) -> web.Response:
    if isinstance(outcome, Limited):
        return answer(request, problems.TOO_MANY_ATTEMPTS, retry_after_seconds=outcome.retry_after_seconds)
    if isinstance(outcome, Busy):
        return answer(request, problems.BUSY, retry_after_seconds=BUSY_RETRY_SECONDS)
    if outcome is LogInRefused.NOT_ACTIVE:
        return answer(request, problems.ACCOUNT_NOT_ACTIVE)
    return answer(request, problems.WRONG_CREDENTIALS)


def _label(outcome: Outcome) -> str:
    if isinstance(outcome, LogInRefused):
        return outcome.value
    if isinstance(outcome, LoggedIn):
        return "issued"
    return "limited" if isinstance(outcome, Limited) else "busy"


def _rfc3339(at_ms: int) -> str:
    at = dt.datetime.fromtimestamp(at_ms / 1000, tz=dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


ROUTES = (
    Route(
        method="POST",
        path="/v1/tokens",
        handler=create_token,
        operation="create_token",
        summary="Log in",
        body=CreateToken,
        answers={200: Token},
        problems=(
            problems.WRONG_CREDENTIALS,
            problems.ACCOUNT_NOT_ACTIVE,
            problems.TOO_MANY_ATTEMPTS,
            problems.BUSY,
        ),
    ),
    Route(
        method="POST",
        path="/v1/passes",
        handler=create_pass,
        operation="create_pass",
        summary="Exchange a token for a pass before an opening",
        auth=Auth.TOKEN,
        answers={200: Pass},
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=read_jwks,
        operation="read_jwks",
        summary="The keys that check tokens",
        answers={200: Jwks},
    ),
)
