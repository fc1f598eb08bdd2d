"""
Roles of staff, from the command that gives them to the principal other rooms see.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from kernel.auth.principal import Principal
from kernel.auth.staff import Role, has_role
from kernel.auth.tokens import TokenVerifier
from kernel.clock import now_ms
from services.identity import app
from tests.integration.identity_room import ROOT, Room, environment, opened_room

COMMAND_SECONDS = 60


@pytest.fixture
async def room(database: str) -> AsyncIterator[Room]:
    async with opened_room(database) as opened:
        yield opened


async def _staff(database: str, *arguments: str) -> tuple[int | None, str, str]:
    return await _command(database, "staff", *arguments)


async def _command(database: str, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.identity", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment(database)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    return process.returncode, out.decode(), err.decode()


async def _principal(room: Room, token: str) -> Principal:
    jwks = await (await room.get("/.well-known/jwks.json")).json()
    principal = TokenVerifier(now_ms, jwks=jwks).verify(token)
    assert principal is not None
    return principal


async def _log_in(room: Room, *credentials: str) -> Principal:
    answer = await (await room.log_in(*credentials)).json()
    return await _principal(room, answer["access_token"])


async def test_a_role_that_is_given_is_in_the_next_token_and_one_that_is_taken_is_not(
    database: str, room: Room
) -> None:
    """
    What other rooms ask of the token's principal follows.
    """
    account_id = await room.activated()
    given = await _staff(database, "grant", "budi", "officer:bandung", "auditor", "--reason", "starts today")
    again = await _staff(database, "grant", "budi", "auditor", "--reason", "to be sure")
    officer = await _log_in(room)
    taken = await _staff(database, "revoke", "budi", "officer:bandung", "sre", "--reason", "moved on")
    auditor = await _log_in(room)

    assert [0, 0, 0] == [given[0], again[0], taken[0]]
    assert f"budi ({account_id}): auditor, officer:bandung" == given[1].splitlines()[-1] == again[1].splitlines()[-1]
    assert {"auditor", "officer:bandung"} == officer.roles
    assert (True, False, False) == (
        has_role(officer, Role.OFFICER, "bandung"),
        has_role(officer, Role.OFFICER, "jayapura"),
        has_role(officer, Role.PLANNER, "bandung"),
    )
    assert {"auditor"} == auditor.roles


async def test_every_change_is_told_in_the_log_without_a_name(database: str, room: Room) -> None:
    """
    Account, roles and reason, in the audit log as well; a username may be somebody's name.
    """
    account_id = await room.activated()
    _, out, err = await _staff(database, "grant", "budi", "sre", "--reason", "on call")
    [line] = [line for line in (out + err).splitlines() if "roles_granted" in line]

    [(actor, action, subject, reason)] = [
        tuple(row) for row in await room.fetch("SELECT actor, action, subject, reason FROM audit_entry")
    ]

    assert ("operator", "grant_roles", account_id, "on call") == (actor, action, subject, reason)
    assert account_id in line
    assert "on call" in line
    assert "budi" not in line


async def test_the_list_has_everybody_with_a_role_and_nobody_else(database: str, room: Room) -> None:
    """
    By name.
    """
    nobody = await _staff(database, "list")
    ids = {name: await room.activated(name) for name in ("wati", "adi", "budi")}
    for name in ("wati", "adi"):
        await _staff(database, "grant", name, "planner", "--reason", "x")
    everybody = await _staff(database, "list")

    assert "nobody has a role" == nobody[1].strip()
    assert [f"{name} ({ids[name]}): planner" for name in ("adi", "wati")] == everybody[1].splitlines()


@pytest.mark.parametrize("role", ["boss", "officer:", "officer:Bandung City", "auditor:bandung", "sre:x", ""])
async def test_what_is_no_role_is_refused(database: str, role: str) -> None:
    """
    Before anything is opened.
    """
    code, _, err = await _staff(database, "grant", "budi", role, "--reason", "x")

    assert 2 == code
    assert "role" in err


async def test_only_active_accounts_are_given_roles(database: str, room: Room) -> None:
    """
    A name nobody has activated may still become somebody else's.
    """
    await room.register()

    for name in ("budi", "nobody"):
        code, _, err = await _staff(database, "grant", name, "sre", "--reason", "x")
        assert (1, True) == (code, "no active account" in err)


async def test_provisioned_staff_has_its_roles_in_line_and_log_in(database: str, room: Room, tmp_path: Path) -> None:
    """
    Found again by the same seed, which takes nothing from anybody.
    """
    bulk = ("provision", "--accounts", "2", "--seed", "9", "--out", str(tmp_path / "staff"))
    roles = ("--role", "officer:bandung", "--role", "planner")
    assert 0 == (await _command(database, *bulk, *roles))[0]
    lines = [msgspec.json.decode(line) for line in (tmp_path / "staff").read_bytes().splitlines()]

    for line in lines:
        by_token = await _principal(room, line["access_token"])
        by_log_in = await _log_in(room, line["username"], app.SANDBOX_PASSWORD)
        assert {"officer:bandung", "planner"} == by_token.roles == by_log_in.roles
    assert 0 == (await _command(database, *bulk))[0]
    again = await _log_in(room, lines[0]["username"], app.SANDBOX_PASSWORD)
    assert {"officer:bandung", "planner"} == again.roles
