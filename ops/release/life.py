"""
One citizen's release: he asks, is told yes or no, and pays, forgets or gives back.

Called by `ops.release.run`, one task per citizen. Speaks HTTP only.
"""

import asyncio
import zlib
from datetime import UTC, datetime
from typing import Final

from ops.release.citizens import Citizen, Ending, Quirk
from ops.release.street import Answer, Street
from ops.release.tally import Tally, acknowledged

ALTERNATIVES_TRIED_MAX = 2
INVOICE_PATIENCE_SECONDS = 60.0
HELD = 201
ENDED: Final = frozenset({"reservation_ended", "booking_ended"})


async def live(citizen: Citizen, street: Street, tally: Tally, *, offered: frozenset[str]) -> None:
    """
    From the button to the end of his part. Instead of what is sold out he takes what this release offers.
    """
    await asyncio.sleep(citizen.delay_seconds)
    held = await _reserve(citizen, street, tally, offered)
    if held is None:
        return
    if citizen.quirk is Quirk.TRIES_SECOND:
        await _try_second(citizen, held, street, tally)
    await _end(citizen, held, street, tally)


async def _reserve(citizen: Citizen, street: Street, tally: Tally, offered: frozenset[str]) -> Answer | None:
    slot_id, key = citizen.wish, citizen.key
    for attempt in range(1 + ALTERNATIVES_TRIED_MAX):
        answer = await _ask(citizen, slot_id, key, street, tally)
        if answer.status == HELD:
            return answer
        # From Friday to Sunday the nation's own window is open too: its places have hours to be paid in.
        named = [one["slot_id"] for one in answer.body.get("alternatives") or []]
        alternatives = [slot_id for slot_id in named if slot_id in offered]
        if answer.code != "sold_out" or not alternatives:
            return None
        slot_id = alternatives[zlib.crc32(key.encode()) % len(alternatives)]
        key = f"{citizen.key}-{attempt + 2}"
    return None


async def _ask(citizen: Citizen, slot_id: str, key: str, street: Street, tally: Tally) -> Answer:
    tally.asked += 1
    copies = 2 if citizen.quirk is Quirk.DOUBLE_CLICKS else 1
    answers = list(await asyncio.gather(*(_post(citizen, slot_id, key, street) for _ in range(copies))))
    if citizen.quirk is Quirk.RETRIES:
        answers.append(await _post(citizen, slot_id, key, street))
    tally.replayed += sum(answer.replayed for answer in answers)
    held = [answer for answer in answers if answer.status == HELD]
    for answer in held:
        tally.acknowledge(acknowledged(citizen.account.account_id, answer.body))
    if held:
        return held[0]
    tally.refused[answers[0].code] += 1
    return answers[0]


def _is_over(held: Answer) -> bool:
    """
    Whether its time to pay is over: what is asked of it from then on comes too late, on a slow machine as in life.
    """
    return datetime.now(UTC) >= datetime.fromisoformat(held.body["pay_by"])


async def _post(citizen: Citizen, slot_id: str, key: str, street: Street) -> Answer:
    return await street.ask(
        "POST",
        "/v1/reservations",
        auth=f"Pass {citizen.account.hot_pass}",
        key=key,
        body={"slot_id": slot_id, "person_ids": list(citizen.account.person_ids)},
    )


async def _try_second(citizen: Citizen, first: Answer, street: Street, tally: Tally) -> None:
    tally.asked += 1
    answer = await _post(citizen, citizen.wish, f"{citizen.key}-second", street)
    if answer.status != HELD:
        tally.refused[answer.code] += 1
        return
    tally.acknowledge(acknowledged(citizen.account.account_id, answer.body))
    if not _is_over(first):
        tally.broken_promises.append(f"{citizen.account.account_id} holds two reservations")


async def _end(citizen: Citizen, held: Answer, street: Street, tally: Tally) -> None:
    booking_id, bearer = held.body["reservation_id"], f"Bearer {citizen.account.access_token}"
    if citizen.ending is Ending.NEVER_PAYS:
        tally.never_paid += 1
    elif citizen.ending is Ending.GIVES_BACK:
        answer = await street.ask(
            "DELETE",
            f"/v1/reservations/{booking_id}",
            auth=f"Pass {citizen.account.hot_pass}",
            key=f"{citizen.key}-back",
        )
        tally.given_back += _done(answer, 202, "giving back", held, tally)
    elif citizen.ending is Ending.CANCELS:
        await _cancel(citizen, held, bearer, street, tally)
    else:
        await _pay(held, bearer, street, tally)


async def _cancel(citizen: Citizen, held: Answer, bearer: str, street: Street, tally: Tally) -> None:
    booking_id = held.body["reservation_id"]
    path = f"/v1/bookings/{booking_id}"
    seen = await street.ask_until(path, auth=bearer, status=200, patience_seconds=INVOICE_PATIENCE_SECONDS)
    if seen is None:
        tally.broken_promises.append(f"{booking_id} was acknowledged and never recorded")
        return
    answer = await street.ask("POST", f"{path}/cancel", auth=bearer, key=f"{citizen.key}-cancel", body={})
    tally.given_back += _done(answer, 200, "cancelling", held, tally)


async def _pay(held: Answer, bearer: str, street: Street, tally: Tally) -> None:
    booking_id = held.body["reservation_id"]
    invoice = await street.ask_until(
        f"/v1/bookings/{booking_id}/invoice", auth=bearer, status=200, patience_seconds=INVOICE_PATIENCE_SECONDS
    )
    if invoice is None:
        tally.broken_promises.append(f"{booking_id} never had an invoice")
        return
    answer = await street.ask("POST", "/v1/sandbox/bank/payments", body={"billing_code": invoice.body["billing_code"]})
    tally.paid += _done(answer, 200, "paying", held, tally)


def _done(answer: Answer, status: int, doing: str, held: Answer, tally: Tally) -> bool:
    if answer.status == status:
        return True
    if answer.code in ENDED and _is_over(held):
        tally.too_late += 1
    else:
        tally.broken_promises.append(f"{doing} was answered {answer.status} {answer.code}")
    return False
