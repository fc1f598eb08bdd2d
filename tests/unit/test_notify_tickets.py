"""
A ticket is checked without a network, and nothing in it can be changed.
"""

import struct
import zlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import Booking
from services.notify import documents
from services.notify.documents import Documents
from services.notify.domain import claims_of
from services.notify.tickets import TicketSigner, verify
from tests.unit.notify_letters import ZONES, booking, signer

TICKET = signer().ticket(claims_of(booking()))
KEY = signer().public_key()


def test_a_ticket_is_verified_with_the_published_key_alone() -> None:
    """
    A reader at the door needs the key once, and then nothing.
    """
    claims = verify(TICKET, KEY)

    assert claims_of(booking()) == claims
    assert TICKET.startswith("AT1.")


@given(st.integers(0, len(TICKET) - 1), st.characters(codec="ascii"))
def test_any_altered_character_is_noticed(position: int, character: str) -> None:
    """
    Another seat, another day, another signature: none of it verifies.
    """
    altered = TICKET[:position] + character + TICKET[position + 1 :]

    assert (altered == TICKET) == (verify(altered, KEY) is not None)


@given(st.text(max_size=60))
def test_whatever_is_read_is_judged_without_a_crash(text: str) -> None:
    """
    A QR code may say anything.
    """
    assert verify(text, KEY) is None


def test_another_key_makes_no_ticket() -> None:
    """
    Who has not our key cannot print places.
    """
    from kernel.auth.tokens import signing_key  # noqa: PLC0415 - only here

    other = TicketSigner(signing_key("b" * 43 + "=", variable="X"))

    assert verify(other.ticket(claims_of(booking())), KEY) is None


def test_a_ticket_names_nobody() -> None:
    """
    Ids of people and accounts stay out of what is shown at a desk.
    """
    claims = repr(verify(TICKET, KEY))

    assert "per_" not in claims
    assert "acc_" not in claims


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("locale", ["id", "en"])
def test_the_calendar_entry_stands_in_the_offices_zone(timezone: str, locale: str) -> None:
    """
    Eight in the morning is eight in the morning there, wherever the calendar is opened.
    """
    told = booking(timezone=timezone)
    whole = icalendar.Calendar.from_ical(documents.calendar(told, locale=locale))
    [event], [zone] = whole.walk("VEVENT"), whole.walk("VTIMEZONE")
    starts = event["DTSTART"]

    assert timezone == starts.params["TZID"] == str(zone["TZID"])
    assert datetime(2026, 11, 30, 8, tzinfo=ZoneInfo(timezone)) == starts.dt
    assert datetime.fromisoformat(told.ends_at) == event["DTEND"].dt
    assert told.booking_id == str(event["UID"])
    assert timedelta(0) == event["DTSTAMP"].dt.utcoffset()
    assert documents.calendar(told, locale=locale) == documents.calendar(told, locale=locale)


def test_the_picture_is_the_code_module_by_module() -> None:
    """
    Our PNG holds exactly the modules of the QR code, dark on light, inside a quiet frame.
    """
    qr = Documents(signer()).qr(booking())
    raw = documents.png(qr)
    side = struct.unpack(">I", raw[16:20])[0]
    start = raw.index(b"IDAT") + 4
    lines = zlib.decompress(raw[start : raw.index(b"IEND") - 8])
    width = len(lines) // side
    pixels, quiet = documents.QR_MODULE_PIXELS, documents.QR_QUIET_MODULES

    def dark(row: int, column: int) -> int:
        x, y = (quiet + column) * pixels, (quiet + row) * pixels
        return 1 - (lines[y * width + 1 + x // 8] >> (7 - x % 8) & 1)

    size = len(qr.matrix)
    assert (size + 2 * quiet) * pixels == side
    assert [list(row) for row in qr.matrix] == [[dark(row, column) for column in range(size)] for row in range(size)]
    assert [0] * size == [dark(-1, column) for column in range(size)]


def test_the_code_says_the_signed_ticket() -> None:
    """
    The same text with the same mask gives the same code.
    """
    qr = Documents(signer()).qr(booking())

    assert segno.make_qr(TICKET, error="m", mask=documents.QR_MASK).matrix == qr.matrix


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 5))
def test_a_family_of_any_size_fits_one_page(seats: int) -> None:
    """
    One page, whatever the number of queue numbers.
    """
    told = booking()
    family = Booking(
        **{**{n: getattr(told, n) for n in Booking.__struct_fields__}, "seats": tuple(range(1, seats + 1))}
    )
    page = Documents(signer()).pdf(family)

    assert page.startswith(b"%PDF-")
    assert 1 == page.count(b"/Type /Page\n") + page.count(b"/Type/Page/") + page.count(b"/Type /Page ")
