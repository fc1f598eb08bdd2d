"""
What the audit looks at, store by store, brought into one form.

Filled by `ops.audit.collect`, judged by `ops.audit.compare`. Plain data.
"""

import collections
from collections.abc import Iterable

import msgspec

from contracts.events import QuotaEvent
from ops.release.tally import Acknowledged

HOLDING = frozenset({"held", "confirmed"})
"""States of a hold in Valkey that keep places."""
UNPAID = frozenset({"held", "awaiting_payment"})
"""States of a booking in Postgres that are on their way: its hold is `held` in Valkey."""
ACTIVE = UNPAID | {
    "confirmed",
    "checked_in",
    "served",
    "incomplete",
    "no_show",
    "processing",
    "ready",
    "collected",
}
"""States of a booking in Postgres that keep places. All but the unpaid ones are `confirmed` in Valkey."""


class SlotCount(msgspec.Struct, frozen=True, kw_only=True):
    """
    A slot as Valkey counts it.
    """

    slot_id: str
    capacity: int
    free: int
    held: int
    confirmed: int
    withheld: int
    next_seat: int
    returned: tuple[int, ...] = ()
    withheld_seats: tuple[int, ...] = ()

    @property
    def balanced(self) -> bool:
        """
        Whether the counters add up.
        """
        return self.capacity == self.free + self.held + self.confirmed + self.withheld


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """
    A hold as Valkey knows it.
    """

    reservation_id: str
    slot_id: str
    account_id: str
    seats: tuple[int, ...]
    state: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """
    A state a booking has been in.
    """

    state: str


class BookingRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    A booking as Postgres knows it.
    """

    booking_id: str
    slot_id: str
    account_id: str
    seats: tuple[int, ...]
    state: str
    reason: str | None = None
    wished_for: str | None = None
    """Why booking asked quota for its places, where it did."""
    history: tuple[Step, ...] = ()


class PaymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    Money that the bank reported.
    """

    booking_id: str
    ntpn: str


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """
    A mail that arrived.
    """

    n: int
    template: str
    booking_id: str = ""
    to: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """
        What it is about: a booking, or else a person's address.
        """
        return self.booking_id or ", ".join(self.to)


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """
    Somebody who was promised an activation mail.
    """

    account_id: str
    email: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything, at about one moment, of a system at rest.
    """

    slots: dict[str, SlotCount]
    holds: dict[str, Hold]
    bookings: dict[str, BookingRow]
    payments: tuple[PaymentRow, ...]
    quota_events: dict[int, tuple[QuotaEvent, ...]]
    """By partition, in the order of the topic, repeats included."""
    mails: tuple[Mail, ...]
    registrations: tuple[Registration, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()

    def seats_by_slot(self, active: Iterable[Hold | BookingRow]) -> dict[str, list[int]]:
        """
        Taken places of every slot, repeats kept.
        """
        taken: dict[str, list[int]] = collections.defaultdict(list)
        for one in active:
            taken[one.slot_id].extend(one.seats)
        return taken

    def holding(self) -> list[Hold]:
        """
        Holds that keep places.
        """
        return [hold for hold in self.holds.values() if hold.state in HOLDING]

    def active(self) -> list[BookingRow]:
        """
        Bookings that keep places.
        """
        return [row for row in self.bookings.values() if row.state in ACTIVE]
