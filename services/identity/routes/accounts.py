"""
Registering an account, activating it, and seeing it.
"""

import phonenumbers
from aiohttp import web

from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import BAD_REQUEST, UNAUTHENTICATED, Problem, answer
from kernel.http.route import Auth, Route, answer_json, body_of, idempotency_key
from kernel.ids import fresh
from kernel.postgres import Connection
from services.identity import problems
from services.identity.domain.credentials import password_refusal, username_refusal
from services.identity.routes.bodies import AccountState, ActivateAccount, CreateAccount
from services.identity.routes.keys import DESK
from services.identity.stores.passwords import Busy
from services.identity.use_cases.activate import LinkRefused, activate
from services.identity.use_cases.look_up import Me, me
from services.identity.use_cases.register import Register, register

HOME_REGION = "ID"
BUSY_RETRY_SECONDS = 2


async def create_account(request: web.Request) -> web.Response:
    """
    `POST /v1/accounts`.
    """
    desk = request.app[DESK]
    idempotency_key(request)
    body = await body_of(request, CreateAccount)
    phone = _checked(body)
    # Hashed before the transaction: it takes longer than everything in it, and holds no connection.
    password_hash = await desk.passwords.hash(body.password)
    if isinstance(password_hash, Busy):
        return answer(request, problems.BUSY, retry_after_seconds=BUSY_RETRY_SECONDS)
    ask = Register(
        account_id=fresh("acc"),
        username=body.username,
        password_hash=password_hash,
        nik=body.nik,
        phone=phone,
        email=body.email,
        address=body.address,
        locale=body.locale,
    )

    async def work(connection: Connection) -> web.Response:
        created = await register(
            connection, [ask], vault=desk.vault, activation_ttl_seconds=desk.accounts.activation_ttl_seconds
        )
        if ask.account_id not in created:
            return answer(request, problems.USERNAME_TAKEN, field="username")
        return answer_json(AccountState(account_id=ask.account_id, state="pending_activation"), status=202)

    return await once(
        request, desk.database, scope="create_account", work=work, fingerprint_key=desk.vault.fingerprint_key()
    )


async def activate_account(request: web.Request) -> web.Response:
    """
    `POST /v1/accounts/activation`.
    """
    desk = request.app[DESK]
    body = await body_of(request, ActivateAccount)
    async with desk.database.transaction() as connection:
        outcome = await activate(connection, body.token, vault=desk.vault)
    if outcome is LinkRefused.UNKNOWN:
        return answer(request, problems.ACTIVATION_TOKEN_UNKNOWN, field="token")
    if outcome is LinkRefused.EXPIRED:
        return answer(request, problems.ACTIVATION_TOKEN_EXPIRED, field="token")
    return answer_json(AccountState(account_id=outcome.account_id, state="active"))


async def read_me(request: web.Request) -> web.Response:
    """
    `GET /v1/accounts/me`.
    """
    desk = request.app[DESK]
    async with desk.database.connection() as connection:
        found = await me(connection, principal_of(request).account_id, vault=desk.vault)
    return answer(request, UNAUTHENTICATED, field="Authorization") if found is None else answer_json(found)


def _checked(body: CreateAccount) -> str:
    refused = username_refusal(body.username, nik=body.nik)
    if refused:
        raise Problem(BAD_REQUEST, field="username", reason=refused)
    refused = password_refusal(body.password, username=body.username)
    if refused:
        raise Problem(problems.PASSWORD_REFUSED, field="password", reason=refused)
    phone = e164(body.phone)
    if phone is None:
        raise Problem(BAD_REQUEST, field="phone", reason="is no telephone number that could be called")
    return phone


def e164(text: str) -> str | None:
    """
    The number as +62…, or None if there cannot be one.
    """
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


ROUTES = (
    Route(
        method="POST",
        path="/v1/accounts",
        handler=create_account,
        operation="create_account",
        summary="Ask for an account; a link to activate it goes to the e-mail address",
        body=CreateAccount,
        answers={202: AccountState},
        problems=(problems.USERNAME_TAKEN, problems.PASSWORD_REFUSED, problems.BUSY),
        idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/accounts/activation",
        handler=activate_account,
        operation="activate_account",
        summary="Activate an account with the token of its link; repeats say the same",
        body=ActivateAccount,
        answers={200: AccountState},
        problems=(problems.ACTIVATION_TOKEN_UNKNOWN, problems.ACTIVATION_TOKEN_EXPIRED),
    ),
    Route(
        method="GET",
        path="/v1/accounts/me",
        handler=read_me,
        operation="read_account",
        summary="The caller's account",
        auth=Auth.TOKEN,
        answers={200: Me},
    ),
)
