"""
Plays one release from registration to the last payment, and says how it goes.

Called by `antrean demo` and `antrean up --release` with the environment of a running
stack. Seeds, provisions and opens the window through the rooms' own commands, then
lets the crowd loose on the gateway.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec

from ops import rooms
from ops.errors import StackError
from ops.release import offer
from ops.release.aftermath import PEOPLE, Figures, after
from ops.release.citizens import Account, Citizen, crowd
from ops.release.life import live
from ops.release.registration import RegistrationFailed, register
from ops.release.street import OutOfPatience, Street, street
from ops.release.tally import Tally

Say = Callable[[str], None]
PROGRESS_SECONDS = 2.0
REGISTRATIONS_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    How large a release is played, and how fast.
    """

    accounts: int
    registered: int
    """Of these accounts, how many come in by registration mail."""
    demand: float
    """Wanted places per place on offer."""
    opens_in_seconds: int
    rush_seconds: float
    """Within this time everybody has pressed the button."""
    pay_within_seconds: int
    seed: int
    aftermath: bool = False
    """Whether scenes follow: moves, a waitlist, late money, a closed day, a no-show."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Played:
    """
    What was on offer and what the crowd saw.
    """

    offices: int
    places: int
    wanted: int
    tally: Tally
    aftermath: Figures | None
    """Only where the script has scenes after the rush."""


class _Provisioned(msgspec.Struct, frozen=True):
    account_id: str
    person_ids: tuple[str, ...]
    access_token: str
    hot_pass: str = msgspec.field(name="pass")


async def play(
    script: Script,
    env: Mapping[str, str],
    *,
    folder: Path,
    say: Say,
    interfere: Callable[[], Awaitable[None]] | None = None,
) -> Played:
    """
    Play the release. `interfere` runs once, in the middle of the rush.
    """
    rng = random.Random(script.seed)
    await _seed(env, say)
    async with street(env["PUBLIC_URL"]) as road:
        accounts = await _people(script, env, road, folder=folder, rng=rng, say=say)
        later, accounts = (accounts[-PEOPLE:], accounts[:-PEOPLE]) if script.aftermath else ([], accounts)
        wanted = sum(len(account.person_ids) for account in accounts)
        slots = await offer.choose(road, places_wanted=int(wanted / script.demand), rng=rng)
        await offer.open_window(env, slots, script.opens_in_seconds, script.pay_within_seconds)
        say(f"{_offices(slots)} offices open at {await offer.wait_for_plan(road, slots)}")
        await _ask_too_early(road, accounts[0], slots[0].slot_id, say)
        await offer.wait_for_opening(road, slots)
        say("the window is open")
        tally = Tally()
        citizens = crowd(accounts, [slot.slot_id for slot in slots], rng=rng, rush_seconds=script.rush_seconds)
        await _let_loose(citizens, road, tally, script=script, say=say, interfere=interfere)
        figures = await after(env, road, later, slots, tally=tally, say=say) if script.aftermath else None
        return Played(
            offices=_offices(slots),
            places=offer.places_of(slots),
            wanted=wanted,
            tally=tally,
            aftermath=figures,
        )


async def _seed(env: Mapping[str, str], say: Say) -> None:
    said = await rooms.command("booking", "seed", env=env)
    await rooms.command("payment", "seed", env=env)
    say(said.strip())


async def _people(
    script: Script, env: Mapping[str, str], road: Street, *, folder: Path, rng: random.Random, say: Say
) -> list[Account]:
    started = time.monotonic()
    file = folder / "accounts.jsonl"
    bulk, registered = await asyncio.gather(
        rooms.command(
            "identity",
            *("provision", "--accounts", str(script.accounts - script.registered), "--families", "1-5"),
            *("--seed", str(script.seed), "--out", str(file)),
            env=env,
        ),
        _register(script.registered, env["MAIL_LOOKUP_URL"], road, rng),
    )
    del bulk
    lines = (await asyncio.to_thread(file.read_bytes)).splitlines()
    provisioned = [msgspec.json.decode(line, type=_Provisioned) for line in lines]
    accounts = registered + [
        Account(
            account_id=one.account_id,
            person_ids=one.person_ids,
            access_token=one.access_token,
            hot_pass=one.hot_pass,
        )
        for one in provisioned
    ]
    people = sum(len(account.person_ids) for account in accounts)
    say(
        f"people: {len(accounts):,} accounts for {people:,} people, {len(registered)} of them came by mail,"
        f" {time.monotonic() - started:.1f} s"
    )
    return accounts


async def _register(count: int, mail_url: str, road: Street, rng: random.Random) -> list[Account]:
    door = asyncio.Semaphore(REGISTRATIONS_AT_ONCE)

    async def one(number: int, own: random.Random) -> Account:
        async with door:
            return await register(road, mail_url=mail_url, number=number, rng=own)

    try:
        return list(await asyncio.gather(*(one(number, random.Random(rng.getrandbits(64))) for number in range(count))))
    except (RegistrationFailed, OutOfPatience, aiohttp.ClientError) as error:
        raise StackError(f"somebody could not register: {error}") from error


def _offices(slots: Sequence[offer.Slot]) -> int:
    return len({offer.office_of(slot.slot_id) for slot in slots})


async def _ask_too_early(road: Street, account: Account, slot_id: str, say: Say) -> None:
    answer = await road.ask(
        "POST",
        "/v1/reservations",
        auth=f"Pass {account.hot_pass}",
        key="release-too-early",
        body={"slot_id": slot_id, "person_ids": list(account.person_ids)},
    )
    if answer.code != "window_not_open":
        raise StackError(f"a request before the opening was answered {answer.status} {answer.code}")
    say(f"before the opening: {answer.status} {answer.code}, opens at {answer.body['opens_at']}")


async def _let_loose(
    citizens: Sequence[Citizen],
    road: Street,
    tally: Tally,
    *,
    script: Script,
    say: Say,
    interfere: Callable[[], Awaitable[None]] | None,
) -> None:
    started = time.monotonic()
    offered = frozenset(citizen.wish for citizen in citizens)
    crowd_tasks = [asyncio.create_task(live(citizen, road, tally, offered=offered)) for citizen in citizens]
    reporter = asyncio.create_task(_report(tally, started, say))
    disturber = asyncio.create_task(_disturb(interfere, script.rush_seconds / 3))
    try:
        for ended in await asyncio.gather(*crowd_tasks, return_exceptions=True):
            if isinstance(ended, OutOfPatience):
                tally.broken_promises.append(str(ended))
            elif isinstance(ended, BaseException):
                raise ended
        await disturber
    finally:
        for task in (reporter, disturber, *crowd_tasks):
            task.cancel()
    say(f"{time.monotonic() - started:5.1f} s  {tally.line()}")
    if road.doubts:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in road.doubts.most_common())
        say(f"doubts, settled by asking again with the same key: {reasons}")


async def _disturb(interfere: Callable[[], Awaitable[None]] | None, after_seconds: float) -> None:
    if interfere is not None:
        await asyncio.sleep(after_seconds)
        await interfere()


async def _report(tally: Tally, started: float, say: Say) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            say(f"{time.monotonic() - started:5.1f} s  {tally.line()}")
