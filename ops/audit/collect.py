"""
Collects the evidence: rooms' own exports, the topics from their first message, the mail sink's list.

Called by `ops.audit.run`. Reads only; each store is asked in its own words, and
what it says is not corrected.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.envelope import Malformed, unseal
from contracts.events import AccountRegistered, Event, QuotaEvent
from contracts.topics import IDENTITY_EVENTS, QUOTA_EVENTS, Topic
from kernel.log import get_logger
from ops import rooms
from ops.audit.evidence import BookingRow, Evidence, Hold, Mail, PaymentRow, Registration, SlotCount
from ops.errors import StackError
from ops.release.tally import Acknowledged

T = TypeVar("T")
log = get_logger(__name__)
READ_TIMEOUT_SECONDS = 60.0
MAILS_PER_PAGE = 1000


async def collect(env: Mapping[str, str], acknowledged: Sequence[Acknowledged] = ()) -> Evidence:
    """
    Ask every store. Raises `StackError` when one does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="antrean-audit-") as folder:
        valkey, booking, payment, quota_events, identity_events, mails = await asyncio.gather(
            _export("quota", "snapshot", Path(folder), env),
            _export("booking", "export", Path(folder), env),
            _export("payment", "export", Path(folder), env),
            _told(QUOTA_EVENTS, env),
            _told(IDENTITY_EVENTS, env),
            _mails(env),
        )
    return Evidence(
        slots={slot.slot_id: slot for slot in _those(valkey, "free", SlotCount)},
        holds={hold.reservation_id: hold for hold in _those(valkey, "reservation_id", Hold)},
        bookings={row.booking_id: row for row in _those(booking, "booking_id", BookingRow)},
        payments=tuple(_those(payment, "ntpn", PaymentRow)),
        quota_events={
            partition: tuple(event for event in events if isinstance(event, QuotaEvent))
            for partition, events in quota_events.items()
        },
        mails=mails,
        registrations=tuple(
            Registration(account_id=event.account_id, email=event.email)
            for events in identity_events.values()
            for event in {told.account_id: told for told in events if isinstance(told, AccountRegistered)}.values()
        ),
        acknowledged=tuple(acknowledged),
    )


async def _export(room: str, verb: str, folder: Path, env: Mapping[str, str]) -> list[dict[str, Any]]:
    file = folder / f"{room}.jsonl"
    await rooms.command(room, verb, "--out", str(file), env=env)
    lines = (await asyncio.to_thread(file.read_bytes)).splitlines()
    return [msgspec.json.decode(line) for line in lines]


def _those(lines: list[dict[str, Any]], mark: str, kind: type[T]) -> Iterator[T]:
    """
    The lines that have the field `mark`, as `kind`.
    """
    for line in lines:
        if line.get(mark) is not None:
            yield msgspec.convert(line, kind)


async def _told(topic: Topic, env: Mapping[str, str]) -> dict[int, list[Event]]:
    """
    Everything the broker still keeps of a topic, by partition.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=env["KAFKA_BOOTSTRAP"], enable_auto_commit=False)
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            await consumer.start()
            return await _read_all(consumer, [TopicPartition(topic.name, n) for n in range(topic.partitions)])
    except (KafkaError, TimeoutError, OSError) as error:
        raise StackError(f"{topic.name} cannot be read: {error!r}") from error
    finally:
        await consumer.stop()


async def _read_all(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[int, list[Event]]:
    consumer.assign(partitions)
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, begins[partition])
    told: dict[int, list[Event]] = {partition.partition: [] for partition in partitions}
    waiting = {partition for partition in partitions if begins[partition] < ends[partition]}
    while waiting:
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            told[partition.partition] += [
                event for record in records for event in _opened(record.headers, record.value)
            ]
        waiting = {partition for partition in waiting if await consumer.position(partition) < ends[partition]}
    return told


def _opened(headers: Sequence[tuple[str, bytes]], body: bytes | None) -> Iterator[Event]:
    try:
        yield unseal(headers, body).event
    except Malformed as error:
        log.warning("no_event_of_ours", error=str(error))


async def _mails(env: Mapping[str, str]) -> tuple[Mail, ...]:
    base = env.get("MAIL_LOOKUP_URL")
    if not base:
        raise StackError("MAIL_LOOKUP_URL is not set: the audit has no mailbox to look into")
    mails: list[Mail] = []
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=READ_TIMEOUT_SECONDS)) as session:
            while page := await _page(session, f"{base}/messages", before=mails[-1].n if mails else None):
                mails += page
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        raise StackError(f"the mail sink does not answer: {error!r}") from error
    return tuple(mails)


async def _page(session: aiohttp.ClientSession, url: str, *, before: int | None) -> tuple[Mail, ...]:
    """
    Up to a page of mails older than number `before`, newest first.
    """
    params = {"limit": str(MAILS_PER_PAGE)} | ({} if before is None else {"before": str(before)})
    async with session.get(url, params=params) as response:
        response.raise_for_status()
        return msgspec.json.decode(await response.read(), type=tuple[Mail, ...])
