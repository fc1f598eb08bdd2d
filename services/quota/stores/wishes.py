"""
Wishes of booking decided in Valkey: the account, then the places, then whose the account is.

Called by the wishing use case. The same three steps on a single node and on a cluster,
because a wish may name slots of any office. No step undoes another: a crash in between
leaves a claim that the same wish, told again, enters again and sees through. Without an
answer a wish is `Retryable`: not known.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from contracts.events import PlacesWanted
from kernel.errors import Permanent, Retryable
from services.quota.domain.wishes import HEEDS_BLOCKS, Answer, Became, Run, runs_of, wanted_seats
from services.quota.keys import Keys
from services.quota.stores.scripts import SCRIPTS, WantClaimCode, WantCode
from services.quota.stores.steps import NOT_HERE, Spelling
from services.quota.stores.valkey import PIPELINE_MAX, ScriptCall, Valkey, text_of

_pack: Final = msgspec.msgpack.Encoder().encode
_CLAIMED: Final = (WantClaimCode.CLAIMED, WantClaimCode.ENTERED_AGAIN)
_BECAME: Final = {
    WantCode.HELD: Became.HELD,
    WantCode.ALREADY_HELD: Became.HELD_BEFORE,
    WantCode.REFUSED: Became.REFUSED,
    WantCode.ALREADY_REFUSED: Became.REFUSED_BEFORE,
    WantCode.ENDED: Became.ENDED,
}
Settled = Answer | Exception
"""An exception is this wish's alone."""


class Wishes:
    """
    The three steps.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys
        self._spelling = Spelling(keys)

    async def decide(self, wanted: Sequence[PlacesWanted]) -> list[Settled]:
        """
        What comes of each, in order.
        """
        claims = await self.claim(wanted)
        asked = [(one, claim) for one, claim in zip(wanted, claims, strict=True) if isinstance(claim, str)]
        answers = iter(await self.take(asked))
        settled = [claim if isinstance(claim, Exception) else next(answers) for claim in claims]
        await self.settle(
            [
                (one, answer)
                for one, claim, answer in zip(wanted, claims, settled, strict=True)
                if isinstance(answer, Answer) and not claim
            ]
        )
        return settled

    async def claim(self, wanted: Sequence[PlacesWanted]) -> list[str | Exception]:
        """
        First: the accounts. Empty for a claim that stands, else why there can be none.
        """
        calls = [
            ScriptCall(
                SCRIPTS["want_claim"],
                [self._keys.claims(one.account_id)],
                [
                    one.booking_id,
                    one.replaces or "",
                    one.slot_ids[0],
                    _pack(one.person_ids),
                    one.good_until_ms,
                    int(one.why in HEEDS_BLOCKS),
                ],
            )
            for one in wanted
        ]
        return [_refusal(reply) for reply in await self._run(calls)]

    async def take(self, asked: Sequence[tuple[PlacesWanted, str]]) -> list[Settled]:
        """
        Second: the places, one partition after the other. Who has no claim is refused in each, and told so by the last.
        """
        settled: dict[int, Settled] = {}
        runs = [runs_of(one, self._keys.partition_of) for one, _ in asked]
        for number in range(max(map(len, runs), default=0)):
            left = [at for at in range(len(asked)) if at not in settled]
            replies = await self._run([self._want(*asked[at], runs[at][number]) for at in left])
            for at, reply in zip(left, replies, strict=True):
                outcome = _outcome(reply)
                if outcome is not None:
                    settled[at] = outcome
        return [settled[at] for at in range(len(asked))]

    def _want(self, wanted: PlacesWanted, refusal: str, run: Run) -> ScriptCall:
        args: list[Any] = [
            self._spelling.wanted(wanted, run.slot_ids),
            _pack(wanted_seats(wanted, run)),
            wanted.pay_by_ms,
            wanted.good_until_ms,
            run.number,
            refusal,
            wanted.account_id,
            int(run.is_last),
        ]
        keys = [self._keys.position(run.partition), self._keys.refused(run.partition)]
        return ScriptCall(SCRIPTS["want"], keys, args)

    async def settle(self, answered: Sequence[tuple[PlacesWanted, Answer]]) -> None:
        """
        Third: the account is the new places', or whose it was. Raises `Retryable` when that is not known.
        """
        calls = [
            ScriptCall(
                SCRIPTS["want_settle"],
                [self._keys.claims(one.account_id)],
                [one.booking_id, answer.slot_id, int(answer.became is Became.ENDED)],
            )
            for one, answer in answered
        ]
        await self._valkey.run_many(calls)

    async def _run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        replies: list[Any] = []
        for start in range(0, len(calls), PIPELINE_MAX):
            replies += await self._valkey.run_each(calls[start : start + PIPELINE_MAX])
        return replies


def _refusal(reply: Any) -> str | Exception:
    if isinstance(reply, Exception):
        return _surprise(reply)
    code = WantClaimCode(reply[0])
    return "" if code in _CLAIMED else code.name.lower()


def _outcome(reply: Any) -> Settled | None:
    """
    None where the next partition is to be asked.
    """
    if isinstance(reply, Exception):
        return _surprise(reply)
    code, slot_id, word = WantCode(reply[0]), text_of(reply[1]), text_of(reply[2])
    if code is WantCode.PASSED_OVER:
        return None
    if code is WantCode.STOPPED:
        return Retryable("its partition waits for its rebuild")
    if code is WantCode.BROKEN:
        return Retryable(word) if NOT_HERE in word else Permanent(word)
    had = code in (WantCode.HELD, WantCode.ALREADY_HELD)
    return Answer(became=_BECAME[code], slot_id=slot_id if had else "", why=word)


def _surprise(error: Exception) -> Exception:
    if isinstance(error, RedisError):
        return Retryable(str(error)) if NOT_HERE in str(error) else Permanent(str(error))
    return error
