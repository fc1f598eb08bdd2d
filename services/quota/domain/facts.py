"""
A stream entry as the event it tells.

The scripts write fields, the relay publishes events; this is the one place that knows
both. What was held is told in the very bytes of the hold. Raises `ValueError` for an
entry no script of ours has written.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from contracts.events import (
    GiveBackAsked,
    PlacesRefused,
    QuotaEvent,
    ReservationConfirmed,
    ReservationHeld,
    ReservationReleased,
    SlotApplied,
)
from services.quota.domain.records import hold_record

Fields = Mapping[bytes, bytes]


_BOOKS: Final = ("version", "capacity", "free", "held", "confirmed", "withheld")


def _seats_of(joined: bytes) -> tuple[int, ...]:
    return tuple(int(number) for number in joined.split(b","))


def _confirmed(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return ReservationConfirmed(
        **place, reservation_id=fields[b"reservation_id"].decode(), seats=_seats_of(fields[b"seats"])
    )


def _released(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return ReservationReleased(
        **place,
        reservation_id=fields[b"reservation_id"].decode(),
        seats=_seats_of(fields[b"seats"]),
        reason=fields[b"reason"].decode(),
    )


def _give_back_asked(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return GiveBackAsked(
        **place,
        reservation_id=fields[b"reservation_id"].decode(),
        account_id=fields[b"account_id"].decode(),
    )


def _places_refused(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    return PlacesRefused(
        **place,
        reservation_id=fields[b"reservation_id"].decode(),
        account_id=fields[b"account_id"].decode(),
        reason=fields[b"reason"].decode(),
    )


def _slot_applied(fields: Fields, place: dict[str, Any]) -> QuotaEvent:
    books: dict[str, Any] = {name: int(fields[name.encode()]) for name in _BOOKS}
    return SlotApplied(**place, **books)


_KINDS: Final[Mapping[bytes, Callable[[Fields, dict[str, Any]], QuotaEvent]]] = {
    b"confirmed": _confirmed,
    b"released": _released,
    b"give_back_asked": _give_back_asked,
    b"slot_applied": _slot_applied,
    b"places_refused": _places_refused,
}


def event_of(partition: int, epoch: int, seq: int, fields: Fields) -> QuotaEvent:
    """
    The event an entry stands for.
    """
    try:
        if b"hold" in fields:
            return _held(partition, epoch, seq, fields)
        place = {
            "partition": partition,
            "epoch": epoch,
            "seq": seq,
            "slot_id": fields[b"slot_id"].decode(),
            "at_ms": int(fields[b"at_ms"]),
        }
        return _KINDS[fields[b"type"]](fields, place)
    except (KeyError, msgspec.MsgspecError) as error:
        raise ValueError(f"entry {epoch}-{seq} of partition {partition} has no fact in it: {error!r}") from error


def _held(partition: int, epoch: int, seq: int, fields: Fields) -> ReservationHeld:
    hold = hold_record(fields[b"hold"])
    return ReservationHeld(
        partition=partition,
        epoch=epoch,
        seq=seq,
        slot_id=hold.slot_id,
        at_ms=hold.at_ms,
        reservation_id=fields[b"held"].decode(),
        account_id=hold.account_id,
        person_ids=hold.person_ids,
        seats=hold.seats,
        pay_by_ms=hold.pay_by_ms,
    )


def event_id(partition: int, epoch: int, seq: int) -> str:
    """
    The same for the same decision, however often it is told.
    """
    return f"q{partition}:{epoch}:{seq}"
