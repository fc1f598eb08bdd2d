"""
Open-loop load on the reserve path: requests start when they are due, whether or not others have ended.

    python -m loadtests.reserve --rate 300 --seconds 15

Works on the stack that `antrean up` has started: provisions one account per request, opens a
window, and asks once with each account's pass. Latency counts from the moment a request was
*due*, so a stall shows in every request it delayed. Sends to loopback addresses only, and
ends by itself. The last line of output is one JSON object.
"""

import argparse
import asyncio
import collections
import ipaddress
import json
import random
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from ops import rooms
from ops.errors import StackError
from ops.state import running_environment

CONNECTIONS_MAX = 256
TIMEOUT_SECONDS = 10.0
SECONDS_MAX = 300
RATE_MAX = 50_000
OPENING_PATIENCE_SECONDS = 60.0


class Result:
    """
    What a run has seen.
    """

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.latencies_ms: list[float] = []

    def percentile_ms(self, fraction: float) -> float:
        """
        The latency that `fraction` of all requests stayed under.
        """
        ordered = sorted(self.latencies_ms)
        return round(ordered[min(len(ordered) - 1, int(fraction * len(ordered)))], 2) if ordered else 0.0


def only_loopback(url: str) -> None:
    """
    Refuse to send load anywhere but to this machine.
    """
    host = urllib.parse.urlparse(url).hostname or ""
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise StackError(f"load goes to loopback addresses only, not to {host}")


async def open_slots(session: aiohttp.ClientSession, url: str, offices_max: int) -> list[str]:
    """
    Open online slots of the first offices that have any.
    """
    async with session.get(f"{url}/v1/offices") as response:
        offices = [office["office_id"] for office in (await response.json())["offices"]]
    found: list[str] = []
    for office_id in offices[:offices_max]:
        async with session.get(f"{url}/v1/offices/{office_id}/availability", params={"days": "14"}) as response:
            availability = await response.json()
        found += [
            slot["slot_id"] for slot in availability["slots"] if slot["channel"] == "online" and slot["state"] == "open"
        ]
    return found


async def ask(
    session: aiohttp.ClientSession, url: str, *, account: dict[str, Any], slot_id: str, due: float, out: Result
) -> None:
    """
    One reservation, timed from the moment it was due.
    """
    headers = {"Authorization": f"Pass {account['pass']}", "Idempotency-Key": f"load-{random.getrandbits(64):016x}"}
    body = {"slot_id": slot_id, "person_ids": account["person_ids"]}
    try:
        async with session.post(f"{url}/v1/reservations", json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            out.outcomes["held" if response.status == 201 else answer.get("code", str(response.status))] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        out.outcomes[type(error).__name__] += 1
    out.latencies_ms.append((asyncio.get_running_loop().time() - due) * 1000)


async def prepare(args: argparse.Namespace, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """
    Seed, provision one account per request and open a window for the whole week.
    """
    count = int(args.rate * args.seconds)
    print(f"  provisioning {count:,} accounts and opening a window", flush=True)
    await rooms.command("booking", "seed", env=env)
    await rooms.command("booking", "window", "open", "--in", "0s", "--for", "1h", env=env)
    with tempfile.TemporaryDirectory(prefix="antrean-load-") as folder:
        file = Path(folder) / "accounts.jsonl"
        # Another seed every time: people who hold places from the last run would be refused.
        who = ("--accounts", str(count), "--families", "1-5", "--seed", str(int(time.time())))
        await rooms.command("identity", "provision", *who, "--out", str(file), env=env)
        return [json.loads(line) for line in (await asyncio.to_thread(file.read_bytes)).splitlines()]


async def run(args: argparse.Namespace, env: Mapping[str, str]) -> Result:
    """
    Send `rate` requests a second for `seconds`.
    """
    accounts = await prepare(args, env)
    url = env["PUBLIC_URL"]
    result = Result()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX), timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    ) as session:
        give_up_at = time.monotonic() + OPENING_PATIENCE_SECONDS
        while not (slots := await open_slots(session, url, args.offices)):
            if time.monotonic() > give_up_at:
                raise StackError("no slot has opened; is quota-worker ready?")
            await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        started = loop.time()
        asked: set[asyncio.Task[None]] = set()
        for number, account in enumerate(accounts):
            due = started + number / args.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(
                ask(session, url, account=account, slot_id=random.choice(slots), due=due, out=result)
            )
            asked.add(task)
            task.add_done_callback(asked.discard)
            if number % int(args.rate) == 0:
                print(f"  {number:,} asked, {dict(result.outcomes.most_common(3))}", flush=True)
        await asyncio.gather(*asked)
    return result


def arguments() -> argparse.Namespace:
    """
    The command line, refused when it leaves its bounds.
    """
    parser = argparse.ArgumentParser(description="Open-loop load on POST /v1/reservations, loopback only.")
    parser.add_argument("--dir", type=Path, default=Path(".antrean"), help="state folder of the running stack")
    parser.add_argument("--rate", type=float, default=300, help="requests a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--offices", type=int, default=40, help="take slots of this many offices")
    args = parser.parse_args()
    if not (0 < args.seconds <= SECONDS_MAX and 0 < args.rate <= RATE_MAX):
        parser.error(f"--seconds up to {SECONDS_MAX}, --rate up to {RATE_MAX}")
    return args


def main() -> None:
    """
    Run and print.
    """
    args = arguments()
    try:
        env = running_environment(args.dir)
        only_loopback(env["PUBLIC_URL"])
        result = uvloop.run(run(args, env))
    except StackError as error:
        sys.exit(f"bench: {error}")
    print(
        json.dumps(
            {
                "asked": len(result.latencies_ms),
                "rate": args.rate,
                "outcomes": dict(result.outcomes),
                "p50_ms": result.percentile_ms(0.50),
                "p99_ms": result.percentile_ms(0.99),
                "max_ms": result.percentile_ms(1.0),
            }
        )
    )


if __name__ == "__main__":
    main()
