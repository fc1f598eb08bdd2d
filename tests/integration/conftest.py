"""
Real Valkey, Postgres, broker and mail sink, started once per run on free ports in a throw-away folder.

Kafka is the embedded broker, or Apache Kafka when ANTREAN_TEST_KAFKA=real. Tests share
the topics: use a consumer group of your own and look for your own ids, or ask for
`fresh_broker`, which forgets everything before the test.
"""

import dataclasses
import functools
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import redis.asyncio

from contracts.topics import QUOTA_PARTITIONS_DEFAULT
from kernel.settings import ValkeySettings
from ops.background import BackgroundBroker, BackgroundStack
from ops.stack import Stack
from ops.valkey_cluster import ValkeyCluster
from services.quota.keys import Keys
from services.quota.stores.histories import Histories
from services.quota.stores.opening import open_valkey
from services.quota.stores.outbox import START
from services.quota.stores.valkey import Valkey as QuotaValkey

if TYPE_CHECKING:
    Valkey = redis.asyncio.Redis

# A developer's own database must never be the one that tests empty.
Sweep = Callable[[], None]
ONLY_VALKEY = "ANTREAN_TEST_VALKEY"
"""Where a Valkey to be emptied is: a run of a planted bug shares one, and starts nothing else."""
GIVEN = {"VALKEY_URL", "DATABASE_URL", "KAFKA_BOOTSTRAP", "SMTP_URL", "MAIL_LOOKUP_URL", "PUBLIC_URL"}
CONNECT_SECONDS = 10
MEMORY = Path("/dev/shm")  # noqa: S108 - made anew, under a name nobody knows
MEMORY_BYTES = 4 << 30
_BROKER = re.compile("kafka|broker", re.IGNORECASE)
_HELPER = re.compile(r"^from tests\.integration\.(\w+) import", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """
    Where the stores are, and the broker to be taken away and brought back.
    """

    valkey_url: str
    database_url: str
    kafka_bootstrap: str
    smtp_url: str
    mail_url: str
    broker: BackgroundBroker
    stack: BackgroundStack


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OnlyValkey:
    """
    Where Valkey is. A test that asks for more is none for hunting planted bugs.
    """

    valkey_url: str


@pytest.fixture(scope="session")
def throw_away_folder() -> Iterator[Path]:
    """
    A folder which Postgres, running as another account when we are root, can reach; in memory where there is enough.

    A database for each of hundreds of tests is a thousand files made and removed. ext4 passes over what was removed
    lately one by one when it looks for room: that took half of the time.
    """
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    folder = Path(tempfile.mkdtemp(prefix="antrean-test-", dir=MEMORY if roomy else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def stores(throw_away_folder: Path, what_the_driver_drops: Sweep) -> "Iterator[Stores | OnlyValkey]":
    """
    The stores of this run; Valkey alone where a planted bug is hunted.
    """
    if ONLY_VALKEY in os.environ:
        yield OnlyValkey(valkey_url=os.environ[ONLY_VALKEY])
        return
    environ = {name: value for name, value in os.environ.items() if name not in GIVEN}
    kafka = os.environ.get("ANTREAN_TEST_KAFKA", "embedded")

    def build() -> Stack:
        return Stack(throw_away_folder / "stores", environ, services=False, kafka=kafka, ports="free")

    with BackgroundStack(build) as running:
        what_the_driver_drops()
        yield Stores(
            valkey_url=running.env["VALKEY_URL"],
            database_url=running.env["DATABASE_URL"],
            kafka_bootstrap=running.env["KAFKA_BOOTSTRAP"],
            smtp_url=running.env["SMTP_URL"],
            mail_url=running.env["MAIL_LOOKUP_URL"],
            broker=running.broker,
            stack=running,
        )


@pytest.fixture
async def database(stores: Stores) -> AsyncIterator[str]:
    """
    The address of an empty database of this test's own.
    """
    name = f"test_{uuid.uuid4().hex}"
    await _administer(stores, f'CREATE DATABASE "{name}"')
    yield stores.database_url.rpartition("/")[0] + f"/{name}"
    await _administer(stores, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(stores: Stores, order: str) -> None:
    # A connection per order: a test may have restarted Postgres in between.
    admin = await asyncpg.connect(stores.database_url, timeout=CONNECT_SECONDS)
    try:
        await admin.execute(order)
    finally:
        await admin.close(timeout=CONNECT_SECONDS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    On Apache Kafka only what may meet a broker runs: the others would be the very same run again.
    """
    if os.environ.get("ANTREAN_TEST_KAFKA") != "real":
        return
    here = Path(__file__).parent
    apart = [item for item in items if here in item.path.parents and not _may_meet_a_broker(item.path)]
    config.hook.pytest_deselected(items=apart)
    items[:] = [item for item in items if item not in set(apart)]


@functools.cache
def _may_meet_a_broker(module: Path) -> bool:
    """
    Whether a test module, or a helper of ours it imports, speaks of Kafka or of a broker.
    """
    text = module.read_text(encoding="utf-8")
    helpers = [module.with_name(f"{name}.py").read_text(encoding="utf-8") for name in _HELPER.findall(text)]
    return any(_BROKER.search(one) for one in (text, *helpers))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    A test marked `cluster` runs on one server and on a cluster.
    """
    if "valkey" in metafunc.fixturenames and metafunc.definition.get_closest_marker("cluster"):
        metafunc.parametrize("valkey", ["one_server", "cluster"], indirect=True)


@pytest.fixture(scope="session")
def valkey_cluster(throw_away_folder: Path) -> Iterator[ValkeyCluster]:
    """
    Three primaries with a replica each. Whoever hurts it heals it.
    """
    with ValkeyCluster(throw_away_folder / "cluster") as cluster:
        yield cluster


async def founded(store: QuotaValkey) -> None:
    """
    Empty, and with nothing to be compared with.
    """
    await store.call("FLUSHALL")
    keys = Keys(QUOTA_PARTITIONS_DEFAULT)
    await Histories(store, keys).clear(dict.fromkeys(range(keys.partitions), START))


@pytest.fixture
async def valkey(request: pytest.FixtureRequest, stores: Stores) -> AsyncIterator["Valkey | QuotaValkey"]:
    """
    A client of an empty Valkey that may be sold from, as a relay leaves a new installation.

    Where the test is marked so it is a store over an empty cluster, as quota opens it.
    """
    if getattr(request, "param", "one_server") == "cluster":
        url = request.getfixturevalue("valkey_cluster").url
        async with open_valkey(ValkeySettings(url=url, call_timeout_seconds=5.0)) as store:
            await founded(store)
            yield store
        return
    client = redis.asyncio.from_url(stores.valkey_url)
    await founded(QuotaValkey(client, timeout_seconds=CONNECT_SECONDS))
    yield client
    await client.aclose()


@pytest.fixture
async def fresh_broker(stores: Stores) -> BackgroundBroker:
    """
    The broker with empty topics and no consumer groups. `fresh_broker.bootstrap` is where it is.
    """
    await stores.broker.forget()
    return stores.broker
