"""
Sandbox accounts in bulk, and the one-shots as an operator types them.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.events import AccountActivated, AccountRegistered
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenVerifier
from kernel.clock import now_ms
from kernel.settings import load
from services.identity import app
from services.identity.settings import ProvisionSettings
from services.identity.use_cases.provision import Crowd, ProvisionRefused
from tests.integration.identity_room import environment, opened_room

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 60
CROWD = Crowd(accounts=450, smallest=1, largest=5, seed=42)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def test_provisioned_accounts_are_as_good_as_registered_ones(database: str, tmp_path: Path) -> None:
    """
    Token and pass speak for the people of the line, the activation is told, and the password logs in.
    """
    out = tmp_path / "crowd.jsonl"
    out.touch(mode=0o644)
    async with opened_room(database) as room:
        settings = load(ProvisionSettings, environment(database))
        seconds = await app.provision_to(out, CROWD, settings)
        accounts = lines_of(out)
        jwks = await (await room.get("/.well-known/jwks.json")).json()
        by_token = [TokenVerifier(now_ms, jwks=jwks).verify(line["access_token"]) for line in accounts]
        passes = PassKeys.parse(settings.credentials.pass_keys, variable="PASS_KEYS")
        by_pass = [passes.verify(line["pass"], now_ms=now_ms()) for line in accounts]
        ids = [(line["account_id"], frozenset(line["person_ids"])) for line in accounts]
        told = await room.told(AccountActivated)
        logged_in = await room.log_in(accounts[0]["username"], app.SANDBOX_PASSWORD)
        shown = await (await room.get("/v1/persons", token=accounts[0]["access_token"])).json()
        print(f"provisioned {CROWD.accounts / seconds:.0f} accounts/s")  # noqa: T201 - reported, not asserted

        assert (
            ids
            == [(p.account_id, p.person_ids) for p in by_token if p]
            == [(p.account_id, p.person_ids) for p in by_pass if p]
        )
        assert out.stat().st_mode & 0o777 == 0o600
        assert {1, 2, 3, 4, 5} == {len(line["person_ids"]) for line in accounts}
        assert sorted(account_id for account_id, _ in ids) == sorted(event.account_id for event in told)
        assert [] == await room.told(AccountRegistered)
        assert logged_in.status == 200
        assert accounts[0]["person_ids"] == [person["person_id"] for person in shown["persons"]]
        assert [[]] * len(shown["persons"]) == [person["warnings"] for person in shown["persons"]]


async def test_the_same_seed_finds_the_same_people_and_tells_nothing_twice(database: str, tmp_path: Path) -> None:
    """
    A run that was cut short is simply run again.
    """
    async with opened_room(database) as room:
        settings = load(ProvisionSettings, environment(database))
        few = msgspec.structs.replace(CROWD, accounts=30)
        await app.provision_to(tmp_path / "few", few, settings)
        await app.provision_to(tmp_path / "more", msgspec.structs.replace(CROWD, accounts=60), settings)
        first, second = lines_of(tmp_path / "few"), lines_of(tmp_path / "more")

        assert [(line["account_id"], line["person_ids"]) for line in first] == [
            (line["account_id"], line["person_ids"]) for line in second[:30]
        ]
        assert 60 == await room.count("account") == len(await room.told(AccountActivated))


async def test_a_seed_whose_names_are_taken_is_refused_whole(database: str, tmp_path: Path) -> None:
    """
    The batch leaves nothing behind.
    """
    async with opened_room(database) as room:
        await room.activated("sandbox-42-7")
        with pytest.raises(ProvisionRefused, match="--seed"):
            await app.provision_to(tmp_path / "out", CROWD, load(ProvisionSettings, environment(database)))

        assert await room.count("account") == 1
        assert await room.count("person") == 0


async def test_the_commands_say_what_they_did_or_why_not(database: str, tmp_path: Path) -> None:
    """
    Exit 0 and a sentence, 1 for trouble, 2 for a wrong command or configuration.
    """
    bulk = ("provision", "--accounts", "3", "--families", "2", "--seed", "5", "--out", str(tmp_path / "out"))
    migrated = await command(database, "migrate")
    provisioned = await command(database, *bulk)
    rewrapped = await command(database, "rewrap")
    no_sandbox = await command(database, *bulk, SANDBOX="0")
    no_range = await command(database, "provision", "--accounts", "3", "--families", "5-1", "--out", "x")
    no_server = await command("postgresql://nobody@127.0.0.1:9/nothing", "rewrap")

    assert (0, "identity: 7 migrations applied") == migrated[:2]
    assert 0 == provisioned[0]
    assert provisioned[1].startswith("identity: 3 accounts in ")
    assert [2, 2, 2] == [len(line["person_ids"]) for line in lines_of(tmp_path / "out")]
    assert (0, "identity: 0 values sealed with the current key") == rewrapped[:2]
    assert (2, True) == (no_sandbox[0], "SANDBOX must be 1" in no_sandbox[2])
    assert (2, True) == (no_range[0], "such as 3 or 1-5" in no_range[2])
    assert (1, True) == (no_server[0], no_server[2].startswith("Retryable: Postgres"))


async def command(dsn: str, *arguments: str, **other: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.identity", *arguments,
        cwd=ROOT, env={**os.environ, **environment(dsn, **other)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(COMMAND_SECONDS):
        out, errors = await process.communicate()
    return process.returncode, out.decode().strip(), errors.decode()
