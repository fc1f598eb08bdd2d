"""
A mail server that delivers nowhere and shows everything.

Run by the stack as a process of its own (`python -m ops.mailsink`). Each mail is on
disk as a numbered .eml before it is acknowledged, so it survives a restart; nothing
is ever merged or dropped: a mail sent twice is there twice. Pages and JSON for people
and tests on a second port. Never for production, where SMTP_URL names a relay.
"""

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from ops import mailpages
from ops.mailstore import MailStore

HOST: Final = "127.0.0.1"
MAIL_BYTES_MAX: Final = 10_000_000
DRAIN_SECONDS: Final = 1.0


class Inbox:
    """
    What aiosmtpd calls for each mail.
    """

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002  # aiosmtpd's name and signature
        """
        Answer 250 only when the mail is on disk.
        """
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        number = await self._store.keep(raw, recipients=envelope.rcpt_tos)
        return f"250 kept as {number}"


async def serve(*, folder: Path, smtp_port: int, http_port: int) -> None:
    """
    Take mails and show them until SIGTERM.
    """
    store = await asyncio.to_thread(MailStore.open, folder)
    loop = asyncio.get_running_loop()

    def protocol() -> Any:
        return SMTP(Inbox(store), data_size_limit=MAIL_BYTES_MAX, enable_SMTPUTF8=True, hostname="localhost")

    runner = web.AppRunner(mailpages.application(store), access_log=None)
    await runner.setup()
    smtp = await loop.create_server(protocol, HOST, smtp_port)
    await web.TCPSite(runner, HOST, http_port, shutdown_timeout=DRAIN_SECONDS).start()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    smtp.close()
    await runner.cleanup()


def main() -> None:
    """
    Read the command line and serve.
    """
    parser = argparse.ArgumentParser(description="A mail server that keeps every mail in a folder.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(serve(folder=asked.folder, smtp_port=asked.smtp_port, http_port=asked.http_port))


if __name__ == "__main__":
    main()
