"""
Quota through HTTP on a real Valkey: every answer, and what happens when askers go away.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kernel.clock import now_ms
from kernel.errors import Retryable
from services.quota import metrics
from services.quota.domain.limit import Limit
from services.quota.stores.ledger import refuse_forgetful
from tests.integration.quota_door import Api, refused, served
from tests.integration.quota_room import HOUR_MS, SLOT, plan, room_of

CITY = "bandung.20261201.midday.regular.online"
PROVINCE = "bogor.20261130.morning.regular.online"
FAR = "makassar.20261130.morning.regular.online"
WALK_IN = "bandung.20261130.morning.regular.walk_in"


@pytest.fixture
async def api(valkey: Any, aiohttp_client: Any) -> AsyncIterator[Api]:
    """
    Five slots in three offices, served.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(slot_id) for slot_id in (SLOT, CITY, PROVINCE, WALK_IN)])
    await room.holds.apply([plan(FAR, province="Sulawesi Selatan", timezone="Asia/Makassar")])
    app, work = await served(room)
    yield Api(await aiohttp_client(app), room, work)
    await work.settle()


@pytest.mark.cluster
async def test_a_family_gets_numbers_and_the_same_again(api: Api) -> None:
    """
    201 with one number per person; the same request again is the same answer, marked as replayed.
    """
    first = await api.reserve(persons=3)
    again = await api.reserve(persons=3)
    body = await first.json()

    assert (201, None) == (first.status, first.headers.get("Idempotency-Replayed"))
    assert (201, "true") == (again.status, again.headers["Idempotency-Replayed"])
    assert ([1, 2, 3], ["per_10", "per_11", "per_12"], "held") == (body["seats"], body["person_ids"], body["state"])
    assert body == await again.json()
    assert body["pay_by"].endswith("Z")
    assert f"/v1/reservations/{body['reservation_id']}" == first.headers["Location"]


@pytest.mark.cluster
async def test_refusals_say_what_a_person_needs_next(api: Api) -> None:
    """
    Not open, over, closed, not public, unknown: each with its status, its code and its next step.
    """
    opens = now_ms() + HOUR_MS
    await api.room.holds.apply(
        [
            plan(FAR, version=2, opens_at_ms=opens, closes_at_ms=opens + 1, timezone="Asia/Makassar"),
            plan(PROVINCE, version=2, closes_at_ms=opens - 2 * HOUR_MS),
            plan(CITY, version=2, closed=True),
        ]
    )
    not_open = await refused(await api.reserve(FAR))
    over = await refused(await api.reserve(PROVINCE))
    closed = await refused(await api.reserve(CITY))
    officers = await refused(await api.reserve(WALK_IN))
    unknown = await refused(await api.reserve("bandung.20991130.morning.regular.online"))

    assert (403, "window_not_open", opens) == (*not_open[:2], not_open[2]["opens_at_ms"])
    assert not_open[2]["opens_at"].endswith("+08:00")
    assert (403, "window_closed", True) == (*over[:2], over[2]["next_opens_at"].endswith("+07:00"))
    assert [(409, "slot_closed"), (403, "channel_not_public"), (404, "slot_not_found")] == [
        one[:2] for one in (closed, officers, unknown)
    ]
    assert [] == await api.room.records("hold")


@pytest.mark.cluster
async def test_sold_out_names_what_else_is_free_nearest_first(api: Api) -> None:
    """
    The same office first, then the province, then anywhere; only what has places for the whole family.
    """
    await api.room.holds.apply([plan(SLOT, version=2, capacity=2)])
    status, code, body = await refused(await api.reserve(SLOT, persons=3))
    await api.room.holds.apply([plan(CITY, version=2, capacity=2)])

    assert (409, "sold_out") == (status, code)
    assert [CITY, PROVINCE, FAR] == [one["slot_id"] for one in body["alternatives"]]
    assert {"slot_id", "office_id", "office_name", "date", "session", "starts_at", "free"} == set(
        body["alternatives"][0]
    )
    assert body["next_opens_at"].endswith("+07:00")


@pytest.mark.cluster
async def test_one_account_one_reservation(api: Api) -> None:
    """
    A second reservation names the first; another body under the same key is 422.
    """
    held = await (await api.reserve()).json()
    second = await refused(await api.reserve(CITY, key="key-00000002"))
    other_body = await refused(await api.reserve(persons=2))

    assert (409, "account_already_reserved", held["reservation_id"]) == (*second[:2], second[2]["reservation_id"])
    assert (422, "idempotency_key_reused") == other_body[:2]


