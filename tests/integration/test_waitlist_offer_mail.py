"""
Who is offered places that came back is written to once, in a mail that says so; everybody else as ever.
"""

from collections.abc import AsyncIterator

import msgspec
import pytest

from contracts.envelope import Envelope
from contracts.events import BookingAwaitingPayment, InvoiceIssued
from tests.integration.booking_room import booking_id
from tests.integration.conftest import Stores
from tests.integration.counter_desk import Desk
from tests.integration.notify_room import Room as Notify
from tests.integration.notify_room import notify_room
from tests.integration.waitlist_line import come_back, line, sold_out_desk, take_up
from tests.unit.notify_letters import ACCOUNT


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    async with sold_out_desk(database) as opened:
        yield opened


@pytest.fixture
async def notify(database: str, stores: Stores) -> AsyncIterator[Notify]:
    async with notify_room(database, smtp_url=stores.smtp_url, mail_url=stores.mail_url) as opened:
        yield opened


async def invoiced(desk: Desk, reservation_id: str) -> BookingAwaitingPayment:
    """
    Payment has issued an invoice. Returns what booking tells of it.
    """
    issued = desk.room.invoice("offer").event
    assert isinstance(issued, InvoiceIssued)
    mine = msgspec.structs.replace(issued, booking_id=reservation_id)
    await desk.room.hear_payment(Envelope(event_id=f"p.{reservation_id}.issued", event=mine))
    told = [body for kind, body in await desk.room.said() if kind == BookingAwaitingPayment.TYPE]
    return msgspec.json.decode(told[-1], type=BookingAwaitingPayment)


async def heard(notify: Notify, event: BookingAwaitingPayment) -> None:
    """
    Notify hears it, twice, and sends to this test's reader.
    """
    event = msgspec.structs.replace(event, booking=msgspec.structs.replace(event.booking, account_id=ACCOUNT))
    await notify.know_reader(locale="en")
    for delivery in ("1", "2"):
        await notify.hear_booking(event, event_id=f"{event.booking.booking_id}.{delivery}")
    await notify.send()


async def test_an_offer_has_one_mail_of_its_own(desk: Desk, notify: Notify) -> None:
    """
    Instead of the ordinary one: which slot, until when, and the code to pay with.
    """
    await line(desk, ("ani", 1))
    await come_back(desk)
    offer = await invoiced(desk, (await take_up(desk))["booking_id"])
    await heard(notify, offer)
    [mail] = await notify.mailbox()

    assert "waitlist" == offer.offered
    assert ("waitlist_offer", offer.booking.booking_id) == (mail["template"], mail["booking_id"])
    assert mail["subject"].startswith("A place came back for you: pay before ")


async def test_an_ordinary_hold_is_asked_for_payment_as_ever(desk: Desk, notify: Notify) -> None:
    """
    Nobody waited for it.
    """
    slot_id = (await desk.room.slots(office_id="jayapura"))[0]
    await desk.room.record(desk.room.held("plain", slot_id=slot_id))
    asked = await invoiced(desk, booking_id("plain"))
    await heard(notify, asked)

    assert None is asked.offered
    assert ["awaiting_payment"] == [mail["template"] for mail in await notify.mailbox()]
