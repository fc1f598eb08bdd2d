"""
Opens Valkey, whether its address names one server or any node of a cluster.

Called by `app.py` and by tests. Which of the two it is the server says; nobody configures it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kernel.deadline import within
from kernel.errors import Retryable
from kernel.settings import ValkeySettings
from kernel.topology import Address
from kernel.valkey import Greet, client_of
from services.quota.stores.cluster import ClusterValkey
from services.quota.stores.nodes import Limits, Nodes
from services.quota.stores.valkey import Valkey

DEFAULT_PORT = 6379


@asynccontextmanager
async def open_valkey(
    settings: ValkeySettings, *, replicas_min: int = 0, greet: Greet | None = None
) -> AsyncIterator[Valkey]:
    """
    The store behind VALKEY_URL. Raises `Retryable` when nobody answers there.

    `greet` meets every connection over which something is decided.
    """
    urls = settings.url.split(",")
    url, is_cluster = await _first_to_answer(urls, settings)
    limits = Limits(
        timeout_seconds=settings.call_timeout_seconds, calls_max=settings.connections_max, replicas_min=replicas_min
    )
    if not is_cluster:
        client = client_of(url, settings, greet)
        try:
            yield Valkey(client, **limits)
        finally:
            await client.aclose()
        return

    def node(address: Address, *, greeted: bool) -> Redis:
        return client_of(_at(url, address), settings, greet if greeted else None)

    nodes = Nodes(node, [_address(one) for one in urls], limits)
    try:
        await nodes.learn()
        yield ClusterValkey(nodes, timeout_seconds=settings.call_timeout_seconds)
    finally:
        await nodes.aclose()


async def _first_to_answer(urls: list[str], settings: ValkeySettings) -> tuple[str, bool]:
    said = []
    for url in urls:
        client = client_of(url, settings)
        try:
            info = await within(settings.call_timeout_seconds, client.info("cluster"), what="Valkey")
        except (Retryable, RedisError, OSError) as error:
            said.append(repr(error))
        else:
            return url, bool(info.get("cluster_enabled"))
        finally:
            await client.aclose()
    raise Retryable(f"no Valkey at VALKEY_URL: {'; '.join(said)}")


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return Address(parts.hostname or "localhost", parts.port or DEFAULT_PORT)


def _at(url: str, address: Address) -> str:
    """
    The same user, password and encryption at another node. A cluster knows one database only.
    """
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    host = f"[{address.host}]" if ":" in address.host else address.host
    return parts._replace(netloc=f"{user}{at}{host}:{address.port}", path="/0").geturl()
