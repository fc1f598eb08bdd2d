"""
Every mail renders in both languages, says what a person needs, and names nobody.
"""

import email
import email.policy
import re
from email.message import EmailMessage

import msgspec
import pytest

from contracts.events import (
    BookingDisplaced,
    BookingExpired,
    BookingHeld,
    BookingIncomplete,
    BookingNoShow,
    BookingPardoned,
)
from contracts.events.booking import COUNTER_ACCOUNT, MOVE_OVERTAKEN
from kernel.ids import derived
from services.notify.composer import TEMPLATES, Composer
from services.notify.domain import LOCALES, Letter, Template, letter_of, retry_seconds
from tests.unit.notify_letters import ACCOUNT, NTPN, PAY_BY_MS, booking, composer, event_of, letter

EVERY_MAIL = [(template, locale) for template in Template for locale in LOCALES]


@pytest.fixture(scope="module")
def writer() -> Composer:
    return composer()


def _mail(writer: Composer, template: Template, locale: str) -> EmailMessage:
    return _written(writer, letter(template), locale)


def _written(writer: Composer, told: Letter, locale: str) -> EmailMessage:
    raw = writer.compose(told, email="reader@example.id", locale=locale, now_ms=PAY_BY_MS)
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def _words(mail: EmailMessage) -> tuple[str, str]:
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    return plain.get_content(), page.get_content()


@pytest.mark.parametrize(("template", "locale"), EVERY_MAIL)
def test_every_mail_is_whole_in_both_languages(writer: Composer, template: Template, locale: str) -> None:
    """
    Subject, text and HTML are there, nothing is left unfilled, and the MIME has no defect.
    """
    mail = _mail(writer, template, locale)
    plain, page = _words(mail)

    assert letter(template).message_id == mail["Message-ID"]
    assert template.value == mail["X-Antrean-Template"]
    assert "reader@example.id" == mail["To"]
    assert [] == [defect for part in mail.walk() for defect in part.defects]
    assert 10 < len(mail["Subject"]) < 120
    for words in (plain, page):
        assert len(words) > 150
        assert not re.search(r"\{\{|\{%|None|Undefined", words)


@pytest.mark.parametrize(("template", "locale"), EVERY_MAIL)
def test_no_mail_holds_a_number_like_a_nik_or_a_person(writer: Composer, template: Template, locale: str) -> None:
    """
    Sixteen digits stand in no mail, and neither do person or account ids.
    """
    mail = _mail(writer, template, locale)
    said = " ".join((mail["Subject"], *_words(mail)))

    assert [] == re.findall(r"(?<![0-9a-f_])\d{16}(?![0-9a-f])", said)
    assert "per_1" not in said
    assert ACCOUNT not in said


@pytest.mark.parametrize("locale", LOCALES)
def test_the_two_languages_have_the_same_mails(locale: str) -> None:
    """
    A mail nobody translated would be a mail somebody does not get.
    """
    expected = {f"{template.value}.{kind}" for template in Template for kind in ("txt", "html")}

    assert expected == {path.name for path in (TEMPLATES / locale).iterdir() if not path.name.startswith("_")}


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("id", ("812345678901234", "988101234567890123", "Rp1.050.000", "Jumat, 27 November 2026 16.00 WITA")),
        ("en", ("812345678901234", "988101234567890123", "Rp1,050,000", "Friday, 27 November 2026 16:00 WITA")),
    ],
)
def test_the_request_for_payment_says_what_how_and_until_when(
    writer: Composer, locale: str, said: tuple[str, ...]
) -> None:
    """
    Code, account, amount, and the deadline by the office's clock.
    """
    plain, page = _words(_mail(writer, Template.AWAITING_PAYMENT, locale))

    assert [] == [fact for fact in said if fact not in plain or fact not in page]


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("id", ("Senin, 30 November 2026", "08.00\N{EN DASH}10.00 WITA", "117, 118 dan 119", "Paspor elektronik")),
        ("en", ("Monday, 30 November 2026", "08:00\N{EN DASH}10:00 WITA", "117, 118 and 119", "Electronic passport")),
    ],
)
def test_the_confirmation_carries_the_appointment_and_its_papers(
    writer: Composer, locale: str, said: tuple[str, ...]
) -> None:
    """
    Date, session, numbers, place; QR code inside, ticket and calendar entry beside.
    """
    mail = _mail(writer, Template.CONFIRMED, locale)
    plain, page = _words(mail)
    files = {part.get_filename(): part.get_content_type() for part in mail.walk() if part.get_filename()}

    assert [] == [fact for fact in (*said, "Kota Makassar", NTPN) if fact not in plain or fact not in page]
    assert {"qr.png": "image/png", "ticket.pdf": "application/pdf", "ticket.ics": "text/calendar"} == files
    assert 'src="cid:qr@antrean"' in page
    assert ["<qr@antrean>"] == [part["Content-ID"] for part in mail.walk() if part["Content-ID"]]


