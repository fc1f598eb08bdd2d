"""
Load fees, and what services are made of, from files. Rows are added, never edited.

Called by commands, in their transaction.
"""

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

from kernel.postgres import Connection
from services.payment import stores
from services.payment.domain.tariffs import ServiceItem, Tariff, overlap

T = TypeVar("T")


class TariffChanged(Exception):
    """
    A file says of a service or a fee that is stored something else than what is stored. Nothing was changed.
    """


class TariffsOverlap(Exception):
    """
    A file gives a service two fees on one day. Nothing was changed.
    """


class TariffUnreadable(Exception):
    """
    A row of a file is none: which one, and why. Nothing was changed.
    """


async def load_tariffs(connection: Connection, path: Path) -> int:
    """
    Add the fees of a file; again changes nothing. Returns how many are new. Raises what this module names.
    """
    asked = _rows(path, _tariff)
    await stores.lock_tariffs(connection)
    known = await stores.tariffs(connection)
    keys = {(fee.service, fee.validity_years, fee.valid_from): fee for fee in known}
    changed = [fee for fee in asked if keys.get((fee.service, fee.validity_years, fee.valid_from), fee) != fee]
    if changed:
        raise TariffChanged(f"{path}: {changed[0]} contradicts a stored fee; add a row with a new first day instead")
    both = overlap([*known, *(fee for fee in asked if fee not in known)])
    if both:
        raise TariffsOverlap(f"{path}: {both[0]} and {both[1]} are both valid on one day; end the first one earlier")
    return await stores.add_tariffs(connection, asked)


async def load_services(connection: Connection, path: Path) -> int:
    """
    Add what services are made of; again changes nothing. Returns how many rows are new. Raises `TariffChanged`.
    """
    asked = _rows(path, _service_item)
    await stores.lock_tariffs(connection)
    added = await stores.add_service_items(connection, asked)
    stored = await stores.service_items(connection)
    changed = [part for part in asked if part not in stored]
    if changed:
        raise TariffChanged(f"{path}: {changed[0]} contradicts a stored service; give the new one a name of its own")
    return added


def _rows(path: Path, read: Callable[[dict[str, str]], T]) -> list[T]:
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                found.append(read(row))
            except (KeyError, TypeError, ValueError) as error:
                raise TariffUnreadable(f"{path}:{reader.line_num}: {type(error).__name__}: {error}") from None
    return found


def _tariff(row: dict[str, str]) -> Tariff:
    return Tariff(
        service=row["service"],
        validity_years=int(row["validity_years"]),
        amount_rupiah=int(row["amount_rupiah"]),
        valid_from=date.fromisoformat(row["valid_from"]).isoformat(),
        valid_until=date.fromisoformat(row["valid_until"]).isoformat() if row.get("valid_until") else None,
    )


def _service_item(row: dict[str, str]) -> ServiceItem:
    return ServiceItem(service=row["service"], item=row["item"], validity_years=int(row["validity_years"]))
