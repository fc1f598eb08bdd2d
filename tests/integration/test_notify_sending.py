"""
Each event is told with one mail, whatever dies in between.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import msgspec
import pytest

from contracts.events import AccountRegistered
from kernel.errors import Retryable
from kernel.ids import fresh
from services.notify import stores
from services.notify.domain import Template
from services.notify.relay import Accepted, Outcome, Refused, Relay, Unknown
from services.notify.stores import Claim
from tests.conftest import Eventually
from tests.integration.conftest import Stores
from tests.integration.notify_room import Room, notify_room
from tests.unit.notify_letters import booking, event_of

TOLD = [template for template in Template if template is not Template.ACTIVATION]


@pytest.fixture
async def room(database: str, stores: Stores) -> AsyncIterator[Room]:
    async with notify_room(database, smtp_url=stores.smtp_url, mail_url=stores.mail_url) as opened:
        yield opened


async def _hear(room: Room, template: Template, name: str) -> str:
    """
    Hear a booking's step. Ids are this run's own: the sink is shared.
    """
    told = booking(f"{room.address}.{name}")
    await room.hear_booking(event_of(template, told), event_id=f"b.{told.booking_id}.{template.value}")
    return told.booking_id


async def test_every_step_is_told_once(room: Room) -> None:
    """
    Each event twice, by two deliveries; each mail once, to the reader, with its headers.
    """
    await room.know_reader()
    for _ in range(2):
        for template in TOLD:
            await _hear(room, template, "life")
    await room.send()
    mails = await room.mailbox()

    assert sorted(template.value for template in TOLD) == sorted(mail["template"] for mail in mails)
    assert 1 == len({mail["booking_id"] for mail in mails})
    assert len(TOLD) == await room.one("SELECT count(*) FROM message WHERE state = 'sent'")


async def test_a_registration_is_told_at_once_and_its_token_is_forgotten(room: Room) -> None:
    """
    The link goes to the address of the event, and is not kept after it has gone.
    """
    told = event_of(Template.ACTIVATION)
    assert isinstance(told, AccountRegistered)
    told = msgspec.structs.replace(told, email=room.address, account_id=fresh("acc"))
    await room.hear_identity(told, event_id="i.1")
    await room.hear_identity(told, event_id="i.1")
    await room.send()

    assert ["activation"] == [mail["template"] for mail in await room.mailbox()]
    assert not await room.one("SELECT payload ? 'activation_token' FROM message")


async def test_a_mail_waits_for_an_address_that_comes_later(room: Room) -> None:
    """
    Bookings and addresses come on different topics: a mail without an address is not dropped.
    """
    await _hear(room, Template.CONFIRMED, "early")
    claims_before = await room.send()
    await room.know_reader(locale="en")
    await room.send()

    assert 0 == claims_before
    assert ["Appointment confirmed: Monday, 30 November 2026, queue number 117, 118 and 119"] == [
        mail["subject"] for mail in await room.mailbox()
    ]


async def test_older_news_does_not_replace_a_newer_address(room: Room) -> None:
    """
    A repeated event of last week must not send this week's mails to the old address.
    """
    await room.know_reader(at_ms=10)
    new, room.address = room.address, "old@example.id"
    await room.know_reader(at_ms=5)

    assert new == await room.one("SELECT email FROM contact")


class CutAfterAcceptance(Relay):
    """
    A relay that takes the mail, and whose answer never comes back.
    """

    async def send(self, mail: bytes, *, to: str) -> Outcome:
        """
        Really deliver, then know nothing.
        """
        assert isinstance(await super().send(mail, to=to), Accepted)
        return Unknown(reason="cut")


class DiesAfterAcceptance(Relay):
    """
    A process that is killed between the relay's yes and its own note of it.
    """

    async def send(self, mail: bytes, *, to: str) -> Outcome:
        """
        Really deliver, then die.
        """
        assert isinstance(await super().send(mail, to=to), Accepted)
        raise asyncio.CancelledError


async def test_killed_between_sending_and_noting_is_not_sent_again(room: Room) -> None:
    """
    The claim is in the database, the mail at the provider: the lookup finds it, and nobody gets it twice.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "killed")
    with pytest.raises(asyncio.CancelledError):
        await room.turn(DiesAfterAcceptance(room.settings, sender="antrean@example.go.id"))

    assert 0 == await room.send()
    await room.lease_ends()
    await room.send()

    assert 1 == len(await room.mailbox())
    assert "sent" == await room.one("SELECT state FROM message")


async def test_an_answer_that_never_came_is_looked_up(room: Room) -> None:
    """
    A timeout is unknown, not no.
    """
    await room.know_reader()
    await _hear(room, Template.EXPIRED, "cut")
    await room.turn(CutAfterAcceptance(room.settings, sender="antrean@example.go.id"))
    await room.lease_ends()
    await room.send()

    assert 1 == len(await room.mailbox())