@pytest.mark.parametrize(
    ("template", "locale", "said"),
    [
        (Template.RESCHEDULED, "id", (derived("rsv", "next"), derived("rsv", "one"), "tidak perlu membayar lagi")),
        (Template.RESCHEDULED, "en", (derived("rsv", "next"), derived("rsv", "one"), "need not pay again")),
        (Template.NO_SHOW, "id", ("Jumat, 27 November 2026 16.00 WITA", "Senin, 30 November 2026")),
        (Template.NO_SHOW, "en", ("Friday, 27 November 2026 16:00 WITA", "an officer can lift this block")),
        (Template.PARDONED, "id", ("kantor tidak dapat melayani",)),
        (Template.PARDONED, "en", ("the office could not serve",)),
        (Template.INCOMPLETE, "id", ("kartu keluarga (KK)", "Anda tidak diblokir")),
        (Template.INCOMPLETE, "en", ("family card (KK)", "You are not blocked")),
        (Template.SERVED, "id", ("sidik jari", "hari mulai paspor dapat diambil")),
        (Template.SERVED, "en", ("fingerprints", "the day from which they can be fetched")),
        (
            Template.WAITLIST_OFFER,
            "id",
            ("812345678901234", "Jumat, 27 November 2026 16.00 WITA", "giliran Anda di daftar tunggu terpakai"),
        ),
        (
            Template.WAITLIST_OFFER,
            "en",
            ("812345678901234", "Friday, 27 November 2026 16:00 WITA", "place on the waiting list is used up"),
        ),
        (Template.READY, "id", ("mulai Kamis, 3 Desember 2026", "Kota Makassar")),
        (Template.READY, "en", ("from Thursday, 3 December 2026 on", "Kota Makassar")),
    ],
)
def test_the_mails_of_the_visit_say_what_comes_next(
    writer: Composer, template: Template, locale: str, said: tuple[str, ...]
) -> None:
    """
    The other booking, the end of the block, the missing document, the day to fetch it, what an offer is worth.
    """
    plain, page = _words(_mail(writer, template, locale))

    assert [] == [fact for fact in said if fact not in plain or fact not in page]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_sentence_of_staff_stands_in_no_mail(writer: Composer, locale: str) -> None:
    """
    Whoever wrote it may have named somebody; a word nobody knows is not repeated either.
    """
    strange = BookingIncomplete(booking=booking("strange"), at_ms=1, reason="Mr. Budi's card")
    told = letter_of(strange)
    assert told is not None

    assert "Budi" not in " ".join(_words(_written(writer, told, locale)))
    assert "Budi" not in " ".join(_words(_mail(writer, Template.RESCHEDULED, locale)))


def test_who_missed_an_office_that_could_not_serve_is_told_of_the_pardon_alone(writer: Composer) -> None:
    """
    A block that is over as it begins is no news; an officer's pardon and an incident's read differently.
    """
    over = BookingNoShow(booking=booking(), at_ms=PAY_BY_MS, blocked_until_ms=PAY_BY_MS)
    appeal = letter_of(BookingPardoned(booking=booking(), at_ms=1, reason="appeal"))
    assert appeal is not None

    assert letter_of(over) is None
    assert "An officer has lifted the block" in _words(_written(writer, appeal, "en"))[0]


def test_nobody_is_written_to_who_has_no_address_or_knows_already() -> None:
    """
    People booked at a counter have no account; whoever overtook a move of his own is not told of displaced places.
    """
    at_the_counter = msgspec.structs.replace(booking(), account_id=f"{COUNTER_ACCOUNT}_1")
    overtaken, taken = [
        BookingDisplaced(booking=booking(), at_ms=1, reason=why) for why in (MOVE_OVERTAKEN, "seat_taken")
    ]

    assert letter_of(BookingExpired(booking=at_the_counter, at_ms=1)) is None
    assert letter_of(overtaken) is None
    assert letter_of(taken) is not None


def test_what_comes_from_outside_is_escaped_in_html(writer: Composer) -> None:
    """
    An office's name is text, not markup.
    """
    plain, page = _words(_mail(writer, Template.EXPIRED, "id"))

    assert "<Kelas I>" in plain
    assert "&lt;Kelas I&gt;" in page


def test_the_activation_link_keeps_its_token_behind_the_hash(writer: Composer) -> None:
    """
    What stands behind a hash reaches no server's log.
    """
    plain, _ = _words(_mail(writer, Template.ACTIVATION, "id"))

    assert "http://127.0.0.1:8080/#activation=dGhlLXRva2VuLW9mLXRoZS1tYWls\n" in plain


@pytest.mark.parametrize("template", list(Template))
def test_the_same_event_is_the_same_mail(template: Template) -> None:
    """
    The Message-ID follows from the event alone, and fits one header line.
    """
    first, second = letter(template), letter(template)

    assert first.message_id == second.message_id
    assert len(first.message_id) < 78


def test_each_registration_is_a_mail_of_its_own_and_a_hold_is_none() -> None:
    """
    A new token is a new link to send; a hold is told with its invoice.
    """
    ids = {letter(template).message_id for template in Template}

    assert len(Template) == len(ids)
    assert "dGhlLXRva2Vu" not in letter(Template.ACTIVATION).message_id
    assert letter_of(BookingHeld(booking=booking(), at_ms=1)) is None


def test_waiting_grows_and_is_bounded() -> None:
    """
    Two seconds after the first refusal, never more than five minutes.
    """
    assert [2, 4, 8, 300] == [retry_seconds(attempts) for attempts in (1, 2, 3, 1000)]


@pytest.mark.parametrize("template", [template for template in Template if template is not Template.ACTIVATION])
def test_a_letter_holds_ids_and_no_address(template: Template) -> None:
    """
    The address is looked up when the mail is sent, so a queue is no address book.
    """
    assert "reader@example.id" not in repr(letter(template))
    assert event_of(template)
