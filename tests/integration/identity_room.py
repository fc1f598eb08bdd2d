"""
An identity room on a database of the test's own: its HTTP door, and short words for what people do at it.

Used by `test_identity_*.py`.
"""

import asyncio
import base64
import dataclasses
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from contracts.envelope import unseal
from contracts.events import AccountActivated, AccountRegistered, Event
from kernel.kafka.message import unpack_headers
from kernel.postgres import Database, database
from kernel.settings import load
from services.identity import app
from services.identity.settings import ApiSettings
from services.identity.stores.passwords import passwords

E = TypeVar("E", bound=Event)
Eventually = Callable[..., Awaitable[Any]]
ROOT = Path(__file__).parents[2]
PASSWORD = "kuda laut biru"
CARD = "3273010101200001"


def key(letter: str) -> str:
    """
    A key of 32 bytes as the environment has it.
    """
    return base64.b64encode(letter.encode() * 32).decode()


def environment(dsn: str, **other: str) -> dict[str, str]:
    """
    What identity's processes are configured with.
    """
    return {
        "HTTP_PORT": "0",
        "DATABASE_URL": dsn,
        "VAULT_KEYS": f"v1:{key('v')}",
        "NIK_INDEX_KEY": key("i"),
        "JWT_SIGNING_KEY": key("j"),
        "PASS_KEYS": f"k1:{key('p')}",
        "AUDIT_SIGNING_KEY": key("a"),
        "SANDBOX": "1",
        **other,
    }


def nik_of(number: int) -> str:
    """
    A plausible NIK of somebody born on 1 January 1990.
    """
    return f"327301010190{number:04d}"


@dataclasses.dataclass(kw_only=True)
class Room:
    """
    The door, and what lies behind it.
    """

    client: "TestClient[Any, Any]"
    db: Database
    settings: ApiSettings
    _keys: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))

    async def post(
        self, path: str, body: Any = None, *, token: str | None = None, idem: str | None = None
    ) -> ClientResponse:
        """
        A request in English, with an Idempotency-Key of its own unless one is given.
        """
        headers = {"Idempotency-Key": idem or f"test-key-{next(self._keys):06d}", "Accept-Language": "en"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.post(path, json=body, headers=headers)

    async def get(self, path: str, *, token: str | None = None) -> ClientResponse:
        """
        A read.
        """
        return await self.client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})

    async def register(self, username: str = "budi", *, idem: str | None = None, **other: Any) -> ClientResponse:
        """
        Ask for an account.
        """
        return await self.post("/v1/accounts", account(username, **other), idem=idem)

    async def activated(self, username: str = "budi", **other: Any) -> str:
        """
        An account whose link has been opened. Returns its id.
        """
        answer = await self.register(username, **other)
        account_id = str((await answer.json())["account_id"])
        await self.post("/v1/accounts/activation", {"token": await self.link(account_id)})
        return account_id

    async def link(self, account_id: str) -> str:
        """
        The token that went out by mail.
        """
        return next(e.activation_token for e in await self.told(AccountRegistered) if e.account_id == account_id)

    async def log_in(self, username: str = "budi", password: str = PASSWORD) -> ClientResponse:
        """
        Ask for a token.
        """
        return await self.post("/v1/tokens", {"username": username, "password": password})

    async def token(self, username: str = "budi", **other: Any) -> str:
        """
        The token of a fresh, active account.
        """
        await self.activated(username, **other)
        return str((await (await self.log_in(username)).json())["access_token"])

    async def add(self, token: str, number: int, *, idem: str | None = None, **other: Any) -> ClientResponse:
        """
        Add somebody to the family.
        """
        return await self.post("/v1/persons", person(number, **other), token=token, idem=idem)

    async def told(self, kind: type[E]) -> list[E]:
        """
        The events of a kind that stand in the outbox, in order.
        """
        rows = await self.fetch("SELECT headers, body FROM outbox ORDER BY id")
        events = [unseal(unpack_headers(row["headers"]), row["body"]).event for row in rows]
        return [event for event in events if isinstance(event, kind)]

    async def active_emails(self) -> list[str]:
        """
        Whose activation has been told.
        """
        return [event.email for event in await self.told(AccountActivated)]

    async def fetch(self, statement: str, *values: Any) -> list[Mapping[str, Any]]:
        """
        Look behind the door.
        """
        async with self.db.connection() as connection:
            return list(await connection.fetch(statement, *values))

    async def count(self, table: str) -> int:
        """
        Rows of a table.
        """
        return int((await self.fetch(f"SELECT count(*) AS n FROM {table}"))[0]["n"])  # noqa: S608 - the test's own words


def account(username: str = "budi", **other: Any) -> dict[str, Any]:
    """
    An ordinary wish for an account.
    """
    return {
        "username": username,
        "password": PASSWORD,
        "nik": nik_of(9000),
        "phone": "0812-3456-7890",
        "email": f"{username}@example.com",
        "address": "Jalan Merdeka 17, Bandung",
        **other,
    }


def person(number: int, **other: Any) -> dict[str, Any]:
    """
    An ordinary member of a family.
    """
    return {
        "nik": nik_of(number),
        "family_card_number": CARD,
        "full_name": f"Warga Nomor {number}",
        "birth_date": "1990-01-01",
        "relation": "other",
        **other,
    }


async def code_of(answer: ClientResponse) -> tuple[int, str]:
    """
    Status and code of a refusal.
    """
    return answer.status, (await answer.json())["code"]


@asynccontextmanager
async def opened_room(dsn: str, **other: str) -> AsyncIterator[Room]:
    """
    Migrate and open the door.
    """
    settings = load(ApiSettings, environment(dsn, **other))
    await app.migrate(settings.postgres)
    limits = settings.passwords
    async with (
        database(settings.postgres, schema=app.SCHEMA) as db,
        passwords(workers=limits.workers, waiting_max=limits.waiting_max) as hashing,
        TestClient(TestServer(app.street(settings, db, hashing))) as client,
    ):
        yield Room(client=client, db=db, settings=settings)


@asynccontextmanager
async def running(
    command: str, environ: Mapping[str, str], eventually: Eventually
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """
    `python -m services.identity <command>` as a process of its own, ready; and the address of its door.
    """
    port, admin_port = free_ports(2)
    ports = {"HTTP_PORT": str(port), "ADMIN_PORT": str(admin_port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.identity", command,
        cwd=ROOT, env={**os.environ, **environ, **ports},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def ready() -> bool:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{admin_port}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

    try:
        await eventually(ready)
        if command == "api":
            await eventually(lambda: reachable(port))
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def reachable(port: int) -> bool:
    """
    Whether somebody listens.
    """
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def free_ports(count: int) -> list[int]:
    """
    Ports nobody has just now.
    """
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
