"""
What quota has decided: told to booking, in the order of `seq`.
"""

from typing import ClassVar

from contracts.events.base import Event
from contracts.topics import QUOTA_EVENTS, Topic


class QuotaEvent(Event, frozen=True, kw_only=True):
    """
    A decision of quota. `seq` counts the decisions of one partition and epoch without a gap.
    """

    partition: int
    epoch: int
    seq: int
    slot_id: str
    at_ms: int


class ReservationHeld(QuotaEvent, frozen=True, kw_only=True):
    """
    Places taken for a family, by number, until `pay_by_ms`.
    """

    TYPE: ClassVar[str] = "quota.reservation.held.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    account_id: str
    person_ids: tuple[str, ...]
    seats: tuple[int, ...]
    pay_by_ms: int


class ReservationConfirmed(QuotaEvent, frozen=True, kw_only=True):
    """
    A hold became a confirmed place, because booking said so.
    """

    TYPE: ClassVar[str] = "quota.reservation.confirmed.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    seats: tuple[int, ...]


class ReservationReleased(QuotaEvent, frozen=True, kw_only=True):
    """
    A hold's places are free again, because booking said so.
    """

    TYPE: ClassVar[str] = "quota.reservation.released.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    seats: tuple[int, ...]
    reason: str


class GiveBackAsked(QuotaEvent, frozen=True, kw_only=True):
    """
    The holder wants to give the places back. Booking decides whether that still can be.
    """

    TYPE: ClassVar[str] = "quota.reservation.give_back_asked.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    account_id: str


class SlotApplied(QuotaEvent, frozen=True, kw_only=True):
    """
    A plan of booking took effect: a slot was loaded, resized, opened or closed.
    """

    TYPE: ClassVar[str] = "quota.slot.applied.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    version: int
    capacity: int
    free: int
    held: int
    confirmed: int
    withheld: int


class PlacesRefused(QuotaEvent, frozen=True, kw_only=True):
    """
    Places booking asked for could not be had: no slot it named has them, or it asked too late.

    `slot_id` is the last one tried.
    """

    TYPE: ClassVar[str] = "quota.places_refused.v1"
    TOPIC: ClassVar[Topic] = QUOTA_EVENTS

    reservation_id: str
    account_id: str
    reason: str
    """A word of quota's refusals, such as `sold_out`."""
