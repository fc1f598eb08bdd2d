"""
What comes after the rush, one scene of each: a move, a waitlist, walk-ins, late money, a closed day, a no-show.

Called by `antrean demo` once the crowd is served, with people who have not reserved yet, in
offices whose window the crowd never saw. Speaks HTTP through the gateway, as citizens and as
staff; only the end of a day, which nobody can wait for, is a command of the sandbox. A scene
that goes otherwise than it must is a broken promise.
"""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kernel.auth.staff import Role
from kernel.auth.tokens import TokenSigner, signing_key
from kernel.clock import now_ms
from kernel.ids import fresh
from ops import rooms
from ops.errors import StackError
from ops.release import offer
from ops.release.citizens import Account
from ops.release.life import INVOICE_PATIENCE_SECONDS
from ops.release.offer import Slot
from ops.release.street import Answer, Street
from ops.release.tally import Tally, acknowledged

PEOPLE = 16
"""Accounts these scenes need; each comes alone."""
OFFICES = 4
PAY_WITHIN_SECONDS = 600
LATE_WITHIN_SECONDS = 10
PATIENCE_SECONDS = 45.0
POLL_SECONDS = 0.3
TOKEN_SECONDS = 3600
SERVICE = "regular"
REASON = "demo"
Say = Callable[[str], None]


class SceneFailed(Exception):
    """
    A scene went otherwise than it must; the message says how.
    """


@dataclasses.dataclass(slots=True)
class Figures:
    """
    What the scenes count, by the names of the demo's last line.
    """

    rescheduled: int = 0
    no_show_blocked: int = 0
    walk_ins: int = 0
    rebooked_closed_day: int = 0
    late_payments_reseated: int = 0
    waitlist_offers_taken: int = 0


@dataclasses.dataclass(slots=True)
class Stage:
    """
    Where the scenes happen, and who plays.
    """

    env: Mapping[str, str]
    road: Street
    staff: str
    """Authorization of somebody with every role."""
    people: list[Account]
    tally: Tally
    figures: Figures = dataclasses.field(default_factory=Figures)

    def citizen(self) -> Account:
        """
        Somebody who has not reserved yet.
        """
        return self.people.pop()


async def after(
    env: Mapping[str, str], road: Street, people: Sequence[Account], taken: Sequence[Slot], *, tally: Tally, say: Say
) -> Figures:
    """
    Play every scene, side by side. `taken` are the slots of the crowd, whose offices are left alone.
    """
    stage = Stage(env, road, _staff(env), list(people), tally)
    days = await _quiet_offices(road, {offer.office_of(slot.slot_id) for slot in taken})
    usual, late, scarce, missed = days
    await offer.open_window(env, [*usual, *scarce, *missed], 0, PAY_WITHIN_SECONDS)
    await offer.open_window(env, late, 0, LATE_WITHIN_SECONDS)
    await offer.wait_for_opening(road, [slot for day in days for slot in day])
    scenes: dict[str, Awaitable[None]] = {
        "rescheduling": _reschedule(stage, usual),
        "walk-ins": _walk_in(stage, usual),
        "a late payment": _pay_late(stage, late),
        "the waitlist": _wait_in_line(stage, scarce),
        "a no-show": _stay_away(stage, missed),
    }
    await _play(scenes, tally)
    # The closed day takes every booking of its office along, so it comes when the others are over.
    await _play({"a closed day": _close_a_day(stage, usual)}, tally)
    told = ", ".join(f"{name} {count}" for name, count in dataclasses.asdict(stage.figures).items())
    say(f"after the rush: {told}")
    return stage.figures


async def _play(scenes: Mapping[str, Awaitable[None]], tally: Tally) -> None:
    endings = await asyncio.gather(*scenes.values(), return_exceptions=True)
    for name, ending in zip(scenes, endings, strict=True):
        if isinstance(ending, SceneFailed | StackError):
            tally.broken_promises.append(f"{name}: {ending}")
        elif isinstance(ending, BaseException):
            raise ending


def _staff(env: Mapping[str, str]) -> str:
    signer = TokenSigner(signing_key(env["JWT_SIGNING_KEY"], variable="JWT_SIGNING_KEY"))
    roles = tuple(role.value for role in Role)
    token = signer.issue(
        account_id=fresh("acc"), person_ids=(), roles=roles, now_ms=now_ms(), ttl_seconds=TOKEN_SECONDS
    )
    return f"Bearer {token}"


