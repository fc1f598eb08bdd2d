"""
The decide step one ask at a time: claim the family, take the places, and on refusal take the claim back.

Stands for `stores.batching` where there is no crowd, and says in tests what a batch has
to answer. A call without an answer raises `Retryable` and nothing is compensated: the
same ask comes back with the same id, or the sweep finds the claim.
"""

from kernel.errors import Retryable
from kernel.log import get_logger
from services.quota.domain.decisions import Ask, Decision, Refusal, Refused
from services.quota.keys import Keys
from services.quota.stores.steps import Claimed, claim_call, claimed_of, decision_of, reserve_call, unclaim_call
from services.quota.stores.valkey import Valkey

log = get_logger(__name__)


class Decider:
    """
    Decides one ask at a time, in three short calls at most.
    """

    def __init__(self, valkey: Valkey, keys: Keys) -> None:
        self._valkey = valkey
        self._keys = keys

    async def decide(self, ask: Ask) -> Decision:
        """
        Places, or why not. Asking again with the same id changes nothing.
        """
        claimed = await self._claim(ask)
        if isinstance(claimed, Refused):
            return claimed
        decision = await self._reserve(ask, claimed)
        if isinstance(decision, Refused):
            await self._unclaim(ask, claimed, ended=decision.why is Refusal.ENDED)
        return decision

    async def _claim(self, ask: Ask) -> Claimed | Refused:
        return claimed_of(await self._valkey.run(claim_call(self._keys, ask)))

    async def _reserve(self, ask: Ask, claimed: Claimed) -> Decision:
        return decision_of(await self._valkey.run(reserve_call(self._keys, ask, claimed)))

    async def _unclaim(self, ask: Ask, claimed: Claimed, *, ended: bool) -> None:
        try:
            await self._valkey.run(unclaim_call(self._keys, ask, claimed, ended=ended))
        except Retryable as error:
            # The refusal stands whatever became of this call; a claim left over is the sweep's.
            log.warning("claim_left_to_the_sweep", reservation_id=ask.reservation_id, error=str(error))
