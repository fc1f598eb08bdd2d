"""
Sends what is queued, each mail once as far as anybody can know.

Spawned by the worker's wiring. A mail is claimed, and the claim committed, before a byte goes to
the relay. What a dead or unsure sender leaves behind is in doubt once its lease has ended: the
provider is asked by Message-ID, and the mail goes out again only when it is surely absent, or
when nobody can be asked. Several lanes run side by side, each with a connection of its own;
any number of workers may run them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from kernel.clock import NowMs
from kernel.errors import Retryable
from kernel.log import get_logger
from kernel.postgres import Database
from services.notify import metrics, stores
from services.notify.composer import Composer
from services.notify.domain import retry_seconds
from services.notify.relay import Accepted, Lookup, Outcome, Refused, Relay
from services.notify.settings import MailSettings
from services.notify.stores import Claim

log = get_logger(__name__)
CLAIM_ROWS_MAX = 8
"""Few enough for one lane to send within a lease, many enough to share the cost of a claim."""
POLL_SECONDS = 0.2
TROUBLE_SECONDS = 1.0
COUNT_SECONDS = 5.0


class Sender:
    """
    The lanes of one worker.
    """

    def __init__(
        self,
        database: Database,
        *,
        composer: Composer,
        relay: Callable[[], Relay],
        lookup: Lookup,
        settings: MailSettings,
        now_ms: NowMs,
    ) -> None:
        self._database = database
        self._composer = composer
        self._relay = relay
        self._lookup = lookup
        self._settings = settings
        self._now_ms = now_ms
        # One thread: writing a mail is mostly Python, and printing a ticket cannot be entered twice.
        self._desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="composer")

    async def run(self) -> None:
        """
        Send until cancelled.
        """
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(self._settings.connections_max):
                    lanes.create_task(self._lane())
        finally:
            self._desk.shutdown(wait=False, cancel_futures=True)

    async def _lane(self) -> None:
        relay = self._relay()
        try:
            while True:
                try:
                    if not await self.turn(relay):
                        await asyncio.sleep(POLL_SECONDS)
                except Retryable as error:
                    log.warning("sender_waits", error=str(error))
                    await asyncio.sleep(TROUBLE_SECONDS)
        finally:
            await relay.close()

    async def turn(self, relay: Relay) -> int:
        """
        Claim a few mails and send them. Returns how many were claimed. Raises `Retryable`.
        """
        async with self._database.connection() as connection:
            if not await stores.any_due(connection):
                return 0
        # No mail is claimed while there is no relay to give it to.
        await relay.ready()
        claimed_at = asyncio.get_running_loop().time()
        async with self._database.connection() as connection:
            claims = await stores.claim(connection, rows_max=CLAIM_ROWS_MAX, lease_seconds=self._settings.lease_seconds)
        stop_at = claimed_at + self._settings.lease_seconds - 2 * self._settings.call_timeout_seconds
        for claim in claims:
            if asyncio.get_running_loop().time() > stop_at:
                break  # the rest is left to whoever comes after the lease
            await self._deliver(relay, claim)
        return len(claims)

    async def _deliver(self, relay: Relay, claim: Claim) -> None:
        if claim.in_doubt and not await self._may_go_again(claim):
            return
        if claim.tries >= self._settings.attempts_max:
            await self._failed(claim, "tried too often")
            return
        mail = await self._composed(claim)
        if mail is not None:
            await self._conclude(claim, await self._send(relay, mail, claim.email))

    async def _may_go_again(self, claim: Claim) -> bool:
        try:
            there = await self._lookup.has(claim.letter.message_id)
        except Retryable as error:
            # This mail stays in doubt for another lease; the others of the turn go on.
            log.warning("mail_stays_in_doubt", message_id=claim.letter.message_id, error=str(error))
            return False
        if there:
            await self._sent(claim, "found")
            return False
        if there is None:
            # Nobody can say. A second mail with the same Message-ID is better than none.
            self._count(claim, "resent")
        return True

    async def _composed(self, claim: Claim) -> bytes | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._desk, self._compose, claim)
        except Exception:
            # One letter that cannot be written must not stop the others; it waits, and is given up in the end.
            log.exception("mail_not_written", message_id=claim.letter.message_id)
            await self._refused(claim, Refused(reason="not written"))
            return None

    def _compose(self, claim: Claim) -> bytes:
        return self._composer.compose(claim.letter, email=claim.email, locale=claim.locale, now_ms=self._now_ms())

    async def _send(self, relay: Relay, mail: bytes, email: str) -> Outcome:
        try:
            await relay.ready()
        except Retryable as error:
            return Refused(reason=str(error))
        return await relay.send(mail, to=email)

    async def _conclude(self, claim: Claim, outcome: Outcome) -> None:
        if isinstance(outcome, Accepted):
            await self._sent(claim, "sent")
        elif isinstance(outcome, Refused):
            await self._refused(claim, outcome)
        else:
            async with self._database.connection() as connection:
                await stores.mark_unknown(connection, claim, reason=outcome.reason)
            self._count(claim, "unknown")
            log.warning("mail_in_doubt", message_id=claim.letter.message_id, reason=outcome.reason)

    async def _sent(self, claim: Claim, outcome: str) -> None:
        async with self._database.connection() as connection:
            await stores.mark_sent(connection, claim)
        self._count(claim, outcome)

    async def _refused(self, claim: Claim, refused: Refused) -> None:
        tries = claim.tries + 1
        if refused.permanent or tries >= self._settings.attempts_max:
            await self._failed(claim, refused.reason)
            return
        wait_seconds = retry_seconds(tries)
        async with self._database.connection() as connection:
            await stores.mark_refused(connection, claim, wait_seconds=wait_seconds, reason=refused.reason)
        self._count(claim, "refused")

    async def _failed(self, claim: Claim, reason: str) -> None:
        async with self._database.connection() as connection:
            await stores.mark_failed(connection, claim, reason=reason)
        self._count(claim, "failed")
        log.error("mail_given_up", message_id=claim.letter.message_id, reason=reason)

    def _count(self, claim: Claim, outcome: str) -> None:
        metrics.mails.labels(claim.letter.template.value, outcome).inc()


async def keep_counting(database: Database) -> None:
    """
    Show how many mails wait, for ever.
    """
    while True:
        try:
            async with database.connection() as connection:
                metrics.unsent_messages.set(await stores.count_unsent(connection))
        except Retryable as error:
            log.warning("unsent_not_counted", error=str(error))
        await asyncio.sleep(COUNT_SECONDS)
