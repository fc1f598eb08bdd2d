"""
Quota through HTTP on a real Valkey: every answer, and what happens when askers go away.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenVerifier
from kernel.clock import now_ms
from kernel.errors import Retryable
from kernel.http.application import application
from kernel.settings import HttpSettings, ValkeySettings
from kernel.valkey import valkey_client
from services.quota import routes
from services.quota.domain.decisions import Held
from services.quota.stores.ledger import refuse_forgetful
from services.quota.stores.valkey import Valkey
from services.quota.use_cases.availability import Availability
from services.quota.use_cases.reservations import Reservations, Underway
from tests.integration.quota_room import HOUR_MS, SLOT, Room, ask, plan, room_of

KEYS = PassKeys({"k1": bytes(32)})
CITY = "bandung.20261201.midday.regular.online"
PROVINCE = "bogor.20261130.morning.regular.online"
FAR = "makassar.20261130.morning.regular.online"
WALK_IN = "bandung.20261130.morning.regular.walk_in"


class Api:
    """
    A client of the room's door.
    """

    def __init__(self, client: Any, room: Room, work: Underway) -> None:
        self.client, self.room, self.work = client, room, work

    async def reserve(self, slot_id: str = SLOT, *, who: str = "1", persons: int = 1, **headers: str) -> Any:
        """
        Ask as account `who` with its first `persons` persons.
        """
        body = {"slot_id": slot_id, "person_ids": [f"per_{who}{number}" for number in range(persons)]}
        return await self.client.post("/v1/reservations", json=body, headers=self.headers(who, **headers))

    def headers(self, who: str = "1", *, key: str = "key-00000001", language: str = "en") -> dict[str, str]:
        """
        Of account `who`, which has five persons.
        """
        persons = tuple(f"per_{who}{number}" for number in range(5))
        token = KEYS.issue(account_id=f"acc_{who}", person_ids=persons, expires_at_ms=now_ms() + HOUR_MS)
        return {"Authorization": f"Pass {token}", "Idempotency-Key": key, "Accept-Language": language}


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


async def served(room: Room, *, decide_deadline_seconds: float = 5.0) -> tuple[web.Application, Underway]:
    """
    The application as `app.py` wires it.
    """
    catalogue, work = room.catalogue(), Underway(work_max=1000)
    await catalogue.load()
    app = application(
        routes.ROUTES, HttpSettings(port=0), authenticator=HeaderAuthenticator(TokenVerifier(now_ms), now_ms, KEYS)
    )
    app[routes.CATALOGUE] = catalogue
    app[routes.HOLDS] = room.holds
    app[routes.AVAILABILITY] = Availability(catalogue, room.free)
    app[routes.RESERVATIONS] = Reservations(
        room.decider, catalogue, room.free, work, decide_deadline_seconds=decide_deadline_seconds
    )
    return app, work


async def _refused(response: Any) -> tuple[int, str, dict[str, Any]]:
    body = await response.json(content_type="application/problem+json")
    return response.status, body["code"], body


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
    not_open = await _refused(await api.reserve(FAR))
    over = await _refused(await api.reserve(PROVINCE))
    closed = await _refused(await api.reserve(CITY))
    officers = await _refused(await api.reserve(WALK_IN))
    unknown = await _refused(await api.reserve("bandung.20991130.morning.regular.online"))

    assert (403, "window_not_open", opens) == (*not_open[:2], not_open[2]["opens_at_ms"])
    assert not_open[2]["opens_at"].endswith("+08:00")
    assert (403, "window_closed", True) == (*over[:2], over[2]["next_opens_at"].endswith("+07:00"))
    assert [(409, "slot_closed"), (403, "channel_not_public"), (404, "slot_not_found")] == [
        one[:2] for one in (closed, officers, unknown)
    ]
    assert [] == await api.room.records("hold")


async def test_sold_out_names_what_else_is_free_nearest_first(api: Api) -> None:
    """
    The same office first, then the province, then anywhere; only what has places for the whole family.
    """
    await api.room.holds.apply([plan(SLOT, version=2, capacity=2)])
    status, code, body = await _refused(await api.reserve(SLOT, persons=3))
    await api.room.holds.apply([plan(CITY, version=2, capacity=2)])

    assert (409, "sold_out") == (status, code)
    assert [CITY, PROVINCE, FAR] == [one["slot_id"] for one in body["alternatives"]]
    assert {"slot_id", "office_id", "office_name", "date", "session", "starts_at", "free"} == set(
        body["alternatives"][0]
    )
    assert body["next_opens_at"].endswith("+07:00")


async def test_one_account_one_reservation(api: Api) -> None:
    """
    A second reservation names the first; another body under the same key is 422.
    """
    held = await (await api.reserve()).json()
    second = await _refused(await api.reserve(CITY, key="key-00000002"))
    other_body = await _refused(await api.reserve(persons=2))

    assert (409, "account_already_reserved", held["reservation_id"]) == (*second[:2], second[2]["reservation_id"])
    assert (422, "idempotency_key_reused") == other_body[:2]


async def test_bodies_and_callers_that_do_not_do_are_refused_before_anything_is_asked(api: Api) -> None:
    """
    No pass, no key, strangers' persons, twins, six persons, no persons, a slot id that is none.
    """

    async def answer(persons: list[str], slot_id: str = SLOT, **headers: str | None) -> tuple[int, str]:
        sent = {name: value for name, value in (api.headers() | headers).items() if value is not None}
        body = {"slot_id": slot_id, "person_ids": persons}
        return (await _refused(await api.client.post("/v1/reservations", json=body, headers=sent)))[:2]

    assert (401, "unauthenticated") == await answer(["per_10"], Authorization="Pass ap1.AAAA")
    assert (400, "idempotency_key_missing") == await answer(["per_10"], **{"Idempotency-Key": None})
    assert (403, "person_not_yours") == await answer(["per_20"])
    assert (400, "bad_request") == await answer(["per_10", "per_10"])
    assert (400, "bad_request") == await answer([f"per_1{number}" for number in range(6)])
    assert (400, "bad_request") == await answer([])
    assert (400, "bad_request") == await answer(["per_10"], slot_id="no slot")
    assert [] == await api.room.records("claim")


async def test_a_reservation_is_its_owners_alone(api: Api) -> None:
    """
    The owner sees it and may ask to give it back, twice; for anybody else it is not there.
    """
    held = await (await api.reserve(persons=2)).json()
    path = f"/v1/reservations/{held['reservation_id']}"
    mine = await api.client.get(path, headers=api.headers("1"))
    theirs = await _refused(await api.client.get(path, headers=api.headers("2")))
    their_wish = await _refused(await api.client.delete(path, headers=api.headers("2")))
    wishes = [await api.client.delete(path, headers=api.headers("1", key="key-00000003")) for _ in range(2)]
    after = await (await api.client.get(path, headers=api.headers("1"))).json()

    assert (held, 200) == (await mine.json(), mine.status)
    assert [(404, "not_found")] * 2 == [theirs[:2], their_wish[:2]]
    assert [202, 202] == [wish.status for wish in wishes]
    assert "give_back_asked" == (await wishes[1].json())["state"]
    assert (True, "held") == (after["give_back_asked"], after["state"])


async def test_a_reservation_that_has_ended_is_shown_and_not_had_again(api: Api) -> None:
    """
    After its places went back the owner still sees it; the same key does not bring it back.
    """
    held = await (await api.reserve()).json()
    call = api.room.holds.release_call(SLOT, held["reservation_id"], reason="expired")
    await api.room.holds.resolve([call])
    shown = await api.client.get(f"/v1/reservations/{held['reservation_id']}", headers=api.headers())
    again = await _refused(await api.reserve())
    wish = await _refused(await api.client.delete(f"/v1/reservations/{held['reservation_id']}", headers=api.headers()))

    assert "released" == (await shown.json())["state"]
    assert [(409, "reservation_ended")] * 2 == [again[:2], wish[:2]]


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
    unknown = await _refused(await api.client.get("/v1/offices/atlantis/availability"))
    faults = ("from=2026-02-30", "from=today", "days=32", "days=0", "service=%20")
    bad = [await _refused(await api.client.get(f"/v1/offices/bandung/availability?{fault}")) for fault in faults]

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
    before = int((await api.room.valkey.call("INFO", "commandstats"))["cmdstat_hgetall"]["calls"])
    answers = await asyncio.gather(*(api.client.get("/v1/offices/bandung/availability") for _ in range(100)))
    after = int((await api.room.valkey.call("INFO", "commandstats"))["cmdstat_hgetall"]["calls"])

    assert {200} == {answer.status for answer in answers}
    assert after - before <= 4


async def test_an_empty_valkey_sells_nothing(valkey: Any, aiohttp_client: Any) -> None:
    """
    Without any plan the answer is 503 with Retry-After, not 404.
    """
    room = room_of(valkey)
    app, work = await served(room)
    api = Api(await aiohttp_client(app), room, work)
    refused = [await api.reserve(), await api.client.get("/v1/offices/bandung/availability")]

    assert [(503, "not_ready", "1")] * 2 == [
        (*(await _refused(one))[:2], one.headers["Retry-After"]) for one in refused
    ]


async def test_a_stopped_partition_sells_nothing_but_repeats_what_it_sold(api: Api) -> None:
    """
    Foreign history: new asks are 503, and who has places is still told so.
    """
    held = await (await api.reserve()).json()
    await api.room.outbox.stop_selling(api.room.keys.partition_of(SLOT))
    again = await (await api.reserve()).json()
    new = await _refused(await api.reserve(who="2"))

    assert held == again
    assert (503, "not_ready") == new[:2]


async def test_no_answer_in_time_is_unknown_and_the_same_key_finds_out(
    valkey: Any, aiohttp_client: Any, eventually: Any
) -> None:
    """
    While Valkey stands still the answer is 503 with the reservation's id; later the same request is a replay or a hold.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    app, work = await served(room, decide_deadline_seconds=0.2)
    api = Api(await aiohttp_client(app), room, work)
    await valkey.execute_command("CLIENT", "PAUSE", 800, "WRITE")
    status, code, body = await _refused(await api.reserve(persons=2))
    await work.settle()
    answer = await api.reserve(persons=2)
    held = await answer.json()

    assert (503, "outcome_unknown", held["reservation_id"]) == (status, code, body["reservation_id"])
    assert (201, [1, 2], "true") == (answer.status, held["seats"], answer.headers["Idempotency-Replayed"])
    assert 1 == len(await room.records("hold"))


