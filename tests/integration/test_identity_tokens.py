"""
Logging in, and every token that is none.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest

from kernel.auth.tokens import TokenSigner, TokenVerifier, signing_key
from kernel.clock import now_ms
from tests.integration.identity_room import PASSWORD, Room, code_of, key, opened_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    """
    An identity that takes three attempts.
    """
    async with opened_room(database, LOGIN_ATTEMPTS_MAX="3") as opened:
        yield opened


async def test_a_token_names_the_account_and_its_people(room: Room) -> None:
    """
    Checked as any other room does: with the published keys.
    """
    account_id = await room.activated()
    early = (await (await room.log_in()).json())["access_token"]
    person_id = (await (await room.add(early, 1)).json())["person_id"]
    answer = await (await room.log_in()).json()
    jwks = await room.get("/.well-known/jwks.json")
    principal = TokenVerifier(now_ms, jwks=await jwks.json()).verify(answer["access_token"])

    assert ("Bearer", 3600, account_id) == (answer["token_type"], answer["expires_in"], answer["account_id"])
    assert principal is not None
    assert (account_id, frozenset({person_id}), frozenset()) == (
        principal.account_id,
        principal.person_ids,
        principal.roles,
    )
    assert jwks.headers["Cache-Control"] == "public, max-age=300"
    assert "d" not in (await jwks.json())["keys"][0]


async def test_a_wrong_password_and_an_unknown_name_are_one_answer(room: Room) -> None:
    """
    Nobody learns which usernames exist.
    """
    await room.activated()
    wrong = await (await room.log_in("budi", "wrong password")).json()
    unknown = await (await room.log_in("nobody", "wrong password")).json()

    assert (401, "wrong_credentials") == (wrong["status"], wrong["code"])
    assert {**wrong, "request_id": ""} == {**unknown, "request_id": ""}


async def test_whether_an_account_is_active_is_told_to_its_holder_only(room: Room) -> None:
    """
    With a wrong password a pending account looks like none.
    """
    await room.register()

    assert (401, "wrong_credentials") == await code_of(await room.log_in("budi", "wrong password"))
    assert (403, "account_not_active") == await code_of(await room.log_in())


async def test_too_many_attempts_wait_even_with_the_right_password(room: Room) -> None:
    """
    Until the window is over; then everything is as before.
    """
    await room.activated()
    wrong = [await code_of(await room.log_in("budi", "wrong password")) for _ in range(3)]
    limited = await room.log_in()
    await room.fetch("UPDATE login_attempt SET window_started_at = now() - interval '15 minutes'")
    later = await room.log_in()

    assert [(401, "wrong_credentials")] * 3 == wrong
    assert (429, "too_many_attempts") == await code_of(limited)
    assert 0 < int(limited.headers["Retry-After"]) <= 900
    assert later.status == 200


async def test_a_success_starts_over(room: Room) -> None:
    """
    Somebody who mistypes now and then is never locked out.
    """
    await room.activated()
    statuses = []
    for _ in range(3):
        statuses += [(await room.log_in("budi", "wrong password")).status for _ in range(2)]
        statuses.append((await room.log_in()).status)

    assert [401, 401, 200] * 3 == statuses
    assert await room.count("login_attempt") == 0


async def test_guesses_sent_at_once_are_counted_one_by_one(room: Room) -> None:
    """
    An attempt counts before it is judged, also for names that do not exist.
    """
    await room.activated()
    for username in ("budi", "nobody"):
        answers = await asyncio.gather(*(room.log_in(username, f"wrong password {n}") for n in range(12)))

        assert [401] * 3 + [429] * 9 == sorted(answer.status for answer in answers)


async def test_the_limit_of_one_name_is_not_anothers(room: Room) -> None:
    """
    Limits go by username.
    """
    await room.activated("budi")
    await room.activated("sari")
    for _ in range(5):
        await room.log_in("budi", "wrong password")

    assert (await room.log_in("sari")).status == 200


async def test_being_told_to_come_back_costs_no_attempt(database: str) -> None:
    """
    Who was never judged has not failed.
    """
    async with opened_room(database, PASSWORD_WORKERS="1", PASSWORD_WAITING_MAX="0", LOGIN_ATTEMPTS_MAX="100") as room:
        await room.activated()
        answers = await asyncio.gather(*(room.log_in("budi", "wrong password") for _ in range(12)))
        judged = [answer for answer in answers if answer.status == 401]
        [row] = await room.fetch("SELECT attempts FROM login_attempt")

        assert {401, 503} == {answer.status for answer in answers}
        assert len(judged) == row["attempts"]


def forged(token: str, jwks: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """
    A genuine token, spoilt in every way that has worked somewhere.
    """
    header, payload, signature = token.split(".")
    claims = json.loads(part(payload))
    public = part(jwks["keys"][0]["x"])
    stranger = TokenSigner(signing_key(key("z"), variable="JWT_SIGNING_KEY"))
    own = TokenSigner(signing_key(key("j"), variable="JWT_SIGNING_KEY"))
    mine = {"account_id": claims["sub"], "person_ids": (), "roles": ()}
    return {
        "nothing": "",
        "no token": "abc",
        "two parts": f"{header}.{payload}",
        "no signature": f"{header}.{payload}.",
        "other signature": f"{header}.{payload}.{'A' * len(signature)}",
        "algorithm none": f"{sealed({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        "HS256 with the public key": hmac_signed(public, payload),
        "another account": f"{header}.{sealed({**claims, 'sub': 'acc_other'})}.{signature}",
        "more roles": f"{header}.{sealed({**claims, 'roles': ['officer']})}.{signature}",
        "a stranger's key": stranger.issue(**mine, now_ms=now_ms(), ttl_seconds=60),
        "expired": own.issue(**mine, now_ms=now_ms() - 61_000, ttl_seconds=60),
        "not yet": own.issue(**mine, now_ms=now_ms() + 60_000, ttl_seconds=60),
        "too long": token + "A" * 5000,
    }


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sealed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def hmac_signed(public: bytes, payload: str) -> str:
    import hashlib  # noqa: PLC0415 - of this attack alone
    import hmac  # noqa: PLC0415 - as above

    text = f"{sealed({'alg': 'HS256', 'typ': 'at+jwt'})}.{payload}"
    mac = hmac.digest(public, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


async def codes(room: Room, token: str) -> set[tuple[int, str]]:
    answers = [
        await room.get("/v1/accounts/me", token=token),
        await room.get("/v1/persons", token=token),
        await room.post("/v1/passes", token=token),
        await room.add(token, 1),
    ]
    return {await code_of(answer) if answer.status >= 400 else (answer.status, "") for answer in answers}


async def test_a_forged_token_opens_nothing(room: Room) -> None:
    """
    Every call that wants a token refuses every forgery, and takes the genuine one.
    """
    token = await room.token()
    jwks = await (await room.get("/.well-known/jwks.json")).json()
    passed = [
        name
        for name, forgery in forged(token, jwks).items()
        if await codes(room, forgery) != {(401, "unauthenticated")}
    ]

    assert [] == passed
    assert (await room.get("/v1/accounts/me", token=token)).status == 200
    assert await room.count("person") == 0


async def test_a_pass_is_no_token(room: Room) -> None:
    """
    Passes are good for reserving and for nothing here.
    """
    token = await room.token()
    issued = (await (await room.post("/v1/passes", token=token)).json())["pass"]
    as_bearer = await room.get("/v1/persons", token=issued)
    as_pass = await room.client.get("/v1/persons", headers={"Authorization": f"Pass {issued}"})

    assert (401, "unauthenticated") == await code_of(as_bearer)
    assert (401, "unauthenticated") == await code_of(as_pass)


async def test_a_token_outlives_its_account_by_nothing(room: Room) -> None:
    """
    An account that is gone or set back gets no pass.
    """
    token = await room.token()
    await room.fetch("UPDATE account SET state = 'pending_activation', activated_at = NULL")

    assert (401, "unauthenticated") == await code_of(await room.post("/v1/passes", token=token))


async def test_passwords_are_kept_as_argon2id(room: Room) -> None:
    """
    Salted: the same password twice is two hashes.
    """
    await room.register("budi")
    await room.register("sari")
    hashes = [row["password_hash"] for row in await room.fetch("SELECT password_hash FROM account")]

    assert all(stored.startswith("$argon2id$") for stored in hashes)
    assert len(set(hashes)) == 2
    assert PASSWORD not in "".join(hashes)
