"""
A batch of asks decided: in one call on a single node, in three steps on a cluster.

Called by `batching`, one pass of a lane at a time. Each ask gets one outcome. Without an
answer it is `Retryable`: not known, and nothing is compensated; the same ask comes back
with the same id, or, on a cluster, the sweep finds the claim.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Protocol, TypeVar

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota.domain.decisions import Ask, Outcome, Refusal, Refused
from services.quota.keys import Keys
from services.quota.stores.steps import (
    CLAIM_GOOD_FOR_MS,
    Claimed,
    SoldOut,
    Spelling,
    claims_of,
    places_of,
)
from services.quota.stores.valkey import ScriptCall, Valkey

T = TypeVar("T")
Decided = tuple[list[Outcome], list[SoldOut]]
log = get_logger(__name__)
_ENDED = Refused(why=Refusal.ENDED)
_TOO_OLD = Refused(why=Refusal.CLAIM_TOO_OLD)
_IN_THE_WAY = frozenset({Refusal.ACCOUNT_ALREADY_RESERVED, Refusal.PERSON_ALREADY_RESERVED, Refusal.NO_SHOW_BLOCK})
_UNCLAIMED = Claimed(0, -CLAIM_GOOD_FOR_MS)
"""Too old to take anything: good for a look at the hold alone."""


class Passes(Protocol):
    """
    Whatever decides many asks at once. What it returns is awaited at once.
    """

    def decide(self, asks: Sequence[Ask]) -> Awaitable[Decided]: ...  # noqa: D102 - said by the class


class Whole:
    """
    On a single node: one call, in which claims and places are one step.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._spelling = Spelling(keys)

    def decide(self, asks: Sequence[Ask]) -> Awaitable[Decided]:
        """
        The outcome of each, in order, and which slots are sold out. The call is on its way before this returns.
        """
        try:
            call = self._spelling.whole(asks)
        except UnicodeEncodeError as error:
            return _apart(self, asks, error)
        return self._decided(asks, self._valkey.begin(call))

    async def _decided(self, asks: Sequence[Ask], reply: Awaitable[Any]) -> Decided:
        try:
            return places_of(await reply, asks)
        except Retryable as unknown:
            return _all(asks, unknown), []


class Stepped:
    """
    On a cluster, where accounts and slots live apart: claim, reserve, and on refusal the claim back.

    Who is refused a claim is looked at by `reserve` as well, which knows whether he asks again for what has ended.

    No step undoes another: a crash in between leaves a claim that the same id enters again and the sweep takes back.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys
        self._spelling = Spelling(keys)

    async def decide(self, asks: Sequence[Ask]) -> Decided:
        """
        The outcome of each, in order, and which slots are sold out.
        """
        try:
            claims = await self.claim(asks)
        except UnicodeEncodeError as error:
            return await _apart(self, asks, error)
        granted = {at: claimed for at, claimed in enumerate(claims) if isinstance(claimed, Claimed)}
        outcomes = {at: outcome for at, outcome in enumerate(claims) if not isinstance(outcome, Claimed)}
        # Claims know the last one that ended; an earlier one is known by its hold alone, which lives with its slot.
        looked_at = granted | {at: _UNCLAIMED for at, outcome in outcomes.items() if _is_in_the_way(outcome)}
        reserved, sold_out = await self.reserve([(asks[at], claimed) for at, claimed in looked_at.items()])
        found = zip(looked_at, reserved, strict=True)
        outcomes |= {at: outcome for at, outcome in found if at in granted or _is_of_a_hold(outcome)}
        refused = [
            (asks[at], claimed, outcomes[at] == _ENDED)
            for at, claimed in granted.items()
            if _gives_claim_back(outcomes[at]) and not claimed.ended
        ]
        await self.unclaim(refused)
        return [outcomes[at] for at in range(len(asks))], sold_out

    async def claim(self, asks: Sequence[Ask]) -> list[Claimed | Outcome]:
        """
        First: the accounts.
        """
        groups = _grouped(range(len(asks)), lambda at: self._keys.account_tag(asks[at].account_id))
        calls = [self._spelling.claims([asks[at] for at in group]) for group in groups]
        found: dict[int, Claimed | Outcome] = {}
        for group, reply in zip(groups, await self._valkey.run_each(calls), strict=True):
            outcomes = _all(group, reply) if isinstance(reply, Exception) else claims_of(reply)
            found |= zip(group, outcomes, strict=True)
        return [found[at] for at in range(len(asks))]

    async def reserve(self, granted: Sequence[tuple[Ask, Claimed]]) -> tuple[list[Outcome], list[SoldOut]]:
        """
        Second: the places.
        """
        groups = _grouped(range(len(granted)), lambda at: self._keys.partition_of(granted[at][0].slot_id))
        calls = [self._spelling.places([granted[at] for at in group]) for group in groups]
        found: dict[int, Outcome] = {}
        full: list[SoldOut] = []
        for group, reply in zip(groups, await self._valkey.run_each(calls), strict=True):
            if isinstance(reply, Exception):
                found |= zip(group, _all(group, reply), strict=True)
            else:
                outcomes, sold_out = places_of(reply, [granted[at][0] for at in group])
                found |= zip(group, outcomes, strict=True)
                full += sold_out
        return [found[at] for at in range(len(granted))], full

    async def unclaim(self, refused: Sequence[tuple[Ask, Claimed, bool]]) -> None:
        """
        Third: the claims of those who were refused. They hear it when their claim is back.
        """
        calls: list[ScriptCall] = [self._spelling.unclaim(ask, claimed, ended=ended) for ask, claimed, ended in refused]
        for (ask, *_), reply in zip(refused, await self._valkey.run_each(calls), strict=True):
            if isinstance(reply, Exception):
                # The refusal stands whatever became of this call; a claim left over is the sweep's.
                log.warning("claim_left_to_the_sweep", reservation_id=ask.reservation_id, error=str(reply))


def _is_in_the_way(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.why in _IN_THE_WAY


def _is_of_a_hold(outcome: Outcome) -> bool:
    # Without an answer the refusal stands: no places are taken either way.
    return not isinstance(outcome, Exception) and outcome != _TOO_OLD


def _gives_claim_back(outcome: Outcome) -> bool:
    # A key that was reused means that there is a hold, and the claim is its own.
    return isinstance(outcome, Refused) and outcome.why is not Refusal.KEY_REUSED


async def _apart(passes: Passes, asks: Sequence[Ask], error: Exception) -> Decided:
    """
    Somebody's ask cannot be spelled: one by one, so that it fails alone. Nothing was sent before.
    """
    if len(asks) == 1:
        return [error], []
    outcomes: list[Outcome] = []
    for ask in asks:
        decided, _ = await passes.decide([ask])
        outcomes += decided
    return outcomes, []


def _grouped(items: Sequence[T], by: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(by(item), []).append(item)
    return list(groups.values())


def _all(asks: Sequence[object], error: Exception) -> list[Outcome]:
    # One for each asker: an exception that is raised in many places collects all their tracebacks.
    if isinstance(error, Retryable):
        return [Retryable(str(error)) for _ in asks]
    return [type(error)(*error.args) for _ in asks]