async def test_askers_who_hang_up_never_get_or_give_anothers_answer(
    valkey: Any, stores: Any, aiohttp_client: Any
) -> None:
    """
    Hundreds of clients over three connections to Valkey, a third of them hang up at random moments:
    every answer that arrives is its asker's own, and whoever was cut off finds his own by asking again.
    """
    settings = ValkeySettings(url=stores.valkey_url, connections_max=3, call_timeout_seconds=5.0)
    async with valkey_client(settings) as few:
        room = room_of(few)
        await room.holds.apply([plan(SLOT, capacity=2000), plan(FAR, capacity=2000)])
        app, work = await served(room)
        api = Api(await aiohttp_client(app), room, work)
        chance = random.Random(4)  # noqa: S311 - the moments, not a secret
        tasks = []
        for number in range(300):
            where, persons = chance.choice((SLOT, FAR)), chance.randint(1, 5)
            tasks.append(
                (number, where, persons, asyncio.ensure_future(api.reserve(where, who=f"{number}x", persons=persons)))
            )
        for _, _, _, task in chance.sample(tasks, 100):
            await asyncio.sleep(chance.random() * 0.004)
            task.cancel()
        for number, where, persons, task in tasks:
            try:
                answer = await task
            except (asyncio.CancelledError, aiohttp.ClientError):
                answer = await api.reserve(where, who=f"{number}x", persons=persons)
            body = await answer.json()
            expected = (201, where, [f"per_{number}x{one}" for one in range(persons)], persons)
            assert expected == (answer.status, body["slot_id"], body["person_ids"], len(body["seats"]))
        await work.settle()
        holds = await room.records("hold")
    sold = [(hold["slot_id"], seat) for hold in holds for seat in hold["seats"]]

    assert (300, len(sold)) == (len(holds), len(set(sold)))


