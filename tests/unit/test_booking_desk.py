"""
What the desk believes without asking anybody: tickets of a known key, in their one spelling.
"""

import base64
import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.events import Booking
from kernel.auth.tokens import signing_key
from kernel.settings import BadSettings, load
from kernel.sheets import csv_of
from services.booking.domain.desk import comes_from
from services.booking.domain.lifecycle import State
from services.booking.settings import ApiSettings
from services.booking.sheets import COLUMNS, DaySheet, SheetLine
from services.booking.tickets import TicketReader, public_keys
from services.notify.domain import claims_of
from services.notify.tickets import TicketSigner
from tests.unit.notify_letters import booking

SEEDS = [bytes([number]) * 32 for number in (1, 2)]
SIGNERS = [TicketSigner(signing_key(base64.b64encode(seed).decode(), variable="TEST")) for seed in SEEDS]
KEY = base64.b64encode(SEEDS[0]).decode()
ENVIRON = {
    "HTTP_PORT": "0",
    "DATABASE_URL": "postgresql://antrean@127.0.0.1/antrean",
    "JWKS_URL": "http://127.0.0.1/jwks",
    "LEAF_SIGNING_KEY": KEY,
}


def test_a_ticket_of_any_listed_key_is_read() -> None:
    """
    While keys are rotated both are good; a key that is not listed is not.
    """
    told: Booking = booking()
    tickets = [signer.ticket(claims_of(told)) for signer in SIGNERS]
    both = TicketReader(public_keys(", ".join(signer.public_key().x for signer in SIGNERS)))
    first = TicketReader(public_keys(SIGNERS[0].public_key().x))
    read = [both.read(ticket) for ticket in tickets]

    assert [(told.booking_id, told.office_id, told.date)] * 2 == [
        (claims.booking_id, claims.office_id, claims.date.isoformat()) for claims in read if claims
    ]
    assert [True, False] == [first.read(ticket) is not None for ticket in tickets]


@pytest.mark.parametrize("end", ["=", "\n", " ", "A", "é", "."])
def test_a_ticket_has_one_spelling(end: str) -> None:
    """
    What is added to it makes it another text.
    """
    reader = TicketReader(public_keys(SIGNERS[0].public_key().x))
    ticket = SIGNERS[0].ticket(claims_of(booking()))

    assert reader.read(ticket) is not None
    assert reader.read(ticket + end) is None


def test_what_is_signed_but_no_ticket_is_refused() -> None:
    """
    A signature over anything else proves nothing about a booking.
    """
    key = Ed25519PrivateKey.from_private_bytes(SEEDS[0])
    text = f"AT1.{base64.urlsafe_b64encode(b'{}').decode().rstrip('=')}"
    signature = base64.urlsafe_b64encode(key.sign(text.encode())).decode().rstrip("=")

    assert TicketReader([key.public_key().public_bytes_raw()]).read(f"{text}.{signature}") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("TICKET_PUBLIC_KEYS", "short"), ("TICKET_PUBLIC_KEYS", "A" * 43 + ",!"), ("LEAF_SIGNING_KEY", "c2hvcnQ=")],
)
def test_a_key_that_is_none_stops_the_boot(name: str, value: str) -> None:
    """
    The variable is named; without any ticket key the desk goes by numbers.
    """
    assert "" == load(ApiSettings, ENVIRON).ticket_public_keys
    with pytest.raises(BadSettings, match=name):
        load(ApiSettings, {**ENVIRON, name: value})


def test_steps_begin_where_the_table_says() -> None:
    """
    One table for the desk and for Postgres.
    """
    assert frozenset({State.CHECKED_IN}) == comes_from(State.SERVED) == comes_from(State.INCOMPLETE)
    assert frozenset({State.READY}) == comes_from(State.COLLECTED)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_a_spreadsheet_begins_like_a_formula(first: str) -> None:
    """
    Whatever it holds, it is text.
    """
    line = SheetLine(
        session=f"{first}cmd",
        arrive_from="",
        arrive_until="",
        queue_number=1,
        service="",
        channel="",
        state="",
        checked_in_at=None,
        person_id="",
        booking_id="",
    )
    day = DaySheet(
        office_id="o", office_name="O", date=dt.date(2026, 11, 30), printed_at="", complete=True, lines=[line]
    )

    assert f"'{first}cmd" in csv_of(COLUMNS, day.lines).decode("utf-8-sig")