async def test_bodies_and_callers_that_do_not_do_are_refused_before_anything_is_asked(api: Api) -> None:
    """
    No pass, no key, strangers' persons, twins, six persons, no persons, a slot id that is none.
    """

    async def answer(persons: list[str], slot_id: str = SLOT, **headers: str | None) -> tuple[int, str]:
        sent = {name: value for name, value in (api.headers() | headers).items() if value is not None}
        body = {"slot_id": slot_id, "person_ids": persons}
        return (await refused(await api.client.post("/v1/reservations", json=body, headers=sent)))[:2]

    assert (401, "unauthenticated") == await answer(["per_10"], Authorization="Pass ap1.AAAA")
    assert (400, "idempotency_key_missing") == await answer(["per_10"], **{"Idempotency-Key": None})
    assert (403, "person_not_yours") == await answer(["per_20"])
    assert (400, "bad_request") == await answer(["per_10", "per_10"])
    assert (400, "bad_request") == await answer([f"per_1{number}" for number in range(6)])
    assert (400, "bad_request") == await answer([])
    assert (400, "bad_request") == await answer(["per_10"], slot_id="no slot")
    assert [] == await api.room.records("claim")


@pytest.mark.cluster
async def test_a_reservation_is_its_owners_alone(api: Api) -> None:
    """
    The owner sees it and may ask to give it back, twice; for anybody else it is not there.
    """
    held = await (await api.reserve(persons=2)).json()
    path = f"/v1/reservations/{held['reservation_id']}"
    mine = await api.client.get(path, headers=api.headers("1"))
    theirs = await refused(await api.client.get(path, headers=api.headers("2")))
    their_wish = await refused(await api.client.delete(path, headers=api.headers("2")))
    wishes = [await api.client.delete(path, headers=api.headers("1", key="key-00000003")) for _ in range(2)]
    after = await (await api.client.get(path, headers=api.headers("1"))).json()

    assert (held, 200) == (await mine.json(), mine.status)
    assert [(404, "not_found")] * 2 == [theirs[:2], their_wish[:2]]
    assert [202, 202] == [wish.status for wish in wishes]
    assert "give_back_asked" == (await wishes[1].json())["state"]
    assert (True, "held") == (after["give_back_asked"], after["state"])


@pytest.mark.cluster
async def test_a_reservation_that_has_ended_is_shown_and_not_had_again(api: Api) -> None:
    """
    After its places went back the owner still sees it; the same key does not bring it back.
    """
    held = await (await api.reserve()).json()
    call = api.room.holds.release_call(SLOT, held["reservation_id"], reason="expired")
    await api.room.holds.resolve([call])
    shown = await api.client.get(f"/v1/reservations/{held['reservation_id']}", headers=api.headers())
    again = await refused(await api.reserve())
    wish = await refused(await api.client.delete(f"/v1/reservations/{held['reservation_id']}", headers=api.headers()))

    assert "released" == (await shown.json())["state"]
    assert [(409, "reservation_ended")] * 2 == [again[:2], wish[:2]]


@pytest.mark.cluster
async def test_availability_shows_what_is_free_and_answers_304_while_it_is(api: Api) -> None:
    """
    Slots of the asked days with their states and the office's window, cacheable for a second.
    """
    path = "/v1/offices/bandung/availability?from=2026-11-30&days=2"
    first = await api.client.get(path)
    body = await first.json()
    same = await api.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    one_day = await (await api.client.get("/v1/offices/bandung/availability?from=2026-12-01&days=1")).json()
    nothing = await (await api.client.get(f"{path}&service=electronic")).json()
    unknown = await refused(await api.client.get("/v1/offices/atlantis/availability"))
    faults = ("from=2026-02-30", "from=today", "days=32", "days=0", "service=%20")
    bad = [await refused(await api.client.get(f"/v1/offices/bandung/availability?{fault}")) for fault in faults]

    assert {"server_time_ms", "office_id", "timezone", "window", "slots"} == set(body)
    assert ("open", "Asia/Jakarta") == (body["window"]["state"], body["timezone"])
    assert [(SLOT, 10, "open"), (WALK_IN, 10, "open"), (CITY, 10, "open")] == [
        (slot["slot_id"], slot["free"], slot["state"]) for slot in body["slots"]
    ]
    assert ("public, max-age=1", 304, b"") == (first.headers["Cache-Control"], same.status, await same.read())
    assert ([CITY], []) == ([slot["slot_id"] for slot in one_day["slots"]], nothing["slots"])
    assert (404, "not_found") == unknown[:2]
    assert [(400, "bad_request", fault.partition("=")[0]) for fault in faults] == [
        (*one[:2], one[2]["field"]) for one in bad
    ]


