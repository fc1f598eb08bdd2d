"""
At the desk: who comes with which ticket, whose day it is, and what a step there may begin from.

Called by the visiting use cases and by the reader of tickets. Pure: no clock, no key, no store.
"""

import datetime as dt
import enum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from services.booking.domain.lifecycle import TRANSITIONS, State


class TicketClaims(
    msgspec.Struct, frozen=True, kw_only=True, rename={"booking_id": "b", "office_id": "o", "date": "d"}
):
    """
    What the desk needs of the QR code of a ticket. The rest of it is for people.
    """

    booking_id: str
    office_id: str
    date: dt.date


class How(enum.StrEnum):
    """
    What a family was found by.
    """

    BOOKING_ID = "booking_id"
    NUMBER = "number"
    TICKET = "ticket"
    OFFLINE = "offline"


class Missing(enum.StrEnum):
    """
    What a family did not bring. Words of ours: free text would carry personal data into events and mails.
    """

    IDENTITY_CARD = "identity_card"
    FAMILY_CARD = "family_card"
    BIRTH_CERTIFICATE = "birth_certificate"
    OLD_PASSPORT = "old_passport"
    PARENTS_CONSENT = "parents_consent"
    OTHER_DOCUMENT = "other_document"


class Ground(enum.StrEnum):
    """
    Why a block is lifted, as events tell it; the officer's own words stay in the audit log.
    """

    APPEAL = "appeal"
    INCIDENT = "incident"
    ATTENDED = "attended"


SEEN: Final = frozenset(
    {State.CHECKED_IN, State.SERVED, State.INCOMPLETE, State.PROCESSING, State.READY, State.COLLECTED}
)
"""The family has been at the desk."""


def comes_from(to: State) -> frozenset[State]:
    """
    The states a step may begin from.
    """
    return frozenset(state for state in State if to in TRANSITIONS[state])


def day_at(moment: dt.datetime, timezone: str) -> dt.date:
    """
    Which day it is at an office.
    """
    return moment.astimezone(ZoneInfo(timezone)).date()
