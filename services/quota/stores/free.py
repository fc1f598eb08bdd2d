"""
How many places are free, as readers may know it: a moment old, however many ask.

Called by use cases of availability and of alternatives. One call brings a whole office,
at most four times a second; one pipeline brings the country, at most once a second.
Whoever comes while it is under way waits for the same answer. Never used to decide.
"""

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from kernel.log import get_logger
from services.quota import metrics
from services.quota.domain.records import slot_books
from services.quota.keys import Keys
from services.quota.stores.valkey import Command, Valkey, ms_of, scored

T = TypeVar("T")
log = get_logger(__name__)
OFFICE_AGE_MAX_SECONDS = 0.25
COUNTRY_AGE_MAX_SECONDS = 1.0
COUNTRY_RENEW_AFTER_SECONDS = 0.8
OFFICES_MAX = 2000
KEYS_KNOWN_MAX = 50_000


@dataclasses.dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    read_at: float


class Moments(Generic[T]):
    """
    Values that are never older than `age_max_seconds`, read once however many ask.

    Whoever asks after `renew_after_seconds` has the next one read, and does not wait for it.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[T]],
        *,
        age_max_seconds: float,
        keys_max: int,
        renew_after_seconds: float | None = None,
    ) -> None:
        self._read = read
        self._age_max_seconds = age_max_seconds
        self._renew_after_seconds = renew_after_seconds or age_max_seconds
        self._keys_max = keys_max
        self._kept: dict[Hashable, _Kept[T]] = {}
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: str) -> T:
        """
        The value, young enough.
        """
        value = self.at_once(key)
        if value is not None:
            return value
        # One asker's going away must not take the answer from the others.
        return await asyncio.shield(self._renewal(key))

    def at_once(self, key: str) -> T | None:
        """
        The value if it is there and young enough, without waiting; where it is to be renewed somebody begins to.
        """
        kept = self._kept.get(key)
        age_seconds = asyncio.get_running_loop().time() - kept.read_at if kept else self._age_max_seconds
        if age_seconds >= self._renew_after_seconds:
            self._renewal(key)
        return kept.value if kept is not None and age_seconds < self._age_max_seconds else None

    def _renewal(self, key: str) -> asyncio.Task[T]:
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(self._renew(key))
            task.add_done_callback(functools.partial(self._ended, key))
        return task

    def _ended(self, key: str, task: asyncio.Task[T]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.warning("free_places_not_read", key=key, error=repr(task.exception()))

    async def _renew(self, key: str) -> T:
        read_at = asyncio.get_running_loop().time()
        value = await self._read(key)
        if len(self._kept) >= self._keys_max:
            self._kept.clear()
        self._kept[key] = _Kept(value, read_at)
        return value


class Places(NamedTuple):
    """
    What may be taken now, and what came back and is not offered yet, by slot id.

    The books count both as free. When which comes is told to nobody.
    """

    free: dict[str, int]
    returning: dict[str, int]


class FreePlaces:
    """
    Places as readers may know them.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys
        # Asked for a thousand times a second, of the same slots.
        self._books_key = functools.lru_cache(KEYS_KNOWN_MAX)(keys.books)

    async def of_office(self, office_id: str, slot_ids: Collection[str]) -> Places:
        """
        What these slots of an office have now.
        """
        return await self._of({office_id: slot_ids})

    async def of_offices(self, slot_ids: Mapping[str, Collection[str]]) -> dict[str, int]:
        """
        What slots of many offices have free now.
        """
        return (await self._of(slot_ids)).free

    async def _of(self, slot_ids: Mapping[str, Collection[str]]) -> Places:
        slot_ids = {office_id: own for office_id, own in slot_ids.items() if own}
        asked: list[Command] = [("TIME",)]
        for office_id, own in slot_ids.items():
            asked.append(("MGET", *map(self._books_key, own)))
            asked.append(("ZRANGE", self._keys.returning(office_id), 0, -1, "WITHSCORES"))
        metrics.free_reads.inc(len(slot_ids))
        replies = await self._valkey.many(asked)
        now_ms = ms_of(replies[0])
        free = {
            slot_id: slot_books(books).free
            for own, reply in zip(slot_ids.values(), replies[1::2], strict=True)
            for slot_id, books in zip(own, reply, strict=True)
            if books is not None
        }
        waiting = [slot_id for reply in replies[2::2] for slot_id, until_ms in scored(reply) if until_ms > now_ms]
        returning = await self._returning(waiting, now_ms) if waiting else {}
        return Places({slot_id: max(0, left - returning.get(slot_id, 0)) for slot_id, left in free.items()}, returning)

    async def _returning(self, slot_ids: Sequence[str], now_ms: int) -> dict[str, int]:
        counts = await self._valkey.many(
            [("ZCOUNT", self._keys.returned(slot_id), f"({now_ms}", "+inf") for slot_id in slot_ids]
        )
        return dict(zip(slot_ids, counts, strict=True))
