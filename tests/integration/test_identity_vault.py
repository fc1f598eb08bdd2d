"""
What lies where: the vault alone has people's data, and keys can be changed.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp
import pytest

from kernel.postgres import Database
from services.identity import app
from services.identity.settings import RewrapSettings, VaultSettings
from services.identity.stores.vault import Field, VaultDamaged
from tests.integration.identity_room import (
    PASSWORD,
    Eventually,
    Room,
    account,
    environment,
    key,
    nik_of,
    opened_room,
    person,
    running,
)

STOP_SECONDS = 15
NAME, ADDRESS, CARD = "Kartini Zulkarnaen", "Jalan Rahasia 99", "3273010101209876"
HOLDER, FIRST, ODD = nik_of(7301), nik_of(7302), "9973013102907303"
PERSONAL = (HOLDER, FIRST, ODD, CARD, NAME, ADDRESS, "81234567890", "0812-3456-7890", PASSWORD)
"""None of it may stand outside the vault; the e-mail address may, in the events that need it."""


async def live_a_life(
    post: Callable[..., Awaitable[aiohttp.ClientResponse]], link: Callable[[], Awaitable[str]]
) -> list[int]:
    """
    Register, activate, log in, add, be refused in every way that carries a NIK. Returns the statuses.
    """
    wish = account("kartini", nik=HOLDER, address=ADDRESS)
    family = {"full_name": NAME, "family_card_number": CARD}
    first = person(1, **family, nik=FIRST)
    answers = [await post("/v1/accounts", wish), await post("/v1/accounts", {**wish, "nik": HOLDER + "0"})]
    answers += [
        await post("/v1/accounts", {**wish, "username": "x" + HOLDER}),
        await post("/v1/accounts", wish),
        await post("/v1/accounts/activation", {"token": await link()}),
        await post("/v1/tokens", {"username": HOLDER, "password": PASSWORD}),
        await post("/v1/tokens", {"username": "kartini", "password": NAME}),
    ]
    logged_in = await post("/v1/tokens", {"username": "kartini", "password": PASSWORD})
    token = (await logged_in.json())["access_token"]
    answers += [
        await post("/v1/persons", first, token=token),
        await post("/v1/persons", first, token=token),
        await post("/v1/persons", {**first, "nik": ODD}, token=token),
        await post("/v1/persons", {**first, "nik": nik_of(5), "family_card_number": nik_of(6)}, token=token),
        await post("/v1/persons", {**first, "relation": NAME}, token=token),
        await post("/v1/persons", {**first, "nik": FIRST + FIRST}, token=token),
        await post("/v1/passes", token=token),
    ]
    return [answer.status for answer in answers]


STATUSES = [202, 400, 400, 409, 200, 401, 401, 201, 200, 201, 409, 400, 400, 200]


async def outside_the_vault(db: Database) -> dict[str, bytes]:
    """
    Every byte of every other table, by table: as stored, and as text.
    """
    async with db.connection() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'identity' AND table_name <> 'vault'"
        )
        return {
            table["table_name"]: b"\n".join(
                cell
                for row in await connection.fetch(f'SELECT t.*, t::text AS "all" FROM "{table["table_name"]}" AS t')  # noqa: S608 - names from the catalogue
                for cell in cells(row)
            )
            for table in tables
        }


def cells(row: Mapping[str, Any]) -> Iterable[bytes]:
    for value in row.values():
        yield bytes(value) if isinstance(value, bytes) else str(value).encode()


def found(places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """
    Which personal data stands where, in the open or in hexadecimal.
    """
    return [
        (place, value)
        for place, content in places.items()
        for value in PERSONAL
        if value.encode() in content or value.encode().hex().encode() in content
    ]


async def test_no_personal_data_stands_outside_the_vault(database: str) -> None:
    """
    A byte scan of all other tables, the outbox included; and the scan can see.
    """
    async with opened_room(database) as room:

        async def link() -> str:
            [row] = await room.fetch("SELECT account_id FROM account")
            return await room.link(row["account_id"])

        statuses = await live_a_life(room.post, link)
        places = await outside_the_vault(room.db)
        async with room.db.connection() as connection:
            await connection.execute("UPDATE outbox SET key = $1 WHERE id = 1", NAME)
            await connection.execute("UPDATE idempotency SET body = $1 WHERE status = 201", FIRST.encode())
        planted = await outside_the_vault(room.db)

        assert STATUSES == statuses
        assert {"account", "activation", "idempotency", "inbox", "login_attempt", "outbox", "person"} <= set(places)
        assert all(places[name] for name in ("account", "idempotency", "login_attempt", "outbox", "person"))
        assert [] == found(places)
        assert {("outbox", NAME), ("idempotency", FIRST)} == set(found(planted))


async def test_no_personal_data_stands_in_the_log_of_the_real_process(database: str, eventually: Eventually) -> None:
    """
    The api process on its own ports, at the most talkative level, through a life and a fault; it ends on SIGTERM.
    """
    async with opened_room(database) as room:

        async def link() -> str:
            [row] = await room.fetch("SELECT account_id FROM account")
            return await room.link(row["account_id"])

        async with (
            running("api", environment(database, LOG_LEVEL="debug"), eventually) as (process, base),
            aiohttp.ClientSession() as session,
        ):

            async def post(path: str, body: Any = None, *, token: str | None = None) -> aiohttp.ClientResponse:
                headers = {"Idempotency-Key": os.urandom(8).hex(), "Authorization": f"Bearer {token}"}
                return await session.post(base + path, json=body, headers=headers)

            statuses = await live_a_life(post, link)
            await room.fetch("ALTER TABLE account RENAME TO accounts_on_holiday")
            broken = await post("/v1/accounts", account("sari", nik=FIRST, address=ADDRESS))
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                out, errors = await process.communicate()

        assert (STATUSES, 500, 0) == (statuses, broken.status, process.returncode)
        assert b"account_registered" in out
        assert b"internal_error" in out
        assert [] == found({"log": out + errors})


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    """
    An identity with one account and three people.
    """
    async with opened_room(database) as opened:
        token = await opened.token()
        for number in (1, 2, 3):
            await opened.add(token, number)
        yield opened


def settings_of(room: Room, keys: str) -> RewrapSettings:
    vault = VaultSettings(keys=keys, index_key=room.settings.vault.index_key)
    return RewrapSettings(postgres=room.settings.postgres, vault=vault)


OLD, NEW = f"v1:{key('v')}", f"v2:{key('w')}"


async def test_a_rotation_seals_everything_anew_and_the_old_key_can_go(room: Room) -> None:
    """
    New values go under the new key at once, rewrap carries the old ones over, twice does nothing.
    """
    before = await room.fetch("SELECT nonce, sealed FROM vault")
    count = await app.rewrap_all(settings_of(room, f"{NEW},{OLD}"))
    again = await app.rewrap_all(settings_of(room, f"{NEW},{OLD}"))
    after = await room.fetch("SELECT nonce, sealed, key_version FROM vault")
    [row] = await room.fetch("SELECT person_id FROM person ORDER BY created_at LIMIT 1")
    async with room.db.connection() as connection:
        opened = await app.vault_of(settings_of(room, NEW).vault).read(connection, [row["person_id"]], list(Field))

    assert (len(before), 0) == (count, again)
    assert {"v2"} == {row["key_version"] for row in after}
    assert {row["nonce"] for row in before}.isdisjoint(row["nonce"] for row in after)
    assert {row["sealed"] for row in before}.isdisjoint(row["sealed"] for row in after)
    assert ["1990-01-01", nik_of(1), "Warga Nomor 1"] == [
        opened[row["person_id"], field] for field in (Field.BIRTH_DATE, Field.NIK, Field.FULL_NAME)
    ]


async def test_two_rewraps_at_once_share_the_work(room: Room) -> None:
    """
    Rows one holds are left to it.
    """
    settings = settings_of(room, f"{NEW},{OLD}")
    counts = await asyncio.gather(*(app.rewrap_all(settings) for _ in range(3)))

    assert await room.count("vault") == sum(counts)
    assert await room.count("vault WHERE key_version <> 'v2'") == 0


async def test_a_key_dropped_too_early_is_named_and_nothing_is_changed(room: Room) -> None:
    """
    The old key is still needed until rewrap is done.
    """
    with pytest.raises(VaultDamaged, match="'v1'"):
        await app.rewrap_all(settings_of(room, NEW))

    assert await room.count("vault WHERE key_version = 'v1'") == await room.count("vault")


async def test_a_row_moved_to_somebody_else_does_not_open(room: Room) -> None:
    """
    Who can write to the table still cannot make one person's NIK another's.
    """
    first, second = [row["person_id"] for row in await room.fetch("SELECT person_id FROM person LIMIT 2")]
    await room.fetch(
        "UPDATE vault AS v SET nonce = o.nonce, sealed = o.sealed FROM vault AS o"
        " WHERE v.owner_id = $1 AND o.owner_id = $2 AND v.field = 'nik' AND o.field = 'nik'",
        first,
        second,
    )
    async with room.db.connection() as connection:
        with pytest.raises(VaultDamaged, match=re.escape(first)):
            await app.vault_of(room.settings.vault).read(connection, [first], [Field.NIK])
