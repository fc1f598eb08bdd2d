"""
Makes the topics of `contracts.topics` on a broker that can make topics.

Called by the stack for real and given brokers, and by hand (`python -m ops.topics`
with KAFKA_BOOTSTRAP) where a deployment makes none. The embedded broker makes its
own. Never changes a topic that exists: a wrong partition count is refused.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from contracts.topics import TOPICS, Topic
from ops.errors import StackError

REQUEST_DEADLINE_SECONDS: Final = 15.0
VISIBLE_DEADLINE_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1
REPLICAS: Final = 1
"""One node, here and in the compose file; a cluster's topics are declared in its own manifests."""
TOPIC_ALREADY_EXISTS: Final = 36


async def ensure(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> None:
    """
    Make what is missing, then see that every topic has its partitions.
    """
    wanted = list(topics)
    admin = await _connect(bootstrap)
    try:
        there = set(await _asked(admin.list_topics()))
        missing = [topic for topic in wanted if topic.name not in there]
        if missing:
            await _create(admin, missing)
        await _see(admin, wanted)
    finally:
        await _asked(admin.close())


async def empty(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> None:
    """
    Delete the topics with all they hold and make them again.
    """
    wanted = list(topics)
    names = {topic.name for topic in wanted}
    admin = await _connect(bootstrap)
    try:
        await _asked(admin.delete_topics([name for name in await _asked(admin.list_topics()) if name in names]))
        end = time.monotonic() + VISIBLE_DEADLINE_SECONDS
        while names & set(await _asked(admin.list_topics())):
            _in_time(end, "topics were not deleted")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await _asked(admin.close())
    await ensure(bootstrap, wanted)


async def partition_counts(bootstrap: str) -> dict[str, int]:
    """
    How many partitions each topic has, as the broker tells. Kafka's own topics are its own business.
    """
    admin = await _connect(bootstrap)
    try:
        names = await _asked(admin.list_topics())
        return await _counts(admin, [name for name in names if not name.startswith("__")])
    finally:
        await _asked(admin.close())


async def _connect(bootstrap: str) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, request_timeout_ms=int(REQUEST_DEADLINE_SECONDS * 1000), client_id="antrean-topics"
    )
    try:
        await _asked(admin.start())
    except (KafkaError, TimeoutError) as error:
        await _asked(admin.close())
        raise StackError(f"no Kafka broker answers at {bootstrap}: {error}") from error
    return admin


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    answer = await _asked(admin.create_topics([_new(topic) for topic in topics]))
    for name, code, message in (tuple(error)[:3] for error in answer.topic_errors):
        # Somebody else making it at the same moment is as good.
        if code not in {0, TOPIC_ALREADY_EXISTS}:
            raise StackError(f"topic {name} could not be made: {message or for_code(code).__name__}")


def _new(topic: Topic) -> NewTopic:
    configs = {"cleanup.policy": "compact"} if topic.compacted else {"retention.ms": str(topic.retention_ms)}
    return NewTopic(topic.name, topic.partitions, replication_factor=REPLICAS, topic_configs=configs)


async def _see(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    wanted = {topic.name: topic.partitions for topic in topics}
    end = time.monotonic() + VISIBLE_DEADLINE_SECONDS
    while True:
        counts = await _counts(admin, list(wanted))
        wrong = {name: (counts[name], count) for name, count in wanted.items() if counts.get(name) not in {count, None}}
        if wrong:
            told = ", ".join(f"{name} has {has} instead of {wants}" for name, (has, wants) in sorted(wrong.items()))
            raise StackError(f"partition counts are fixed at installation, but {told}")
        if wanted == counts:
            return
        _in_time(end, f"topics did not appear: {sorted(wanted.keys() - counts.keys())}")
        await asyncio.sleep(POLL_SECONDS)


async def _counts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    described: list[dict[str, Any]] = await _asked(admin.describe_topics(names))
    # A partition without a leader cannot be written yet, so it does not count as there.
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in described
        if topic["error_code"] == 0 and all(part["leader"] >= 0 for part in topic["partitions"])
    }


async def _asked(question: Any) -> Any:
    return await asyncio.wait_for(question, REQUEST_DEADLINE_SECONDS)


def _in_time(end: float, otherwise: str) -> None:
    if time.monotonic() > end:
        raise StackError(f"{otherwise} within {VISIBLE_DEADLINE_SECONDS:g} s")


if __name__ == "__main__":
    try:
        asyncio.run(ensure(os.environ["KAFKA_BOOTSTRAP"]))
    except (KeyError, StackError) as error:
        sys.exit(f"topics: {error}")