async def test_a_mail_in_doubt_that_is_surely_absent_is_sent(room: Room) -> None:
    """
    Killed before the relay had it: the claim alone is no delivery.
    """
    await room.know_reader()
    await _hear(room, Template.CANCELLED, "absent")
    async with room.db.connection() as connection:
        await stores.claim(connection, rows_max=1, lease_seconds=0)
    await room.send()

    assert 1 == len(await room.mailbox())


async def test_without_a_lookup_a_mail_in_doubt_goes_out_again_with_the_same_id(room: Room) -> None:
    """
    A reader's mail program folds two mails of one Message-ID; none at all it cannot mend.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "nobody-can-say")
    await room.turn(CutAfterAcceptance(room.settings, sender="antrean@example.go.id"))
    await room.lease_ends()
    await room.send(room.sender(lookup_url=""))
    mails = await room.mailbox()

    assert 2 == len(mails)
    assert 1 == len({mail["message_id"] for mail in mails})


async def test_a_provider_that_does_not_say_leaves_the_mail_in_doubt(room: Room) -> None:
    """
    Nothing is sent on a guess, nothing is given up, and the mails beside it go out.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "silent-provider")
    await room.turn(CutAfterAcceptance(room.settings, sender="antrean@example.go.id"))
    await _hear(room, Template.EXPIRED, "in-the-same-turn")
    silent = room.sender(lookup_url="http://127.0.0.1:9", attempts_max=2)
    for _ in range(3):
        await room.lease_ends()
        await room.send(silent)
    templates = sorted(mail["template"] for mail in await room.mailbox())

    assert ["confirmed", "expired"] == templates
    assert "sending" == await room.one("SELECT state FROM message WHERE template = 'confirmed'")
    await room.lease_ends()
    await room.send()
    assert "sent" == await room.one("SELECT state FROM message WHERE template = 'confirmed'")


class Refusing(Relay):
    """
    A relay that takes nothing.
    """

    permanent = False

    async def send(self, mail: bytes, *, to: str) -> Outcome:  # noqa: ARG002 - whatever it is
        """
        No.
        """
        return Refused(reason="450", permanent=self.permanent)


async def test_a_refused_mail_waits_and_is_given_up_in_the_end(room: Room) -> None:
    """
    Back-off first; after the last try it is listed as failed, with the reason.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "refused")
    sender = room.sender(attempts_max=2)
    for _ in range(2):
        await room.turn(Refusing(room.settings, sender="-"), sender)
        assert 0 == await room.send()
        async with room.db.connection() as connection:
            await connection.execute("UPDATE message SET due_at = now() WHERE state = 'queued'")

    assert "failed 450" == await room.one("SELECT state || ' ' || reason FROM message")
    assert [] == await room.mailbox()


async def test_an_address_that_does_not_exist_is_given_up_at_once(room: Room) -> None:
    """
    A permanent no needs no second question.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "no-such-address")
    relay = Refusing(room.settings, sender="-")
    relay.permanent = True
    await room.turn(relay)

    assert "failed" == await room.one("SELECT state FROM message")


async def test_an_address_that_cannot_be_written_stops_nobody(room: Room) -> None:
    """
    One mail that cannot go leaves the others their way.
    """
    good, room.address = room.address, "pembacaé@example.id"
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "strange")
    await room.send()
    room.address = good
    await room.know_reader(at_ms=9)
    await _hear(room, Template.EXPIRED, "ordinary")
    await room.send()

    assert ["expired"] == [mail["template"] for mail in await room.mailbox() if mail["template"] == "expired"]


async def test_no_mail_is_claimed_while_there_is_no_relay(room: Room) -> None:
    """
    An outage of the relay costs no mail a try.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "outage")
    away = dataclasses.replace(room.settings, smtp_url="smtp://127.0.0.1:9")
    with pytest.raises(Retryable):
        await room.turn(Relay(away, sender="-"))

    assert "queued 0" == await room.one("SELECT state || ' ' || attempts FROM message")
    await room.send()
    assert 1 == len(await room.mailbox())


async def test_a_late_sender_has_no_say_any_more(room: Room) -> None:
    """
    Whose lease ended cannot overwrite what the next one found out.
    """
    await room.know_reader()
    await _hear(room, Template.CONFIRMED, "late")
    async with room.db.connection() as connection:
        [late] = await stores.claim(connection, rows_max=1, lease_seconds=0)
        await room.send()
        assert isinstance(late, Claim)
        await stores.mark_failed(connection, late, reason="late")
        await stores.mark_refused(connection, late, wait_seconds=0, reason="late")

    assert "sent" == await room.one("SELECT state FROM message")


async def test_many_senders_send_each_mail_once(room: Room, eventually: Eventually) -> None:
    """
    Two workers with four lanes each on forty mails.
    """
    await room.know_reader()
    for index in range(40):
        await _hear(room, Template.EXPIRED, f"crowd-{index}")
    workers = [asyncio.create_task(room.sender().run()) for _ in range(2)]
    await eventually(lambda: _all_sent(room))
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    mails = await room.mailbox()

    assert 40 == len(mails)
    assert 40 == len({mail["message_id"] for mail in mails})


async def _all_sent(room: Room) -> bool:
    return bool(await room.one("SELECT bool_and(state = 'sent') FROM message"))