async def test_availability_asks_valkey_once_for_a_hundred_askers(api: Api) -> None:
    """
    However many ask within a quarter of a second, the office is read once.
    """
    before = metrics.free_reads._value.get()
    answers = await asyncio.gather(*(api.client.get("/v1/offices/bandung/availability") for _ in range(100)))
    after = metrics.free_reads._value.get()

    assert {200} == {answer.status for answer in answers}
    assert after - before <= 4


@pytest.mark.cluster
async def test_an_empty_valkey_sells_nothing(valkey: Any, aiohttp_client: Any) -> None:
    """
    Without any plan the answer is 503 with Retry-After, not 404.
    """
    room = room_of(valkey)
    app, work = await served(room)
    api = Api(await aiohttp_client(app), room, work)
    answers = [await api.reserve(), await api.client.get("/v1/offices/bandung/availability")]

    assert [(503, "not_ready")] * 2 == [(await refused(one))[:2] for one in answers]
    assert {one.headers["Retry-After"] for one in answers} <= {"1", "2"}


@pytest.mark.cluster
async def test_a_stopped_partition_sells_nothing_but_repeats_what_it_sold(api: Api) -> None:
    """
    Foreign history: new asks are 503, and who has places is still told so.
    """
    held = await (await api.reserve()).json()
    await api.room.valkey.call("SET", api.room.keys.stopped(api.room.keys.partition_of(SLOT)), "1")
    again = await (await api.reserve()).json()
    new = await refused(await api.reserve(who="2"))

    assert held == again
    assert (503, "not_ready") == new[:2]


async def test_more_askers_than_the_limit_are_turned_away_at_the_door(valkey: Any, aiohttp_client: Any) -> None:
    """
    503 busy with Retry-After, before anything is asked of Valkey.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    app, work = await served(room, limit=Limit(floor=0, ceiling=0, target_seconds=1))
    api = Api(await aiohttp_client(app), room, work)
    before = metrics.turned_away["busy"]._value.get()
    answer = await api.reserve()
    status, code, body = await refused(answer)

    assert (503, "busy", "Too many requests at once") == (status, code, body["title"])
    assert answer.headers["Retry-After"] == str(body["retry_after"]) in {"1", "2"}
    assert 1000 <= body["retry_after_ms"] <= 2000
    assert before + 1 == metrics.turned_away["busy"]._value.get()
    assert [] == await room.records("claim")


@pytest.mark.cluster
async def test_the_catalogue_follows_changes_and_another_history(valkey: Any) -> None:
    """
    New plans appear, a flushed Valkey is noticed, and what it holds then is learnt anew.
    """
    room = room_of(valkey)
    catalogue = room.catalogue()
    await catalogue.load()
    nothing = catalogue.empty
    await room.holds.apply([plan(SLOT), plan(FAR)])
    await catalogue.load()
    both = set(catalogue.slots)
    await room.holds.apply([plan(SLOT, version=2, capacity=7)])
    await catalogue.load()
    changed = catalogue.slots[SLOT].capacity
    await room.valkey.call("FLUSHALL")
    await room.holds.apply([plan(CITY)])
    await catalogue.load()

    assert (True, {SLOT, FAR}, 7) == (nothing, both, changed)
    assert {CITY} == set(catalogue.slots)
    assert abs(catalogue.now_ms() - now_ms()) < 1000


async def test_a_valkey_that_may_forget_is_refused_at_boot(valkey: Any) -> None:
    """
    The sentence names the setting.
    """
    store = room_of(valkey).valkey
    await refuse_forgetful(store)
    await valkey.config_set("appendfsync", "everysec")
    try:
        with pytest.raises(Retryable, match="appendfsync is 'everysec', not 'always'"):
            await refuse_forgetful(store)
    finally:
        await valkey.config_set("appendfsync", "always")
