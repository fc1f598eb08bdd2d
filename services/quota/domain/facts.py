"""
A stream entry as the event it tells.

The scripts write fields, the relay publishes events; this is the one place that knows
both. Raises `ValueError` for an entry no script of ours has written.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.events import (
    GiveBackAsked,
    QuotaEvent,
    ReservationConfirmed,
    ReservationHeld,
    ReservationReleased,
    SlotApplied,
)

Fields = Mapping[str, str]


def seats_of(joined: str) -> tuple[int, ...]:
    """
    `3,4` as numbers.
    """
    return tuple(int(number) for number in joined.split(",")) if joined else ()


def persons_of(joined: str) -> tuple[str, ...]:
    """
    Person ids joined by commas, one by one.
    """
    return tuple(joined.split(","))


def _held(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return ReservationHeld(
        **place,
        reservation_id=fields["reservation_id"],
        account_id=fields["account_id"],
        person_ids=persons_of(fields["person_ids"]),
        seats=seats_of(fields["seats"]),
        pay_by_ms=int(fields["pay_by_ms"]),
    )


def _confirmed(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return ReservationConfirmed(**place, reservation_id=fields["reservation_id"], seats=seats_of(fields["seats"]))


def _released(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return ReservationReleased(
        **place, reservation_id=fields["reservation_id"], seats=seats_of(fields["seats"]), reason=fields["reason"]
    )


def _give_back_asked(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return GiveBackAsked(**place, reservation_id=fields["reservation_id"], account_id=fields["account_id"])


def _slot_applied(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    books: dict[str, Any] = {
        name: int(fields[name]) for name in ("version", "capacity", "free", "held", "confirmed", "withheld")
    }
    return SlotApplied(**place, **books)


_KINDS: Final[Mapping[str, Callable[[Fields, dict[str, Any]], QuotaEvent]]] = {
    "held": _held,
    "confirmed": _confirmed,
    "released": _released,
    "give_back_asked": _give_back_asked,
    "slot_applied": _slot_applied,
}


def event_of(partition: int, epoch: int, seq: int, fields: Fields) -> QuotaEvent:
    """
    The event an entry stands for.
    """
    try:
        place = {
            "partition": partition,
            "epoch": epoch,
            "seq": seq,
            "slot_id": fields["slot_id"],
            "at_ms": int(fields["at_ms"]),
        }
        return _KINDS[fields["type"]](fields, place)
    except KeyError as error:
        raise ValueError(f"entry {epoch}-{seq} of partition {partition} has no {error}") from error


def event_id(partition: int, epoch: int, seq: int) -> str:
    """
    The same for the same decision, however often it is told.
    """
    return f"q{partition}:{epoch}:{seq}"
