"""
Dates, times, amounts and names of things as people read them, in Indonesian or English.

Called by the composer and the ticket printer. Times are always those of the office, with WIB, WITA
or WIT behind them. Never translates sentences: those stand in `templates/`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal

from contracts.events import Booking
from services.notify.domain import zone_label

_SERVICES: Final = {
    "id": {"regular": "Paspor biasa", "electronic": "Paspor elektronik"},
    "en": {"regular": "Regular passport", "electronic": "Electronic passport"},
}
_DOCUMENTS: Final = {
    "id": {
        "identity_card": "KTP elektronik",
        "family_card": "kartu keluarga (KK)",
        "birth_certificate": "akta kelahiran, ijazah, atau buku nikah",
        "old_passport": "paspor lama",
        "parents_consent": "surat persetujuan orang tua",
    },
    "en": {
        "identity_card": "identity card (KTP)",
        "family_card": "family card (KK)",
        "birth_certificate": "birth certificate, diploma or marriage book",
        "old_passport": "old passport",
        "parents_consent": "consent of the parents",
    },
}
_ANOTHER_DOCUMENT: Final = {"id": "dokumen lain; petugas sudah menyebutkannya", "en": "another one, as you were told"}
_AND: Final = {"id": "dan", "en": "and"}
_CLOCK: Final = {"id": "%H.%M", "en": "%H:%M"}


def day(iso: str, locale: str) -> str:
    """
    Senin, 30 November 2026.
    """
    return format_date(date.fromisoformat(iso), "EEEE, d MMMM y", locale=locale)


def hours(booking: Booking, locale: str) -> str:
    """
    08.00-10.00 WIB, with a proper dash.
    """
    starts, ends = datetime.fromisoformat(booking.starts_at), datetime.fromisoformat(booking.ends_at)
    clock = _CLOCK[locale]
    label = zone_label(booking.timezone, starts)
    return f"{starts.strftime(clock)}\N{EN DASH}{ends.strftime(clock)} {label}"


def moment(at_ms: int, timezone: str, locale: str) -> str:
    """
    Jumat, 27 November 2026 16.05 WIB.
    """
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
    return f"{day(at.date().isoformat(), locale)} {at.strftime(_CLOCK[locale])} {zone_label(timezone, at)}"


def rupiah(amount: int, locale: str) -> str:
    """
    Rp350.000.
    """
    return f"Rp{format_decimal(amount, locale=locale)}"


def numbers(seats: Sequence[int], locale: str) -> str:
    """
    12, 13 dan 14.
    """
    *front, last = [str(seat) for seat in seats]
    return f"{', '.join(front)} {_AND[locale]} {last}" if front else last


def service(key: str, locale: str) -> str:
    """
    Paspor biasa; the key itself for a service nobody has worded yet.
    """
    return _SERVICES[locale].get(key, key)


def document(key: str, locale: str) -> str:
    """
    Kartu keluarga (KK); for a document nobody has worded yet, that there is one.
    """
    return _DOCUMENTS[locale].get(key, _ANOTHER_DOCUMENT[locale])
