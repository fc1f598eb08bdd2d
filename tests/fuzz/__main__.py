"""
`python -m tests.fuzz`: schemathesis asks every call of the OpenAPI document what its author did not think of.

Called by `make fuzz`, which installs schemathesis. A stack of its own with a week on sale
is asked through the gateway, room by room, twice: with ids that are nobody's, and with a
booking, an office and a slot that exist, as a citizen who has every role of staff. An answer
of 5xx, an undocumented status or a body that is not as documented fails the run. The last
line is one JSON object.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from kernel.auth.staff import Role
from kernel.auth.tokens import TokenSigner, signing_key
from kernel.clock import now_ms
from kernel.ids import fresh
from ops import rooms
from ops.errors import StackError
from ops.stack import Stack
from ops.state import PROJECT

ROOMS: Final = ("booking", "payment")
DOCUMENT: Final = PROJECT / "docs" / "api" / "openapi.json"
CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
EXAMPLES: Final = 2000
"""Of a room, at least."""
TOKEN_SECONDS: Final = 7200
RECORDED_SECONDS_MAX: Final = 20.0
REPORT_CHARACTERS: Final = 6000
RUN_SECONDS_MAX: Final = 900.0
_CASES: Final = re.compile(r"([\d,]+) (?:generated|test cases?)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """
    What is asked, by whom.
    """

    gateway: str
    folder: Path
    """For documents and configurations."""
    token: str
    known: dict[str, str]
    """Path parameters that exist."""


async def run(given: argparse.Namespace) -> dict[str, Any]:
    """
    Fuzz the rooms asked for. Returns how many examples each got and whether one failed.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="antrean-fuzz-") as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o755)
        environ = os.environ | {"SANDBOX": "1"}
        async with Stack(folder / "state", environ, kafka="embedded", ports="free", say=say) as stack:
            await rooms.command("booking", "seed", env=stack.env)
            await rooms.command("booking", "window", "open", "--in", "0s", "--for", "2h", env=stack.env)
            target = await _target(stack, folder)
            for room in given.rooms:
                found[room] = await _fuzz(room, target, examples=given.examples)
    return found


async def _target(stack: Stack, folder: Path) -> Target:
    """
    The stack's gateway, a token with every role, and a booking of its bearer's.
    """
    signer = TokenSigner(signing_key(stack.env["JWT_SIGNING_KEY"], variable="JWT_SIGNING_KEY"))
    account_id, person_id = fresh("acc"), fresh("per")
    token = signer.issue(
        account_id=account_id,
        person_ids=(person_id,),
        roles=tuple(role.value for role in Role),
        now_ms=now_ms(),
        ttl_seconds=TOKEN_SECONDS,
    )
    gateway = f"http://127.0.0.1:{stack.ports['GATEWAY_PORT']}"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": fresh("key")}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(gateway, headers=headers, timeout=timeout) as session:
        slot_id = await _slot_on_sale(session)
        asked = {"slot_id": slot_id, "person_ids": [person_id]}
        async with session.post("/v1/reservations", json=asked) as answer:
            said = await answer.json()
            if answer.status != 201:
                raise StackError(f"there is no place to fuzz with: {said}")
        await _until_invoiced(session, said["reservation_id"])
    known = {
        "path.booking_id": said["reservation_id"],
        "path.office_id": slot_id.partition(".")[0],
        "path.slot_id": slot_id,
        "path.bank": "sandbox",
    }
    return Target(gateway, folder, token, known)


async def _slot_on_sale(session: aiohttp.ClientSession) -> str:
    async with asyncio.timeout(RECORDED_SECONDS_MAX):
        while True:
            async with session.get("/v1/offices/bandung/availability") as answer:
                slots = (await answer.json()).get("slots", [])
            for slot in slots:
                if (slot["state"], slot["channel"]) == ("open", "online") and slot["free"]:
                    return str(slot["slot_id"])
            await asyncio.sleep(0.2)


async def _until_invoiced(session: aiohttp.ClientSession, booking_id: str) -> None:
    async with asyncio.timeout(RECORDED_SECONDS_MAX):
        while True:
            async with session.get(f"/v1/bookings/{booking_id}/invoice") as answer:
                if answer.ok:
                    return
            await asyncio.sleep(0.2)


async def _fuzz(room: str, target: Target, *, examples: int) -> dict[str, Any]:
    document, calls = _document_of(room)
    schema = target.folder / f"{room}.json"
    schema.write_bytes(msgspec.json.encode(document))
    ran, failed = 0, False
    for title, parameters in (("nobody's", {}), ("that exist", target.known)):
        say(f"{room}, {calls} calls, ids {title}")
        asked = 0
        while not failed and asked < examples // 2:
            cases, code = await _schemathesis(schema, target, parameters, examples=max(20, -(-examples // calls)))
            asked, failed = asked + cases, code != 0
        ran += asked
    return {"examples": ran, "failed": failed}


def _document_of(room: str) -> tuple[dict[str, Any], int]:
    """
    The part of the document that a room answers.
    """
    document = json.loads(DOCUMENT.read_bytes())
    paths = {
        path: kept
        for path, item in document["paths"].items()
        if (kept := {verb: call for verb, call in item.items() if room in call.get("tags", [room])})
        and any(room in call.get("tags", []) for call in kept.values())
    }
    return document | {"paths": paths}, sum(len(item) for item in paths.values())


async def _schemathesis(schema: Path, target: Target, parameters: dict[str, str], *, examples: int) -> tuple[int, int]:
    """
    One run, of so many examples a call. Returns how many cases it made, and its exit code.
    """
    config = target.folder / "schemathesis.toml"
    lines = [f'"{name}" = {json.dumps(value)}' for name, value in parameters.items()]
    config.write_text("[parameters]\n" + "\n".join(lines) + "\n" if lines else "")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(schema)),
        *("--url", target.gateway, "--checks", CHECKS, "--max-examples", str(examples), "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing", "--header", f"Authorization: Bearer {target.token}"),
        *("--request-timeout", "15", "--suppress-health-check", "all", "--warnings", "off", "--no-color"),
        env=os.environ | {"NO_PROXY": "*", "no_proxy": "*"},
        stdout=asyncio.subprocess.PIPE,
        cwd=target.folder,
    )
    async with asyncio.timeout(RUN_SECONDS_MAX):
        said, _ = await process.communicate()
    text = said.decode(errors="replace")
    say(text[-REPORT_CHARACTERS:])
    cases = [int(found.replace(",", "")) for found in _CASES.findall(text)]
    return max(cases, default=0), process.returncode or 0


def say(line: str) -> None:
    """
    A line of the report.
    """
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """
    Run and print.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="What nobody thought of asking.")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS, help="these alone")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each room, at least")
    given = parser.parse_args()
    found = asyncio.run(run(given))
    say(json.dumps(found))
    sys.exit(any(room["failed"] or room["examples"] < given.examples for room in found.values()))


if __name__ == "__main__":
    main()
