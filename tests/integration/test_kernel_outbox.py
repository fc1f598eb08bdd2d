"""
The outbox relay on real Postgres and a real broker: nothing overtakes, nothing is lost, whatever goes away.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from kernel import outbox
from kernel.kafka.producer import kafka_producer
from kernel.outbox import SQL, OutboxRelay, append, append_bundles
from kernel.postgres import Database
from ops.background import BackgroundBroker
from tests.integration.kernel_broker import listening, running, said
from tests.integration.kernel_stores import kafka, room

pytestmark = pytest.mark.kafka
Eventually = Callable[..., Awaitable[Any]]
TOPIC = "booking.events"


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with room(database) as opened:
        yield opened


@pytest.fixture
async def relay(db: Database, fresh_broker: BackgroundBroker) -> AsyncIterator[OutboxRelay]:
    settings = kafka(fresh_broker.bootstrap)
    async with kafka_producer(settings, name="relay") as producer:
        yield OutboxRelay(db, producer, settings)


async def _say(db: Database, *names: tuple[str, int]) -> None:
    async with db.transaction() as connection:
        await append(connection, [said(TOPIC, key, number) for key, number in names])


async def _waiting(db: Database) -> int:
    async with db.connection() as connection:
        count: int = await connection.fetchval(SQL.count_unpublished)
        return count


async def test_what_is_committed_is_told_in_order_per_key(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    The messages of one key come out as they were written, each with its stable id, once.
    """
    async with running(relay.run()), listening(fresh_broker.bootstrap, TOPIC) as heard:
        for number in range(50):
            await _say(db, ("a", number), ("b", number))
        await eventually(lambda: len(heard.bodies()) == 100)

        assert [f"a.{number}" for number in range(50)] == heard.bodies("a")
        assert [f"b.{number}" for number in range(50)] == heard.bodies("b")
        assert all(dict(record.headers)["ce_id"] == record.value for record in heard.records)

        async def all_marked() -> bool:
            return 0 == await _waiting(db)

        await eventually(all_marked)