async def test_a_call_cancelled_at_any_await_never_crosses_replies(stores: Any, valkey: Any) -> None:
    """
    Below the shield too: cancelled calls, scripts and pipelines leave no reply behind for the next one.
    """
    chance = random.Random(7)  # noqa: S311 - the moments, not a secret
    settings = ValkeySettings(url=stores.valkey_url, connections_max=2, call_timeout_seconds=5.0)
    async with valkey_client(settings) as few:
        store = Valkey(few, timeout_seconds=5.0)

        async def echo(number: int) -> tuple[int, list[int]]:
            if number % 3:
                return number, [int(await store.call("ECHO", number))]
            return number, [int(one) for one in await store.many([("ECHO", number), ("ECHO", number)])]

        tasks = [asyncio.ensure_future(echo(number)) for number in range(1500)]
        for task in chance.sample(tasks, 500):
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

    answered = [result for result in results if isinstance(result, tuple)]
    assert all({number} == set(echoes) for number, echoes in answered)
    assert len(answered) >= 1000
    assert all(isinstance(result, tuple | asyncio.CancelledError) for result in results)


async def test_a_decision_outlives_its_asker_and_the_drain_waits_for_it(valkey: Any) -> None:
    """
    Cancelling the asker cancels nothing that has begun.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    catalogue, work = room.catalogue(), Underway(work_max=10)
    counter = Reservations(room.decider, catalogue, room.free, work, decide_deadline_seconds=5.0)
    asked = ask()
    asker = asyncio.ensure_future(counter.reserve(asked))
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    await work.settle()
    decision = await counter.reserve(asked)

    assert isinstance(decision, Held)
    assert decision.replayed


async def test_more_askers_than_the_limit_are_turned_away_at_the_door(valkey: Any, aiohttp_client: Any) -> None:
    """
    503 busy with Retry-After, before anything is asked of Valkey.
    """
    room = room_of(valkey)
    await room.holds.apply([plan(SLOT)])
    app, work = await served(room)
    work._work_max = 0
    api = Api(await aiohttp_client(app), room, work)

    assert (503, "busy") == (await _refused(await api.reserve()))[:2]
    assert [] == await room.records("claim")


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
    await valkey.flushall()
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
