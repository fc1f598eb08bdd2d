"""
The board as a stream: whoever listens is told what has changed, as soon as it has.

Called by routes, which do the writing. However many listen to an office, one task looks
at it four times a second, and a frame is encoded once for all who listen to the same
view. A listener holds no frames: it is given the newest when it comes for one. Nobody
listening, nothing runs.
"""

import asyncio
import enum
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota import metrics
from services.quota.stores.free import OFFICE_AGE_MAX_SECONDS
from services.quota.use_cases.availability import Availability, Shown, Wanted

log = get_logger(__name__)
BEAT: Final = b":\n\n"
BEAT_SECONDS: Final = 15.0
AWAY_SECONDS: Final = 1.0
"""Between looks while Valkey is away."""
AGE_SECONDS_MAX: Final = 3600.0
"""Then a stream is ended and begun anew, so that listeners spread over the workers there are by now."""
VIEWS_PER_OFFICE_MAX: Final = 16
"""Different queries that are listened to: each is worked out by itself."""
RETRY_MS: Final = (1000, 5000)

_random = random.SystemRandom()


class End(enum.Enum):
    """
    Why a stream ended.
    """

    GONE = "gone"
    SLOW = "slow"
    AGE = "age"
    DRAIN = "drain"
    FAULT = "fault"


def goodbye() -> bytes:
    """
    The last words to a listener: come again, not all at once.
    """
    return b": come again\n" + _retry()


def _retry() -> bytes:
    return b"retry: %d\n\n" % _random.randint(*RETRY_MS)


class _View:
    """
    One frame, and who listens to it.
    """

    def __init__(self, shown: Shown) -> None:
        self.listeners: set[Listener] = set()
        self._set(shown)

    def show(self, shown: Shown) -> None:
        """
        Wake the listeners if it is another.
        """
        if shown.tag != self.tag:
            self._set(shown)
            for listener in self.listeners:
                listener.wake()

    def _set(self, shown: Shown) -> None:
        metrics.stream_frames.inc()
        self.tag = shown.tag
        self.frame = b"id: %b\nevent: availability\ndata: %b\n\n" % (shown.tag.encode(), shown.body)


class _Office:
    """
    The views of one office that are listened to, and the task that looks at it for them.
    """

    def __init__(self) -> None:
        self.views: dict[Wanted, _View] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> list["Listener"]:
        """
        All of them.
        """
        return [listener for view in self.views.values() for listener in view.listeners]

    @property
    def count(self) -> int:
        """
        How many they are.
        """
        return sum(len(view.listeners) for view in self.views.values())


class Listener:
    """
    One open stream.
    """

    def __init__(
        self, office_id: str, wanted: Wanted, view: _View, *, known: str, gone: Callable[[], bool], beat_seconds: float
    ) -> None:
        self.office_id = office_id
        self.wanted = wanted
        self.end: End | None = None
        """Why it is over, once it is."""
        self._view = view
        self._known = known
        self._gone = gone
        self._beat_seconds = beat_seconds
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + AGE_SECONDS_MAX * _random.uniform(0.5, 1)
        self._news: asyncio.Future[None] | None = None

    def greeting(self) -> bytes:
        """
        When to come again if the stream breaks, and the frame unless the client has it.
        """
        return _retry() if self._known == self._view.tag else _retry() + self._frame()

    async def next(self) -> bytes | None:
        """
        The newest frame once there is a newer one, or a beat when there is none for long; None when it is over.
        """
        while self.end is None:
            if self._known != self._view.tag:
                return self._frame()
            if not await self._hears():
                if self._loop.time() < self._ends_at:
                    return BEAT
                self.end = End.AGE
        return None

    def wake(self) -> None:
        """
        There is something to come for.
        """
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def finish(self, why: End) -> None:
        """
        End it.
        """
        self.end = self.end or why
        self.wake()

    def part_if_gone(self) -> None:
        """
        A client that hangs up is noticed now and not with the next beat, for its place may be wanted.
        """
        if self._gone():
            self.finish(End.GONE)

    def _frame(self) -> bytes:
        self._known = self._view.tag
        return self._view.frame

    async def _hears(self) -> bool:
        self._news = self._loop.create_future()
        try:
            async with asyncio.timeout(self._beat_seconds):
                await self._news
        except TimeoutError:
            return False
        return True