async def _quiet_offices(road: Street, taken: set[str]) -> list[list[Slot]]:
    """
    The first day of some offices the crowd does not know: online slots of one service, those with many places first.
    """
    listed = (await road.ask("GET", "/v1/offices")).body["offices"]
    days: list[list[Slot]] = []
    for office in listed:
        if office["office_id"] not in taken:
            day = [slot for slot in await offer.first_day(road, office["office_id"]) if f".{SERVICE}." in slot.slot_id]
            if len(day) > 1 and all(slot.free > OFFICES for slot in day):
                days.append(day)
        if len(days) == OFFICES:
            return days
    raise StackError(f"only {len(days)} offices are quiet enough to play in")


async def _reserve(stage: Stage, account: Account, slot: Slot) -> str:
    answer = await stage.road.ask(
        "POST",
        "/v1/reservations",
        auth=f"Pass {account.hot_pass}",
        key=fresh("scene"),
        body={"slot_id": slot.slot_id, "person_ids": list(account.person_ids[:1])},
    )
    _expect(answer, {201}, f"reserving {slot.slot_id}")
    stage.tally.asked += 1
    stage.tally.acknowledge(acknowledged(account.account_id, answer.body))
    return str(answer.body["reservation_id"])


async def _billing_code(stage: Stage, account: Account, booking_id: str) -> str:
    invoice = await stage.road.ask_until(
        f"/v1/bookings/{booking_id}/invoice",
        auth=f"Bearer {account.access_token}",
        status=200,
        patience_seconds=INVOICE_PATIENCE_SECONDS,
    )
    if invoice is None:
        raise SceneFailed(f"{booking_id} never had an invoice")
    return str(invoice.body["billing_code"])


async def _pay(stage: Stage, account: Account, booking_id: str) -> None:
    code = await _billing_code(stage, account, booking_id)
    answer = await stage.road.ask("POST", "/v1/sandbox/bank/payments", body={"billing_code": code})
    _expect(answer, {200, 201, 202}, "paying")
    await _until(stage, account, booking_id, "confirmed")


async def _confirmed(stage: Stage, account: Account, slot: Slot) -> str:
    booking_id = await _reserve(stage, account, slot)
    await _pay(stage, account, booking_id)
    return booking_id


async def _until(stage: Stage, account: Account, booking_id: str, state: str) -> None:
    """
    Wait until the holder sees the booking in that state.
    """

    async def seen() -> str | None:
        path, auth = f"/v1/bookings/{booking_id}", f"Bearer {account.access_token}"
        answer = await stage.road.ask("GET", path, auth=auth)
        return state if answer.body.get("state") == state else None

    await _eventually(seen, f"{booking_id} never became {state}")


async def _eventually(look: Callable[[], Awaitable[str | None]], failure: str) -> str:
    give_up_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < give_up_at:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(POLL_SECONDS)
    raise SceneFailed(failure)


async def _active(stage: Stage, account: Account, *, but: str) -> str:
    """
    The confirmed booking of an account that is not the one it had before.
    """

    async def seen() -> str | None:
        answer = await stage.road.ask("GET", "/v1/bookings", auth=f"Bearer {account.access_token}")
        confirmed = [one["booking_id"] for one in answer.body["bookings"] if one["state"] == "confirmed"]
        return next((booking_id for booking_id in confirmed if booking_id != but), None)

    return await _eventually(seen, f"nothing took the place of {but}")


async def _reschedule(stage: Stage, day: Sequence[Slot]) -> None:
    account = stage.citizen()
    booking_id = await _confirmed(stage, account, day[0])
    answer = await stage.road.ask(
        "POST",
        f"/v1/bookings/{booking_id}/reschedule",
        auth=f"Bearer {account.access_token}",
        key=fresh("scene"),
        body={"slot_id": day[1].slot_id},
    )
    _expect(answer, {200, 202}, "rescheduling")
    await _until(stage, account, booking_id, "rescheduled")
    await _active(stage, account, but=booking_id)
    stage.figures.rescheduled += 1


async def _walk_in(stage: Stage, day: Sequence[Slot]) -> None:
    answer = await stage.road.ask(
        "POST",
        f"/v1/offices/{offer.office_of(day[0].slot_id)}/walk-ins",
        auth=stage.staff,
        key=fresh("scene"),
        body={"service": SERVICE, "date": day[0].date, "persons": 1, "reason": REASON},
    )
    _expect(answer, {201}, "seating a walk-in")
    stage.figures.walk_ins += len(answer.body["seats"])


