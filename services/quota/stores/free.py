"""
How many places are free, as readers may know it: a moment old, however many ask.

Called by use cases of availability and of alternatives. One call brings a whole office,
at most four times a second; one pipeline brings the country, at most once a second.
Whoever comes while it is under way waits for the same answer. Never used to decide.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

from kernel.log import get_logger
from services.quota.keys import Keys
from services.quota.stores.valkey import Valkey, pairs_of

T = TypeVar("T")
log = get_logger(__name__)
OFFICE_AGE_MAX_SECONDS = 0.25
COUNTRY_AGE_MAX_SECONDS = 1.0
COUNTRY_RENEW_AFTER_SECONDS = 0.8
OFFICES_MAX = 2000


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
        kept = self._kept.get(key)
        age_seconds = asyncio.get_running_loop().time() - kept.read_at if kept else self._age_max_seconds
        if kept is not None and age_seconds < self._renew_after_seconds:
            return kept.value
        task = self._renewal(key)
        if kept is not None and age_seconds < self._age_max_seconds:
            return kept.value
        # One asker's going away must not take the answer from the others.
        return await asyncio.shield(task)

    def _renewal(self, key: str) -> asyncio.Task[T]:
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(self._renew(key))
            task.add_done_callback(partial(self._ended, key))
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


class FreePlaces:
    """
    Free places by slot id.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def of_office(self, office_id: str) -> dict[str, int]:
        """
        An office's, now.
        """
        return _numbers(await self._valkey.call("HGETALL", self._keys.office(office_id)))

    async def of_offices(self, office_ids: Iterable[str]) -> dict[str, int]:
        """
        Those of many offices, now.
        """
        replies = await self._valkey.many([("HGETALL", self._keys.office(office_id)) for office_id in office_ids])
        return {slot_id: free for reply in replies for slot_id, free in _numbers(reply).items()}


def _numbers(reply: Any) -> dict[str, int]:
    return {slot_id: int(free) for slot_id, free in pairs_of(reply).items()}
