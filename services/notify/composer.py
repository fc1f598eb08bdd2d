"""
Writes mails: subject, text, HTML and, for a confirmation, the ticket, the calendar entry and the QR code.

Called by the sender, in a thread. Sentences stand in `templates/<locale>/<template>.txt` (its
first line is the subject) and `.html`. The same letter gives a mail with the same Message-ID.
Never decides whether or to whom a mail goes.
"""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notify import documents, mime, wording
from services.notify.documents import Documents
from services.notify.domain import LOCALE_DEFAULT, LOCALES, Letter, Template
from services.notify.mime import Part

TEMPLATES: Final = Path(__file__).parent / "templates"
QR_CONTENT_ID: Final = "qr@antrean"
ZONE_WITHOUT_OFFICE: Final = "Asia/Jakarta"
# Header lines of ours stay whole: a Message-ID that is folded is not found by those who look for it.
_POLICY: Final = SMTP.clone(max_line_length=500)


class Composer:
    """
    Turns letters into mails.
    """

    def __init__(self, prints: Documents, *, mail_from: str, public_url: str) -> None:
        self._prints = prints
        self._mail_from = mail_from
        self._public_url = public_url.rstrip("/")
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def compose(self, letter: Letter, *, email: str, locale: str, now_ms: int) -> bytes:
        """
        The whole mail as it goes over the wire.
        """
        locale = locale if locale in LOCALES else LOCALE_DEFAULT
        words = self._words(letter, locale)
        subject, text = self._text(letter, locale, words)
        headers = self._headers(letter, email=email, subject=subject, locale=locale, now_ms=now_ms)
        page = self._templates.get_template(f"{locale}/{letter.template.value}.html").render(words)
        pictures, files = self._attachments(letter, locale)
        return mime.whole(
            headers,
            plain=mime.text(text, subtype="plain"),
            page=mime.text(page, subtype="html"),
            pictures=pictures,
            files=files,
        )

    def _headers(self, letter: Letter, *, email: str, subject: str, locale: str, now_ms: int) -> EmailMessage:
        headers = EmailMessage(policy=_POLICY)
        headers["From"] = self._mail_from
        headers["To"] = email
        headers["Subject"] = subject
        headers["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
        headers["Message-ID"] = letter.message_id
        headers["X-Antrean-Template"] = letter.template.value
        if letter.booking_id:
            headers["X-Antrean-Booking"] = letter.booking_id
        headers["Auto-Submitted"] = "auto-generated"
        headers["Content-Language"] = locale
        return headers

    def _text(self, letter: Letter, locale: str, words: dict[str, Any]) -> tuple[str, str]:
        written = self._templates.get_template(f"{locale}/{letter.template.value}.txt").render(words)
        first, _, text = written.partition("\n")
        return first.removeprefix("Subject: "), text.lstrip("\n")

    def _attachments(self, letter: Letter, locale: str) -> tuple[list[Part], list[Part]]:
        booking = letter.payload.booking
        if letter.template is not Template.CONFIRMED or booking is None:
            return [], []
        qr = self._prints.qr(booking)
        picture = Part(content_type="image/png", body=documents.png(qr), content_id=QR_CONTENT_ID, filename="qr.png")
        ticket = Part(content_type="application/pdf", body=self._prints.pdf(booking, qr), filename="ticket.pdf")
        entry = Part(
            content_type="text/calendar; charset=utf-8; method=PUBLISH",
            body=documents.calendar(booking, locale=locale),
            filename="ticket.ics",
        )
        return [picture], [ticket, entry]

    def _words(self, letter: Letter, locale: str) -> dict[str, Any]:
        payload, booking = letter.payload, letter.payload.booking
        zone = booking.timezone if booking else ZONE_WITHOUT_OFFICE
        words: dict[str, Any] = {"locale": locale, "public_url": self._public_url, "qr_content_id": QR_CONTENT_ID}
        if booking is not None:
            words |= {
                "booking_id": booking.booking_id,
                "office": booking.office_name,
                "city": booking.city,
                "day": wording.day(booking.date, locale),
                "hours": wording.hours(booking, locale),
                "service": wording.service(booking.service, locale),
                "queue_numbers": wording.numbers(booking.seats, locale),
                "pay_by": wording.moment(booking.pay_by_ms, zone, locale),
            }
        if payload.amount_rupiah is not None:
            words["amount"] = wording.rupiah(payload.amount_rupiah, locale)
        if payload.blocked_until_ms is not None:
            words["blocked_until"] = wording.moment(payload.blocked_until_ms, zone, locale)
        if payload.pick_up_on is not None:
            words["pick_up_on"] = wording.day(payload.pick_up_on, locale)
        if payload.reason is not None:
            words |= {"ground": payload.reason, "missing": wording.document(payload.reason, locale)}
        for name in ("billing_code", "virtual_account", "ntpn", "moved_to"):
            if (value := getattr(payload, name)) is not None:
                words[name] = value
        if payload.activation_token is not None and payload.activate_by_ms is not None:
            # Behind the hash: a token is not to stand in the logs of any server.
            words["link"] = f"{self._public_url}/#activation={payload.activation_token}"
            words["activate_by"] = wording.moment(payload.activate_by_ms, zone, locale)
        return words
