"""
When a place that came back is offered again, so that nobody can give one up and grab it for somebody else.

Called by use cases with the chance drawn beforehand. Pure. Where the office publishes
times everybody can be there; where it does not, nobody can know when.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec


class Returns(msgspec.Struct, frozen=True, kw_only=True):
    """
    The part of a slot's plan that says when its places come back.
    """

    timezone: str
    return_times: tuple[str, ...] = ()


class Offer(NamedTuple):
    """
    No earlier than so long after it came back, and no earlier than a moment.
    """

    after_ms: int = 0
    from_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """
    The range a delay is drawn from, every part of it as likely as any other.
    """

    seconds_min: float = 60.0
    seconds_max: float = 1800.0

    def drawn(self, chance: float) -> Offer:
        """
        `chance` is 0..1, from a source nobody can foresee.
        """
        return Offer(after_ms=round(1000 * (self.seconds_min + chance * (self.seconds_max - self.seconds_min))))


def offer_of(returns: Returns | None, delay: Delay, *, chance: float, now_ms: int) -> Offer:
    """
    At the office's published times where there are any, else after a delay.
    """
    if returns is None or not returns.return_times:
        return delay.drawn(chance)
    return published(returns.return_times, returns.timezone, now_ms)


def published(return_times: Sequence[str], timezone: str, now_ms: int) -> Offer:
    """
    The next of the office's local clock times, HH:MM.
    """
    zone = ZoneInfo(timezone)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
    moments = (
        datetime.combine(today + timedelta(days=days), time.fromisoformat(clock), zone).timestamp() * 1000
        for days in (0, 1, 2)
        for clock in return_times
    )
    return Offer(from_ms=min(int(moment) for moment in moments if moment > now_ms))
