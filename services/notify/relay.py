"""
The mail relay: one SMTP connection that says how sure it is, and the question whether a mail is there.

Called by the sender. A refusal means the relay has the mail surely not; silence after the
mail went out means nobody knows. Never tries again by itself.
"""

import asyncio
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib
import msgspec

from kernel.errors import Retryable
from services.notify.settings import MailSettings

IDLE_SECONDS_MAX: Final = 5.0
"""A connection unused for longer is closed: relays hang up on idle clients, at a moment of their choice."""
PERMANENT: Final = 500


class Accepted(msgspec.Struct, frozen=True):
    """
    The relay answers for the mail from now on.
    """


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """
    The relay has it not.
    """

    reason: str
    permanent: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    The mail went out and no answer came back.
    """

    reason: str


Outcome = Accepted | Refused | Unknown


class Relay:
    """
    One connection, opened when needed and used for many mails.
    """

    def __init__(self, settings: MailSettings, *, sender: str) -> None:
        self._settings = settings
        self._sender = sender
        self._client: aiosmtplib.SMTP | None = None
        self._used_at = 0.0

    async def ready(self) -> None:
        """
        Have a connection. Raises `Retryable` when there is no relay.
        """
        now = asyncio.get_running_loop().time()
        if self._client is not None and (not self._client.is_connected or now - self._used_at > IDLE_SECONDS_MAX):
            await self.close()
        if self._client is None:
            self._client = await self._connected()
        self._used_at = now

    async def send(self, mail: bytes, *, to: str) -> Outcome:
        """
        Hand over one mail.
        """
        client = self._client
        if client is None:
            return Refused(reason="not connected")
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                await client.mail(self._sender)
                await client.rcpt(to)
        except aiosmtplib.SMTPResponseException as error:
            await self.close()
            return Refused(reason=f"{error.code}", permanent=error.code >= PERMANENT)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            await self.close()
            return Refused(reason=type(error).__name__)
        except ValueError:
            # An address that cannot even be written on the wire.
            await self.close()
            return Refused(reason="address", permanent=True)
        return await self._hand_over(client, mail)

    async def close(self) -> None:
        """
        Hang up.
        """
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes) -> Outcome:
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                await client.data(mail)
        except aiosmtplib.SMTPDataError as error:
            await self.close()
            return Refused(reason=f"{error.code}", permanent=error.code >= PERMANENT)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            await self.close()
            return Unknown(reason=type(error).__name__)
        return Accepted()

    async def _connected(self) -> aiosmtplib.SMTP:
        url = urlsplit(self._settings.smtp_url)
        client = aiosmtplib.SMTP(
            hostname=url.hostname,
            port=url.port,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            use_tls=url.scheme == "smtps",
            timeout=self._settings.call_timeout_seconds,
        )
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                await client.connect()
                await client.ehlo()
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            client.close()
            raise Retryable(f"no mail relay: {type(error).__name__}") from error
        return client


class Lookup:
    """
    The provider's word on whether it has a mail.
    """

    def __init__(self, session: aiohttp.ClientSession, settings: MailSettings) -> None:
        self._session = session
        self._settings = settings

    async def has(self, message_id: str) -> bool | None:
        """
        Whether the mail is there; None where nobody can be asked. Raises `Retryable`.
        """
        if not self._settings.lookup_url:
            return None
        url = f"{self._settings.lookup_url.rstrip('/')}/messages"
        timeout = aiohttp.ClientTimeout(total=self._settings.call_timeout_seconds)
        try:
            async with self._session.get(url, params={"message_id": message_id}, timeout=timeout) as response:
                response.raise_for_status()
                return bool(msgspec.json.decode(await response.read(), type=list[msgspec.Raw]))
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise Retryable(f"the mail provider does not say: {type(error).__name__}") from error