async def _pay_late(stage: Stage, day: Sequence[Slot]) -> None:
    """
    Paid in time at the bank, told when the hold is long gone.
    """
    account, began = stage.citizen(), time.monotonic()
    booking_id = await _reserve(stage, account, day[0])
    code = await _billing_code(stage, account, booking_id)
    await _until(stage, account, booking_id, "expired")
    answer = await stage.road.ask(
        "POST",
        "/v1/sandbox/bank/payments",
        body={"billing_code": code, "paid_seconds_ago": round(time.monotonic() - began)},
    )
    _expect(answer, {200, 201, 202}, "paying late")
    await _active(stage, account, but=booking_id)
    stage.figures.late_payments_reseated += 1


async def _wait_in_line(stage: Stage, day: Sequence[Slot]) -> None:
    """
    A day with one place a session is sold out; somebody waits, somebody gives back, the offer is taken.
    """
    holders = [(stage.citizen(), slot) for slot in day]
    for _, slot in holders:
        await _ask_planner(stage, "PATCH", f"/v1/slots/{slot.slot_id}", {"capacity": 1, "reason": REASON})
    first, *_ = [await _confirmed(stage, account, slot) for account, slot in holders]
    waiting = stage.citizen()
    answer = await stage.road.ask(
        "POST",
        "/v1/waitlist",
        auth=f"Bearer {waiting.access_token}",
        key=fresh("scene"),
        body={
            "office_id": offer.office_of(day[0].slot_id),
            "service": SERVICE,
            "first_day": day[0].date,
            "last_day": day[0].date,
            "person_ids": list(waiting.person_ids[:1]),
        },
    )
    _expect(answer, {201}, "joining the waitlist")
    back = await stage.road.ask(
        "POST",
        f"/v1/bookings/{first}/cancel",
        auth=f"Bearer {holders[0][0].access_token}",
        key=fresh("scene"),
        body={},
    )
    _expect(back, {200}, "giving back")

    async def offered() -> str | None:
        seen = await stage.road.ask("GET", "/v1/waitlist", auth=f"Bearer {waiting.access_token}")
        return next((one["booking_id"] for one in seen.body["entries"] if one.get("booking_id")), None)

    await _pay(stage, waiting, await _eventually(offered, "nobody offered the place that came back"))
    stage.figures.waitlist_offers_taken += 1


async def _stay_away(stage: Stage, day: Sequence[Slot]) -> None:
    """
    The day ends and nobody came: asking again is refused.
    """
    account = stage.citizen()
    booking_id = await _confirmed(stage, account, day[0])
    office_id = offer.office_of(day[0].slot_id)
    await rooms.command("booking", "end-day", "--office", office_id, "--date", day[0].date, env=stage.env)
    await _until(stage, account, booking_id, "no_show")

    async def blocked() -> str | None:
        answer = await stage.road.ask(
            "POST",
            "/v1/reservations",
            auth=f"Pass {account.hot_pass}",
            key=fresh("scene"),
            body={"slot_id": day[1].slot_id, "person_ids": list(account.person_ids[:1])},
        )
        return answer.code if answer.code == "no_show_block" else None

    await _eventually(blocked, "whoever did not come may reserve again at once")
    stage.figures.no_show_blocked += 1


async def _close_a_day(stage: Stage, day: Sequence[Slot]) -> None:
    office_id, date = offer.office_of(day[0].slot_id), day[0].date
    accounts = [stage.citizen(), stage.citizen()]
    booked = [await _confirmed(stage, account, day[0]) for account in accounts]
    await _ask_planner(stage, "POST", f"/v1/offices/{office_id}/closures", {"first_day": date, "reason": REASON})
    for account, booking_id in zip(accounts, booked, strict=True):
        await _until(stage, account, booking_id, "rescheduled")
        await _active(stage, account, but=booking_id)
        stage.figures.rebooked_closed_day += 1


async def _ask_planner(stage: Stage, method: str, path: str, body: Mapping[str, object]) -> None:
    answer = await stage.road.ask(method, path, auth=stage.staff, key=fresh("scene"), body=body)
    _expect(answer, {200, 201, 202}, f"{method} {path}")


def _expect(answer: Answer, statuses: set[int], doing: str) -> None:
    if answer.status not in statuses:
        raise SceneFailed(f"{doing} was answered {answer.status} {answer.code}: {answer.body.get('detail', '')}")
