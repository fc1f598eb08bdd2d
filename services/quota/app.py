"""
Quota's wiring: three processes, each opened here and closed in reverse.

Called by `__main__`. The only file that builds anything.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from kernel.auth.authenticator import HeaderAuthenticator
from kernel.auth.tokens import TokenVerifier, keep_keys_fresh
from kernel.clock import now_ms
from kernel.errors import Retryable
from kernel.http.application import application
from kernel.http.turnstile import FULL
from kernel.ids import fresh
from kernel.kafka.consumer import Consumer
from kernel.kafka.producer import kafka_producer
from kernel.process import Process, settings_of
from kernel.settings import ValkeySettings
from services.quota import consumers, metrics, routes
from services.quota.domain.gate import Gate
from services.quota.domain.limit import Limit
from services.quota.domain.returning import Delay
from services.quota.keys import Keys
from services.quota.settings import FSYNC, ApiSettings, DurabilitySettings, RelaySettings, WorkerSettings
from services.quota.stores.batching import BatchingDecider
from services.quota.stores.catalogue import Catalogue
from services.quota.stores.claims import Claims
from services.quota.stores.free import FreePlaces
from services.quota.stores.histories import Greeter, Histories
from services.quota.stores.holds import Holds
from services.quota.stores.leases import Leases, untold
from services.quota.stores.ledger import Ledger, refuse_forgetful
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import Outbox
from services.quota.stores.passes import Stepped, Whole
from services.quota.stores.valkey import Valkey
from services.quota.stores.wishes import Wishes
from services.quota.use_cases.availability import Availability
from services.quota.use_cases.clearing import Clearing
from services.quota.use_cases.following import Following
from services.quota.use_cases.leases import tenure
from services.quota.use_cases.looking_after import Sweep, Watch
from services.quota.use_cases.reservations import Reservations
from services.quota.use_cases.streaming import Streams
from services.quota.use_cases.telling import Relay
from services.quota.use_cases.wishing import Wishing


async def api(process: Process) -> None:
    """
    The hot path: any number of these.
    """
    settings = settings_of(ApiSettings)
    keys = Keys(settings.valkey.partitions)
    greeter = Greeter(keys)
    valkey = await _open_valkey(process, settings.valkey, settings.keeping, greeter)
    catalogue, free, holds = Catalogue(valkey, keys, now_ms, greeter), FreePlaces(valkey, keys), Holds(valkey, keys)
    await _learn_if_compared(catalogue, greeter)
    process.spawn("catalogue", catalogue.keep_fresh())

    tokens = TokenVerifier(now_ms)
    process.spawn("jwks", keep_keys_fresh(tokens, settings.jwks_url))
    process.ready_when("jwks", _says(lambda: tokens.ready))

    gate = Gate()
    limit = Limit(
        floor=settings.decisions_underway_min,
        ceiling=settings.decisions_underway_max,
        target_seconds=settings.decision_target_seconds,
    )
    metrics.decisions_limit.set_function(lambda: limit.asks_max)
    decider = BatchingDecider(
        Stepped(valkey, keys) if valkey.cluster else Whole(valkey, keys),
        gate,
        limit,
        batch_max=settings.batch_max,
        lanes=settings.batch_lanes,
        wait_max_seconds=settings.decide_deadline_seconds,
    )
    metrics.decisions_underway.set_function(lambda: decider.underway)
    await process.open(_settling(decider))
    availability = Availability(catalogue, free)
    streams = Streams(
        availability,
        listeners_max=settings.stream_listeners_max,
        listeners_per_office_max=settings.stream_listeners_per_office_max,
    )
    app = application(
        routes.ROUTES,
        settings.http,
        authenticator=HeaderAuthenticator(tokens, now_ms, settings.keys_of_passes()),
        sandbox=settings.sandbox,
    )
    app[routes.CATALOGUE] = catalogue
    app[routes.SOLD_OUT_ANSWERS] = routes.SoldOutAnswers()
    app[routes.HOLDS] = holds
    app[routes.AVAILABILITY] = availability
    app[routes.STREAMS] = streams
    app[routes.STREAM_WRITE_SECONDS] = settings.stream_write_seconds
    app.on_shutdown.append(streams.close)
    # Every lane full and one batch waiting: more at once would be decided no sooner.
    enough = settings.batch_max * (settings.batch_lanes + 1)
    app[FULL] = lambda: decider.underway >= enough
    app[routes.RESERVATIONS] = Reservations(decider, gate, catalogue, free)
    process.serve(app, settings.http)


async def worker(process: Process) -> None:
    """
    Follows booking and takes the places it wants, looks after claims, shows the books.
    """
    given = settings_of(WorkerSettings)
    settings, returns = given.backstage, given.returns
    keys = Keys(settings.valkey.partitions)
    valkey = await _open_valkey(process, settings.valkey, settings.keeping, Greeter(keys))
    producer = await process.open(kafka_producer(settings.kafka, name="quota-worker"))
    claims = Claims(valkey, keys)
    delay = Delay(seconds_min=returns.delay_seconds_min, seconds_max=returns.delay_seconds_max)
    following = Following(Holds(valkey, keys, cleared_only=True), claims, delay=delay)
    wishing = Wishing(Wishes(valkey, keys))
    for name, reading in (("plans", consumers.plans(following)), ("bookings", consumers.bookings(following, wishing))):
        consumer = Consumer(settings.kafka, producer, reading)
        process.spawn(name, consumer.run())
        process.ready_when(name, _says(partial(getattr, consumer, "connected")))
    process.spawn("sweep", Sweep(claims).run())
    process.spawn("watch", Watch(Ledger(valkey, keys), partial(untold, valkey, keys)).run())


async def relay(process: Process) -> None:
    """
    Tells Kafka what Valkey has decided, and clears Valkeys whose history is compared: any number share the partitions.
    """
    settings = settings_of(RelaySettings)
    keys = Keys(settings.valkey.partitions)
    valkey = await _open_valkey(process, settings.valkey, settings.keeping, greeter=None)
    producer = await process.open(kafka_producer(settings.kafka, name="quota-relay"))
    leases = Leases(valkey, keys, relay_id=fresh("relay"), lease_seconds=settings.lease_seconds)
    ours = await process.open(tenure(leases, partitions=keys.partitions))
    telling = Relay(Outbox(valkey, keys), producer, settings.kafka, ours, partitions=keys.partitions)
    clearing = Clearing(Histories(valkey, keys), settings.kafka, partitions=keys.partitions)
    watermarks = Consumer(settings.kafka, producer, consumers.watermarks(telling, clearing))
    process.spawn("watermarks", watermarks.run())
    process.spawn("leases", ours.keep())
    process.spawn("relay", telling.run())
    process.spawn("clearing", clearing.run())
    process.ready_when("relay", _says(lambda: telling.telling))


async def snapshot(settings: ValkeySettings, out: Path) -> int:
    """
    Write everything Valkey holds for quota as JSON lines. Returns how many.
    """
    lines = 0
    async with AsyncExitStack() as exits:
        valkey = await exits.enter_async_context(open_valkey(settings))
        file = exits.enter_context(out.open("wb"))
        async for record in Ledger(valkey, Keys(settings.partitions)).everything():
            file.write(msgspec.json.encode(record) + b"\n")
            lines += 1
    return lines


@asynccontextmanager
async def _settling(decider: BatchingDecider) -> AsyncIterator[None]:
    """
    Leaving waits for what was begun.
    """
    try:
        yield
    finally:
        await decider.settle()


def _says(fact: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return fact()

    return check


async def _learn_if_compared(catalogue: Catalogue, greeter: Greeter) -> None:
    """
    A boot does not wait for a comparison: until there is one, every answer is `not_ready`.
    """
    try:
        await catalogue.load()
    except Retryable:
        if not greeter.refuses:
            raise


async def _open_valkey(
    process: Process, settings: ValkeySettings, keeping: DurabilitySettings, greeter: Greeter | None
) -> Valkey:
    if keeping.durability == FSYNC:
        # Over connections of its own: how a server is set up is no question of its history.
        async with open_valkey(settings) as ungreeted:
            await refuse_forgetful(ungreeted)
    greet = greeter.greet if greeter else None
    valkey = await process.open(open_valkey(settings, replicas_min=keeping.replicas_min, greet=greet))
    process.ready_when("valkey", Ledger(valkey, Keys(settings.partitions)).answers)
    return valkey
