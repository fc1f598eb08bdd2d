"""
The mail sink's folder: numbered .eml files and an index of their headers in memory.

Used by `ops.mailsink` and its pages. A mail counts from the moment its file is
whole and fsynced; a file cut off by a crash is never seen.
"""

import asyncio
import dataclasses
import email
import email.parser
import email.policy
import os
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Final

LIMIT_MAX: Final = 100_000
HEADER_TEMPLATE: Final = "X-Antrean-Template"
HEADER_BOOKING: Final = "X-Antrean-Booking"
HEADER_RECIPIENTS: Final = "X-Sink-Recipients"
"""Who the envelope named, which a Bcc does not show."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """
    One mail as the index knows it.
    """

    n: int
    message_id: str
    to: tuple[str, ...]
    subject: str
    date: str
    template: str
    booking_id: str
    path: str


class MailStore:
    """
    All mails of one folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mails: dict[int, Mail] = {}
        self._last = 0

    @classmethod
    def open(cls, folder: Path) -> "MailStore":
        """
        Read the headers of every mail in `folder`.
        """
        store = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.eml")):
            store._add(_read_headers(path))
        return store

    async def keep(self, raw: bytes, *, recipients: Sequence[str]) -> int:
        """
        Write a mail down and answer with its number.
        """
        self._last += 1
        number = self._last
        path = self._folder / f"{number:08d}.eml"
        head = f"{HEADER_RECIPIENTS}: {', '.join(recipients)}\r\n".encode()
        self._add(await asyncio.to_thread(_write, path, head + raw))
        return number

    def find(self, *, to: str = "", message_id: str = "", before: int | None = None, limit: int = 100) -> list[Mail]:
        """
        Mails, newest first, that match everything asked.
        """
        found: list[Mail] = []
        for mail in self._newest_first(before):
            if len(found) >= min(limit, LIMIT_MAX):
                break
            if (not to or to.lower() in mail.to) and (not message_id or message_id == mail.message_id):
                found.append(mail)
        return found

    def count(self) -> int:
        """
        How many mails there are.
        """
        return len(self._mails)

    def raw(self, number: int) -> bytes | None:
        """
        A mail as it came, None when there is none of that number.
        """
        mail = self._mails.get(number)
        return None if mail is None else Path(mail.path).read_bytes()

    def _newest_first(self, before: int | None) -> Iterator[Mail]:
        for number in range(self._last, 0, -1):
            if number in self._mails and (before is None or number < before):
                yield self._mails[number]

    def _add(self, mail: Mail) -> None:
        self._mails[mail.n] = mail
        self._last = max(self._last, mail.n)


def parse(raw: bytes) -> EmailMessage:
    """
    A mail with its parts and decoded headers.
    """
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101  # what this policy makes
    return message


def _read_headers(path: Path) -> Mail:
    with path.open("rb") as file:
        message = email.parser.BytesHeaderParser(policy=email.policy.default).parse(file)
    return Mail(
        n=int(path.stem),
        message_id=str(message.get("Message-ID", "")).strip(),
        to=tuple(name.strip().lower() for name in str(message.get(HEADER_RECIPIENTS, "")).split(",") if name.strip()),
        subject=str(message.get("Subject", "")),
        date=str(message.get("Date", "")),
        template=str(message.get(HEADER_TEMPLATE, "")),
        booking_id=str(message.get(HEADER_BOOKING, "")),
        path=str(path),
    )


def _write(path: Path, content: bytes) -> Mail:
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return _read_headers(path)
