"""
Load fees from a file. A fee is added, never edited.

Called by commands, in their transaction.
"""

import csv
from datetime import date
from pathlib import Path

from kernel.postgres import Connection
from services.payment import stores
from services.payment.domain.billing import Tariff


class TariffChanged(Exception):
    """
    A file gives another fee for a day and service that already has one. Nothing was changed.
    """


async def load_tariffs(connection: Connection, path: Path) -> int:
    """
    Add the fees of a file; again changes nothing. Returns how many are new. Raises `TariffChanged`.
    """
    with path.open(encoding="utf-8", newline="") as file:
        asked = [_tariff(row) for row in csv.DictReader(file)]
    added = await stores.add_tariffs(connection, asked)
    stored = await stores.tariffs(connection)
    changed = [tariff for tariff in asked if tariff not in stored]
    if changed:
        raise TariffChanged(f"{path}: {changed[0]} contradicts a stored fee; add a row with a new first day instead")
    return added


def _tariff(row: dict[str, str]) -> Tariff:
    return Tariff(
        service=row["service"],
        validity_years=int(row["validity_years"]),
        amount_rupiah=int(row["amount_rupiah"]),
        valid_from=date.fromisoformat(row["valid_from"]).isoformat(),
    )