async def test_messages_said_together_come_out_one_by_one_between_the_others(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    A bundle is a way to keep messages, not a message: ids, keys and order are those of its parts.
    """
    number_told = 2 * outbox.BUNDLE_MESSAGES_MAX + 1
    await _say(db, ("a", 0), ("b", 0))
    async with db.transaction() as connection:
        await append_bundles(
            connection, [said(TOPIC, key, number) for number in range(1, number_told) for key in ("a", "b")]
        )
    await _say(db, ("a", number_told), ("b", number_told))
    assert 2 * (number_told + 1) == await _waiting(db)

    async with running(relay.run()), listening(fresh_broker.bootstrap, TOPIC) as heard:
        await eventually(lambda: len(heard.bodies()) == 2 * (number_told + 1))

    assert [f"a.{number}" for number in range(number_told + 1)] == heard.bodies("a")
    assert [f"b.{number}" for number in range(number_told + 1)] == heard.bodies("b")
    assert all(dict(record.headers)["ce_id"] == record.value for record in heard.records)


@pytest.mark.parametrize("messages", [1, outbox.BUNDLE_MESSAGES_MAX, outbox.BUNDLE_MESSAGES_MAX + 1])
async def test_a_bundle_keeps_what_it_was_given(db: Database, messages: int) -> None:
    """
    However many there are, one left over included.
    """
    given = [said(TOPIC, "a", number) for number in range(messages)]
    async with db.transaction() as connection:
        await append_bundles(connection, given)
        rows = await connection.fetch("SELECT * FROM outbox ORDER BY id")

    assert given == [message for row in rows for message in outbox.messages_of(row)]
    assert -(-messages // outbox.BUNDLE_MESSAGES_MAX) == len(rows)


async def test_a_batch_ends_when_it_has_messages_enough(db: Database) -> None:
    """
    Rows are no measure of what the broker is given at a time.
    """
    async with db.transaction() as connection:
        await append_bundles(connection, [said(TOPIC, "a", number) for number in range(200)])
    await _say(db, ("a", 200))
    async with db.connection() as connection:
        few, all_of_them = await connection.fetch(SQL.read_outbox, 60), await connection.fetch(SQL.read_outbox, 500)

    assert [50, 50] == [row["messages"] for row in few]
    assert [50, 50, 50, 50, 1] == [row["messages"] for row in all_of_them]


async def test_what_was_told_long_ago_is_forgotten_and_what_was_not_told_never(db: Database) -> None:
    """
    A message nobody has heard stays, however old it is.
    """
    await _say(db, *(("a", number) for number in range(4)))
    async with db.connection() as connection:
        await connection.execute("UPDATE outbox SET created_at = now() - interval '4 days' WHERE event_id <> 'a.3'")
        await connection.execute("UPDATE outbox SET published_at = now() WHERE event_id <> 'a.1'")
        await connection.execute(SQL.delete_published, outbox.KEEP, 1000)
        left = await connection.fetch("SELECT event_id FROM outbox ORDER BY id")

    assert ["a.1", "a.3"] == [row["event_id"] for row in left]


async def test_an_event_id_is_said_once(db: Database) -> None:
    """
    A use case that runs again in another transaction announces nothing new.
    """
    await _say(db, ("a", 1), ("a", 2))
    await _say(db, ("a", 2), ("a", 1))

    assert 2 == await _waiting(db)


async def test_what_is_rolled_back_is_never_told(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    A message is as true as the fact it was written with.
    """

    async def fails_after_all() -> None:
        async with db.transaction() as connection:
            await append(connection, [said(TOPIC, "a", 1)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails_after_all()
    await _say(db, ("a", 2))

    async with running(relay.run()), listening(fresh_broker.bootstrap, TOPIC) as heard:
        await eventually(lambda: bool(heard.bodies()))

    assert ["a.2"] == heard.bodies()


async def test_rows_of_a_running_transaction_are_not_overtaken(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    Sequence order is not commit order: the earlier row may become visible later.
    """
    async with running(relay.run()), listening(fresh_broker.bootstrap, TOPIC) as heard:
        async with db.transaction() as early:
            await append(early, [said(TOPIC, "a", 1)])
            await _say(db, ("a", 2))
            async with db.connection() as other:
                assert [] == await other.fetch(SQL.read_outbox, 10)
            assert 1 == await _waiting(db)
        await eventually(lambda: len(heard.bodies()) == 2)

    assert ["a.1", "a.2"] == heard.bodies("a")


async def test_a_broker_that_vanishes_and_returns_loses_nothing(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    Facts are written on while nobody hears them, and told afterwards, in order.
    """
    expected = [f"a.{number}" for number in range(300)]
    async with running(relay.run()):
        async with listening(fresh_broker.bootstrap, TOPIC) as heard:
            for number in range(100):
                await _say(db, ("a", number))
            await eventually(lambda: bool(heard.bodies()))
        await fresh_broker.vanish()
        for number in range(100, 300):
            await _say(db, ("a", number))
        assert 0 < await _waiting(db)
        await fresh_broker.come_back()

        async with listening(fresh_broker.bootstrap, TOPIC) as heard:
            await eventually(lambda: len(heard.once()) == 300, within_seconds=40)
            assert expected == heard.once("a")


@pytest.mark.skipif(
    os.environ.get("ANTREAN_TEST_KAFKA") == "real", reason="emptying topics leaves Apache Kafka its cluster id"
)
async def test_a_broker_that_forgets_is_told_everything_again(
    db: Database,
    relay: OutboxRelay,
    fresh_broker: BackgroundBroker,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It comes back under a new cluster id, which means that nobody there has heard anything.
    """
    monkeypatch.setattr(outbox, "CLUSTER_CHECK_SECONDS", 0.2)
    async with running(relay.run()):
        await _say(db, ("a", 1), ("a", 2))
        async with listening(fresh_broker.bootstrap, TOPIC) as heard:
            await eventually(lambda: heard.bodies("a") == ["a.1", "a.2"])
        await fresh_broker.forget()
        await _say(db, ("a", 3))

        async with listening(fresh_broker.bootstrap, TOPIC) as heard:
            await eventually(lambda: heard.bodies("a")[-3:] == ["a.1", "a.2", "a.3"], within_seconds=40)


async def test_another_cluster_is_told_everything_again(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    What was told to a cluster that is gone is told to the one that answers now, before anything new.
    """
    await _say(db, ("a", 1), ("a", 2))
    async with db.connection() as connection:
        await connection.execute("UPDATE outbox SET published_at = now()")
        await connection.execute(SQL.remember_cluster, "a cluster that is gone")
    await _say(db, ("a", 3))

    async with running(relay.run()), listening(fresh_broker.bootstrap, TOPIC) as heard:
        await eventually(lambda: heard.bodies("a") == ["a.1", "a.2", "a.3"])


async def test_announcing_again_goes_through_every_row_in_bounded_steps(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Days of messages are too many for one statement.
    """
    monkeypatch.setattr(outbox, "ANNOUNCE_ROWS_MAX", 3)
    await _say(db, *(("a", number) for number in range(10)))
    async with db.connection() as connection:
        await connection.execute("UPDATE outbox SET published_at = now()")
        await connection.execute(SQL.remember_cluster, "another cluster")
        await relay._greet_cluster(connection)

        assert 10 == await _waiting(db)
        assert "another cluster" != await connection.fetchval(SQL.known_cluster)
    assert fresh_broker.bootstrap


async def test_one_relay_leads_and_another_takes_over(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    Two workers of a room never tell at once, and the end of one is not the end of telling.
    """
    settings = kafka(fresh_broker.bootstrap)
    async with kafka_producer(settings, name="second") as producer, listening(fresh_broker.bootstrap, TOPIC) as heard:
        second = OutboxRelay(db, producer, settings)
        async with running(relay.run(), second.run()) as tasks:
            await _say(db, *(("a", number) for number in range(100)))
            await eventually(lambda: len(heard.bodies()) == 100)
            assert heard.once() == heard.bodies()

            tasks[0].cancel()
            await asyncio.wait([tasks[0]])
            await _say(db, ("a", 100))
            await eventually(lambda: heard.bodies()[-1] == "a.100")


async def test_a_postgres_session_that_is_severed_is_replaced(
    db: Database, relay: OutboxRelay, fresh_broker: BackgroundBroker, eventually: Eventually
) -> None:
    """
    The lock goes with the leader's session; the relay comes back with another, and can still be ended.
    """
    async with running(relay.run()) as tasks, listening(fresh_broker.bootstrap, TOPIC) as heard:
        await _say(db, ("a", 1))
        await eventually(lambda: heard.bodies() == ["a.1"])
        async with db.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        await _say(db, ("a", 2))
        await eventually(lambda: heard.once() == ["a.1", "a.2"])

        tasks[0].cancel()
        await asyncio.wait(tasks, timeout=5)
        assert tasks[0].cancelled()
