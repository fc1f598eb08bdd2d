"""
One citizen's release: what the crowd takes for a broken promise, and what is only too late.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.release.citizens import Account, Citizen, Ending, Quirk
from ops.release.life import live
from ops.release.street import Answer, Street
from ops.release.tally import Tally

SLOT = "bandung.20261130.morning.regular.online"
RESERVED = "POST /v1/reservations"
GIVEN_BACK = "DELETE /v1/reservations/rsv_1"
CANCELLED = "POST /v1/bookings/rsv_1/cancel"


class Road(Street):
    """
    Answers from a list, each way its own.
    """

    def __init__(self, **said: Any) -> None:
        self.said: dict[str, list[Answer]] = said

    async def ask(
        self, method: str, path: str, *, auth: str | None = None, key: str | None = None, body: Any = None
    ) -> Answer:
        """The next answer of this way."""
        del auth, key, body
        return self.said[f"{method} {path}"].pop(0)


def held(reservation_id: str, *, minutes: int) -> Answer:
    """A 201 that is to be paid within so many minutes from now."""
    pay_by = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    return Answer(status=201, body={"reservation_id": reservation_id, "slot_id": SLOT, "seats": [1], "pay_by": pay_by})


def no(code: str) -> Answer:
    """A refusal."""
    return Answer(status=409, body={"code": code})


def lived(ending: Ending, quirk: Quirk, **said: Any) -> Tally:
    """What one citizen has seen when it is over."""
    account = Account(account_id="acc_1", person_ids=("per_1",), access_token="t", hot_pass="p")
    citizen = Citizen(account=account, wish=SLOT, ending=ending, quirk=quirk, delay_seconds=0, key="key")
    tally = Tally()
    asyncio.run(live(citizen, Road(**said), tally, offered=frozenset({SLOT})))
    return tally


def test_a_second_reservation_beside_the_first_breaks_a_promise() -> None:
    """
    One at a time.
    """
    tally = lived(
        Ending.NEVER_PAYS, Quirk.TRIES_SECOND, **{RESERVED: [held("rsv_1", minutes=9), held("rsv_2", minutes=9)]}
    )

    assert ["acc_1 holds two reservations"] == tally.broken_promises


def test_a_second_reservation_after_the_first_has_ended_is_one_like_any_other() -> None:
    """
    The machine was slow: the first was not paid in time. The second is acknowledged, and audited, like the first.
    """
    tally = lived(
        Ending.NEVER_PAYS, Quirk.TRIES_SECOND, **{RESERVED: [held("rsv_1", minutes=0), held("rsv_2", minutes=9)]}
    )

    assert ([], {"rsv_1", "rsv_2"}) == (tally.broken_promises, set(tally.acknowledged))


@pytest.mark.parametrize(
    ("ending", "way", "code"),
    [(Ending.GIVES_BACK, GIVEN_BACK, "reservation_ended"), (Ending.CANCELS, CANCELLED, "booking_ended")],
)
def test_what_has_ended_can_be_given_back_no_more_and_before_that_always(ending: Ending, way: str, code: str) -> None:
    """
    A refusal in time is a contradiction, one after the deadline is only too late.
    """
    seen = {"GET /v1/bookings/rsv_1": [Answer(status=200, body={})] * 2}
    late = lived(ending, Quirk.NONE, **{RESERVED: [held("rsv_1", minutes=0)], way: [no(code)], **seen})
    early = lived(ending, Quirk.NONE, **{RESERVED: [held("rsv_1", minutes=9)], way: [no(code)], **seen})

    assert ([], 1, 0) == (late.broken_promises, late.too_late, late.given_back)
    assert (1, 0, 0) == (len(early.broken_promises), early.too_late, early.given_back)


def test_another_refusal_is_a_contradiction_however_late() -> None:
    """
    Only that it has ended may be said of what has ended.
    """
    tally = lived(
        Ending.GIVES_BACK, Quirk.NONE, **{RESERVED: [held("rsv_1", minutes=0)], GIVEN_BACK: [no("reservation_unknown")]}
    )

    assert ["giving back was answered 409 reservation_unknown"] == tally.broken_promises
