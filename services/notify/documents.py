"""
What a confirmed booking can be held in hand: QR code, ticket as PDF, calendar entry.

Called by the composer and by routes, off the event loop: a QR code takes 5 ms and a PDF about as
long. Needs no network and no fonts of the machine; the same booking gives the same words.
"""

import functools
import io
import struct
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import segno
import typst

from contracts.events import Booking
from services.notify import wording
from services.notify.domain import claims_of
from services.notify.tickets import TicketSigner

TEMPLATE: Final = Path(__file__).parent / "templates" / "ticket.typ"
QR_MASK: Final = 2
"""Any of the eight masks can be read; trying all of them for the prettiest costs three times the code itself."""
QR_MODULE_PIXELS: Final = 4
QR_QUIET_MODULES: Final = 4
"""The empty frame a reader needs (ISO/IEC 18004)."""
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
REMIND_BEFORE: Final = timedelta(days=1)


class Documents:
    """
    Prints tickets. One at a time: typst's compiler is not to be entered twice.
    """

    def __init__(self, signer: TicketSigner) -> None:
        self._signer = signer
        self._compiler = typst.Compiler(str(TEMPLATE), ignore_system_fonts=True)
        self._compiling = threading.Lock()

    def qr(self, booking: Booking) -> segno.QRCode:
        """
        The signed ticket as a QR code.
        """
        return segno.make_qr(self._signer.ticket(claims_of(booking)), error="m", mask=QR_MASK)

    def pdf(self, booking: Booking, qr: segno.QRCode | None = None) -> bytes:
        """
        The ticket on one A5 page.
        """
        inputs = {"ticket": _words(booking, png(qr or self.qr(booking)))}
        with self._compiling:
            page = self._compiler.compile(format="pdf", sys_inputs=inputs)
        if not isinstance(page, bytes):
            raise TypeError("a ticket is one PDF")
        return page


def png(qr: segno.QRCode) -> bytes:
    """
    For mails and print, one bit a pixel. Written here because the library's own writer takes four times as long.
    """
    side = (len(qr.matrix) + 2 * QR_QUIET_MODULES) * QR_MODULE_PIXELS
    margin = "1" * QR_QUIET_MODULES * QR_MODULE_PIXELS
    quiet = _scanline("1" * side)
    lines = [quiet] * len(margin)
    for row in qr.matrix:
        modules = "".join(("0" if dark else "1") * QR_MODULE_PIXELS for dark in row)
        lines += [_scanline(margin + modules + margin)] * QR_MODULE_PIXELS
    lines += [quiet] * len(margin)
    # Width, height, bits a pixel, greyscale; deflate, default filters, not interlaced.
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    image = zlib.compress(b"".join(lines))
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", image) + _chunk(b"IEND", b"")


def svg(qr: segno.QRCode) -> bytes:
    """
    For pages.
    """
    buffer = io.BytesIO()
    qr.save(
        buffer,
        kind="svg",
        scale=QR_MODULE_PIXELS,
        border=QR_QUIET_MODULES,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
    )
    return buffer.getvalue()


def calendar(booking: Booking, *, locale: str) -> bytes:
    """
    The appointment as iCalendar, in the office's time zone. The booking's id is the entry's.
    """
    zone = ZoneInfo(booking.timezone)
    starts, ends = datetime.fromisoformat(booking.starts_at), datetime.fromisoformat(booking.ends_at)
    numbers = wording.numbers(booking.seats, locale)
    title, queue = ("Passport", "queue number") if locale == "en" else ("Paspor", "nomor antrean")
    event = icalendar.Event()
    event.add("uid", booking.booking_id)
    event.add("sequence", booking.version)
    # The stamp is the appointment's own, so that the same version is the same entry, byte by byte.
    event.add("dtstamp", starts.astimezone(UTC))
    event.add("dtstart", starts.astimezone(zone))
    event.add("dtend", ends.astimezone(zone))
    event.add("summary", f"{title}: {queue} {numbers}")
    event.add("location", f"{booking.office_name}, {booking.city}")
    event.add("description", f"{wording.service(booking.service, locale)}, {queue} {numbers}. {booking.booking_id}")
    event.add("status", "CONFIRMED")
    event.add_component(_reminder(title))
    whole = icalendar.Calendar()
    whole.add("prodid", "-//Antrean//antrean//ID")
    whole.add("version", "2.0")
    whole.add("method", "PUBLISH")
    whole.add_component(_timezone(booking.timezone))
    whole.add_component(event)
    entry: bytes = whole.to_ical()
    return entry


def _reminder(title: str) -> icalendar.Alarm:
    alarm = icalendar.Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", title)
    alarm.add("trigger", -REMIND_BEFORE)
    return alarm


@functools.cache
def _timezone(name: str) -> icalendar.Timezone:
    return icalendar.Timezone.from_tzid(name)


def _scanline(bits: str) -> bytes:
    # Filter 0, then the pixels, padded with white to whole bytes.
    padded = bits.ljust(-(-len(bits) // 8) * 8, "1")
    return b"\0" + int(padded, 2).to_bytes(len(padded) // 8, "big")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _words(booking: Booking, qr: bytes) -> str:
    words = {
        "booking_id": booking.booking_id,
        "office": booking.office_name,
        "city": booking.city,
        "day": wording.day(booking.date, "id"),
        "day_en": wording.day(booking.date, "en"),
        "hours": wording.hours(booking, "id"),
        "service": wording.service(booking.service, "id"),
        "service_en": wording.service(booking.service, "en"),
        "seats": [str(seat) for seat in booking.seats],
        "qr": list(qr),
    }
    return msgspec.json.encode(words).decode()
