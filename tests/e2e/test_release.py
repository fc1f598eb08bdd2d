"""
A release through the gateway, audited; then one lie in each store, and the audit names it.

The promise: never oversold, never lost, told once. The corruption stays in the stack,
so each test here looks for its own lie only.
"""

import asyncio
import email.message
import random
from pathlib import Path

import aiosmtplib
import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from contracts.envelope import seal
from contracts.events import ReservationHeld
from kernel.kafka.producer import Producer
from kernel.settings import KafkaSettings
from ops.audit.collect import collect
from ops.audit.compare import judge
from ops.audit.evidence import Evidence
from ops.audit.findings import Kind, Store
from ops.audit.run import audit
from ops.background import BackgroundStack
from ops.release.offer import choose
from ops.release.run import Played, Script, play
from ops.release.street import street
from services.quota.domain.records import packed, slot_books
from services.quota.keys import Keys

SMALL = Script(
    accounts=90,
    registered=4,
    demand=2.0,
    opens_in_seconds=6,
    rush_seconds=5,
    pay_within_seconds=15,
    seed=7,
)


@pytest.fixture(scope="module")
def release(stack: BackgroundStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Played, Evidence]:
    """
    One small release, played and audited until the system is at rest.
    """
    folder: Path = tmp_path_factory.mktemp("release")

    async def story() -> tuple[Played, Evidence]:
        played = await play(SMALL, stack.env, folder=folder, say=print)
        evidence, findings = await audit(
            stack.env, patience_seconds=90, acknowledged=list(played.tally.acknowledged.values()), settle=True
        )
        assert [] == findings
        return played, evidence

    return asyncio.run(story())


async def findings_of(stack: BackgroundStack) -> set[tuple[Kind, Store]]:
    """
    What an audit says now.
    """
    return {(finding.kind, finding.store) for finding in judge(await collect(stack.env))}


def test_a_release_ends_with_every_place_accounted_for(release: tuple[Played, Evidence]) -> None:
    """
    Every acknowledged reservation has ended one way, and no client was told two things.
    """
    played, evidence = release
    states = {row.state for row in evidence.bookings.values()}

    assert [] == played.tally.broken_promises
    assert set(played.tally.acknowledged) == set(evidence.bookings)
    assert {"confirmed", "expired", "cancelled"} == states
    assert played.tally.refused["sold_out"] > 0
    assert played.tally.refused["account_already_reserved"] > 0
    assert played.tally.replayed > 0


async def test_a_release_after_this_one_opens_what_this_one_left_alone(
    release: tuple[Played, Evidence], stack: BackgroundStack
) -> None:
    """
    `make run` on a resumed stack plays again: no slot of its is one that somebody here has a place of.
    """
    _, evidence = release
    async with street(stack.env["PUBLIC_URL"]) as road:
        next_offered = await choose(road, places_wanted=200, rng=random.Random(SMALL.seed))  # noqa: S311 - no secret

    assert next_offered
    assert not {slot.slot_id for slot in next_offered} & {row.slot_id for row in evidence.bookings.values()}


async def test_a_counter_changed_in_valkey_is_named(release: tuple[Played, Evidence], stack: BackgroundStack) -> None:
    """
    One place too many in a slot's free count is an unbalanced slot.
    """
    _, evidence = release
    client = Redis.from_url(stack.env["VALKEY_URL"])
    slot_id = next(iter(evidence.bookings.values())).slot_id
    key = Keys(int(stack.env["PARTITIONS"])).books(slot_id)
    books = slot_books(await client.get(key))
    try:
        await client.set(key, packed(msgspec.structs.replace(books, free=books.free + 1)))
        named = await findings_of(stack)
    finally:
        await client.set(key, packed(books))
        await client.aclose()

    assert (Kind.UNBALANCED, Store.VALKEY) in named
    assert (Kind.UNBALANCED, Store.VALKEY) not in await findings_of(stack)


async def test_a_place_changed_in_postgres_is_named(release: tuple[Played, Evidence], stack: BackgroundStack) -> None:
    """
    A queue number that is not the one quota gave out is a lost place.
    """
    _, evidence = release
    booking_id = next(row.booking_id for row in evidence.bookings.values() if row.state == "confirmed")
    connection = await asyncpg.connect(stack.env["DATABASE_URL"], server_settings={"search_path": "booking"})
    change = "UPDATE booking SET seats[1] = seats[1] + $2 WHERE booking_id = $1"
    try:
        await connection.execute(change, booking_id, 5000)
        named = await findings_of(stack)
    finally:
        await connection.execute(change, booking_id, -5000)
        await connection.close()

    assert (Kind.LOST, Store.POSTGRES) in named
    assert (Kind.LOST, Store.POSTGRES) not in await findings_of(stack)


async def test_a_mail_sent_twice_is_named(release: tuple[Played, Evidence], stack: BackgroundStack) -> None:
    """
    A second confirmation of one booking is a duplicate.
    """
    _, evidence = release
    booking_id = next(row.booking_id for row in evidence.bookings.values() if row.state == "confirmed")
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@contoh.example", "b@contoh.example", "again"
    mail["X-Antrean-Template"], mail["X-Antrean-Booking"] = "confirmed", booking_id
    mail["Message-ID"] = "<again@contoh.example>"
    host, _, port = stack.env["SMTP_URL"].removeprefix("smtp://").partition(":")
    await aiosmtplib.send(mail, hostname=host, port=int(port), start_tls=False, timeout=10)

    assert (Kind.MAIL_DUPLICATE, Store.MAILS) in await findings_of(stack)


async def test_a_forged_event_is_named(release: tuple[Played, Evidence], stack: BackgroundStack) -> None:
    """
    Another event under a number already told is a contradiction in the events.
    """
    _, evidence = release
    told = next(event for events in evidence.quota_events.values() for event in events)
    forged = ReservationHeld(
        partition=told.partition,
        epoch=told.epoch,
        seq=told.seq,
        slot_id=told.slot_id,
        at_ms=told.at_ms,
        reservation_id="rsv_forged",
        account_id="acc_forged",
        person_ids=("per_forged",),
        seats=(1,),
        pay_by_ms=told.at_ms,
    )
    producer = Producer(KafkaSettings(bootstrap=stack.env["KAFKA_BOOTSTRAP"]), name="forger")
    message = seal(forged, event_id="forged", key=str(told.partition), source="quota", partition=told.partition)
    try:
        await producer.publish([message])
    finally:
        await producer.close()

    assert (Kind.LOST, Store.EVENTS) in await findings_of(stack)