class Streams:
    """
    All streams of a worker.
    """

    def __init__(
        self,
        availability: Availability,
        *,
        listeners_max: int,
        listeners_per_office_max: int,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self._availability = availability
        self._listeners_max = listeners_max
        self._listeners_per_office_max = listeners_per_office_max
        self._beat_seconds = beat_seconds
        self._offices: dict[str, _Office] = {}
        self._listeners = 0
        self._closing = False

    @property
    def watched(self) -> int:
        """
        Offices somebody listens to.
        """
        return len(self._offices)

    def join(
        self, office_id: str, wanted: Wanted, shown: Shown, *, known: str, gone: Callable[[], bool]
    ) -> Listener | None:
        """
        A new listener who has seen `known`, or None where there is no room. `shown` is what there is now.
        """
        office = self._offices.get(office_id) or _Office()
        if self._is_full(office, wanted):
            metrics.streams_ended.labels("refused").inc()
            return None
        view = office.views.get(wanted)
        if view is None:
            view = office.views[wanted] = _View(shown)
        listener = Listener(office_id, wanted, view, known=known, gone=gone, beat_seconds=self._beat_seconds)
        view.listeners.add(listener)
        if office.task is None:
            self._offices[office_id] = office
            office.task = asyncio.ensure_future(self._look(office_id, office))
            office.task.add_done_callback(partial(self._ended, office_id, office))
        self._count(+1)
        return listener

    def _is_full(self, office: _Office, wanted: Wanted) -> bool:
        return (
            self._closing
            or self._listeners >= self._listeners_max
            or office.count >= self._listeners_per_office_max
            or (wanted not in office.views and len(office.views) >= VIEWS_PER_OFFICE_MAX)
        )

    def leave(self, listener: Listener) -> None:
        """
        The listener's stream has ended. The last one to leave an office ends its task.
        """
        metrics.streams_ended.labels((listener.end or End.FAULT).value).inc()
        self._count(-1)
        office = self._offices.get(listener.office_id)
        view = office.views.get(listener.wanted) if office else None
        if office is None or view is None or listener not in view.listeners:
            return
        view.listeners.remove(listener)
        if not view.listeners:
            del office.views[listener.wanted]
        if not office.views:
            self._close(listener.office_id, End.GONE)

    async def close(self, *_: object) -> None:
        """
        The worker is leaving: end every stream and let no new one begin.
        """
        self._closing = True
        for office_id in list(self._offices):
            self._close(office_id, End.DRAIN)

    def _close(self, office_id: str, why: End) -> None:
        office = self._offices.pop(office_id)
        for listener in office.listeners:
            listener.finish(why)
        if office.task is not None:
            office.task.cancel()

    def _count(self, change: int) -> None:
        self._listeners += change
        metrics.stream_listeners.set(self._listeners)

    async def _look(self, office_id: str, office: _Office) -> None:
        while True:
            await asyncio.sleep(OFFICE_AGE_MAX_SECONDS)
            try:
                for wanted, view in list(office.views.items()):
                    shown = await self._availability.of(office_id, wanted)
                    if shown is not None:
                        view.show(shown)
            except Retryable:
                # Said in the log by whoever read; a listener hears beats until there is something to tell.
                await asyncio.sleep(AWAY_SECONDS)
            for listener in office.listeners:
                listener.part_if_gone()

    def _ended(self, office_id: str, office: _Office, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        log.error("stream_task_died", office_id=office_id, exc_info=task.exception())
        if self._offices.get(office_id) is office:
            self._close(office_id, End.FAULT)
