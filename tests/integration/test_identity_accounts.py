"""
From the wish for an account to a pass, and every way to be refused before that.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.events import AccountActivated, AccountRegistered
from kernel.auth.passes import PassKeys
from kernel.clock import now_ms
from services.identity.stores.accounts import token_hash
from services.identity.use_cases.tidy import tidy_once
from tests.integration.identity_room import Room, account, code_of, nik_of, opened_room


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    """
    An empty identity.
    """
    async with opened_room(database) as opened:
        yield opened


async def test_the_whole_way_from_registration_to_a_pass(room: Room) -> None:
    """
    Register, mail, link, log in, add the family, get a pass that speaks for all of them.
    """
    registered = await room.register("budi", locale="en")
    account_id = (await registered.json())["account_id"]
    [event] = await room.told(AccountRegistered)
    link = await room.post("/v1/accounts/activation", {"token": event.activation_token})
    token = (await (await room.log_in()).json())["access_token"]
    people = [(await (await room.add(token, number)).json())["person_id"] for number in (1, 2, 3)]
    issued = await (await room.post("/v1/passes", token=token)).json()
    principal = PassKeys.parse(room.settings.credentials.pass_keys, variable="PASS_KEYS").verify(
        issued["pass"], now_ms=now_ms()
    )

    assert (202, "pending_activation") == (registered.status, (await registered.json())["state"])
    assert (account_id, "budi@example.com", "en") == (event.account_id, event.email, event.locale)
    assert event.activate_by_ms - event.at_ms == 24 * 3600 * 1000
    assert {"account_id": account_id, "state": "active"} == await link.json()
    assert people == issued["person_ids"]
    assert principal is not None
    assert (account_id, frozenset(people)) == (principal.account_id, principal.person_ids)
    assert abs(now_ms() + 7_200_000 - principal.expires_at_ms) < 60_000
    assert issued["expires_at_ms"] == principal.expires_at_ms
    assert issued["expires_at"].endswith("Z")
    assert ["budi@example.com"] == await room.active_emails()
    assert {"account_id": account_id, "username": "budi", "state": "active", "email": "b***@example.com"} == (
        await (await room.get("/v1/accounts/me", token=token)).json()
    )


async def test_only_the_hash_of_a_link_is_kept(room: Room) -> None:
    """
    The token goes out by mail and is forgotten here.
    """
    account_id = (await (await room.register()).json())["account_id"]
    token = await room.link(account_id)
    [row] = await room.fetch("SELECT token_hash FROM activation")

    assert token_hash(token) == row["token_hash"]
    assert len(token) == 43


async def test_the_same_key_gets_the_same_answer_and_one_account(room: Room) -> None:
    """
    A lost answer is asked for again without harm.
    """
    first = await room.register(idem="the-same-key")
    second = await room.register(idem="the-same-key")

    assert await first.json() == await second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (1, 1) == (await room.count("account"), len(await room.told(AccountRegistered)))


async def test_the_same_key_sent_at_once_makes_one_account(room: Room) -> None:
    """
    A double click is one wish: the others see its answer, or that it is still running.
    """
    answers = await asyncio.gather(*(room.register(idem="the-same-key") for _ in range(8)))
    made = {(await answer.json())["account_id"] for answer in answers if answer.status == 202}

    assert {202, 409} >= {answer.status for answer in answers}
    assert len(made) == 1 == await room.count("account")


async def test_a_key_is_for_one_body_and_must_be_there(room: Room) -> None:
    """
    Another body under a known key is a mistake of the client.
    """
    await room.register(idem="the-same-key")
    other = await room.register("sari", idem="the-same-key")
    without = await room.client.post("/v1/accounts", json=account("wati"))

    assert (422, "idempotency_key_reused") == await code_of(other)
    assert (400, "idempotency_key_missing") == await code_of(without)
    assert await room.count("account") == 1


async def test_a_username_belongs_to_one_account(room: Room) -> None:
    """
    Also when two ask at once.
    """
    answers = await asyncio.gather(*(room.register("budi", email=f"budi{n}@example.com") for n in range(4)))

    assert [202, 409, 409, 409] == sorted(answer.status for answer in answers)
    assert (409, "username_taken") == await code_of(await room.register("budi", email="other@example.com"))


async def test_an_address_with_an_account_is_not_to_be_seen_from_outside(room: Room) -> None:
    """
    The same answer, the username is taken as well, but no link goes out.
    """
    await room.activated("budi", email="family@example.com")
    answer = await room.register("sari", email="Family@Example.com")
    body = await answer.json()

    assert (202, "pending_activation", {"account_id", "state"}) == (answer.status, body["state"], set(body))
    assert (409, "username_taken") == await code_of(await room.register("sari", email="sari@example.com"))
    assert ["family@example.com"] == [event.email for event in await room.told(AccountRegistered)]
    assert (403, "account_not_active") == await code_of(await room.log_in("sari"))


async def test_an_address_belongs_to_whoever_activates_first(room: Room) -> None:
    """
    Somebody else's wish takes nothing from the owner of the mailbox.
    """
    ids = [
        (await (await room.register(name, email="family@example.com")).json())["account_id"]
        for name in ("budi", "sari", "wati")
    ]
    links = [await room.link(account_id) for account_id in ids]
    answers = await asyncio.gather(*(room.post("/v1/accounts/activation", {"token": link}) for link in links))

    assert [200, 410, 410] == sorted(answer.status for answer in answers)
    assert ["family@example.com"] == await room.active_emails()


async def test_a_link_opened_twice_says_the_same(room: Room) -> None:
    """
    Mail programs open links before people do; also at the same time.
    """
    account_id = (await (await room.register()).json())["account_id"]
    body = {"token": await room.link(account_id)}
    answers = await asyncio.gather(*(room.post("/v1/accounts/activation", body) for _ in range(4)))
    later = await room.post("/v1/accounts/activation", body)

    assert [{"account_id": account_id, "state": "active"}] * 5 == [await a.json() for a in (*answers, later)]
    assert len(await room.told(AccountActivated)) == 1


async def test_a_link_that_is_unknown_or_too_old_activates_nothing(room: Room) -> None:
    """
    One code, two states: never heard of, and gone.
    """
    account_id = (await (await room.register()).json())["account_id"]
    link = await room.link(account_id)
    await room.fetch("UPDATE activation SET expires_at = now() - interval '1 second'")

    assert (404, "activation_token_invalid") == await code_of(
        await room.post("/v1/accounts/activation", {"token": "x" * 43})
    )
    assert (410, "activation_token_invalid") == await code_of(
        await room.post("/v1/accounts/activation", {"token": link})
    )
    assert [] == await room.active_emails()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("nik", "327301", "bad_request"),
        ("phone", "+999123456789", "bad_request"),
        ("email", "budi@", "bad_request"),
        ("username", f"x{nik_of(1)}", "bad_request"),
        ("password", "PASSWORD123", "password_refused"),
        ("password", "too short", "bad_request"),
        ("favourite_colour", "blue", "bad_request"),
    ],
)
async def test_a_wish_that_cannot_be_names_its_field(room: Room, field: str, value: Any, code: str) -> None:
    """
    Nothing is created, and what was typed is not repeated.
    """
    answer = await room.register(**({field: value} if field != "username" else {"username": value}))
    body = await answer.json()

    assert (400, code, field) == (answer.status, body["code"], body["field"])
    assert value not in str(body)
    assert await room.count("account") == 0


async def test_an_account_never_activated_is_erased_in_time(room: Room) -> None:
    """
    Its username is free again and the vault is empty of it; active ones stay.
    """
    await room.activated("sari")
    await room.register("budi")
    await room.fetch("UPDATE account SET created_at = now() - interval '8 days'")
    erased = await tidy_once(room.db, pending_keep_seconds=7 * 86400, login_window_seconds=900, visits_keep_days=3)

    assert erased == 1
    assert [("sari",)] == [tuple(row) for row in await room.fetch("SELECT username FROM account")]
    assert (0, 4) == (
        await room.count("vault WHERE owner_id NOT IN (SELECT account_id FROM account)"),
        await room.count("vault"),
    )
    assert (await room.register("budi")).status == 202


async def test_too_many_at_once_are_told_to_come_back(database: str) -> None:
    """
    Hashing is bounded: who does not fit gets 503 with Retry-After, and nothing has happened.
    """
    async with opened_room(database, PASSWORD_WORKERS="1", PASSWORD_WAITING_MAX="1") as room:
        answers = await asyncio.gather(*(room.register(f"budi{n}") for n in range(10)))
        refused = [answer for answer in answers if answer.status == 503]

        assert {202, 503} == {answer.status for answer in answers}
        assert {"busy"} == {(await a.json())["code"] for a in refused}
        assert {a.headers["Retry-After"] for a in refused} <= {"2", "3", "4"}
        assert 10 - len(refused) == await room.count("account")
