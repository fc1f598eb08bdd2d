"""
Fees, and what services are made of, in Postgres.

Called by use cases, inside their transaction. Never decides.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from kernel.postgres import Connection
from services.payment.domain.tariffs import ServiceItem, Tariff
from services.payment.stores.statements import SQL


async def lock_tariffs(connection: Connection) -> None:
    """
    Let nobody else load fees until the transaction ends.
    """
    await connection.execute(SQL.lock_tariffs)


async def add_tariffs(connection: Connection, tariffs: Sequence[Tariff]) -> int:
    """
    Add fees not known yet. Returns how many.
    """
    added: int = await connection.fetchval(
        SQL.add_tariffs,
        [tariff.service for tariff in tariffs],
        [tariff.validity_years for tariff in tariffs],
        [date.fromisoformat(tariff.valid_from) for tariff in tariffs],
        [date.fromisoformat(tariff.valid_until) if tariff.valid_until else None for tariff in tariffs],
        [tariff.amount_rupiah for tariff in tariffs],
    )
    return added


async def tariffs(connection: Connection) -> list[Tariff]:
    """
    All fees.
    """
    return [msgspec.convert(dict(row), Tariff) for row in await connection.fetch(SQL.read_tariffs)]


async def add_service_items(connection: Connection, items: Sequence[ServiceItem]) -> int:
    """
    Add what services are made of, where it is not known yet. Returns how many rows are new.
    """
    added: int = await connection.fetchval(
        SQL.add_service_items,
        [part.service for part in items],
        [part.item for part in items],
        [part.validity_years for part in items],
    )
    return added


async def service_items(connection: Connection) -> list[ServiceItem]:
    """
    What every service is made of.
    """
    return [msgspec.convert(dict(row), ServiceItem) for row in await connection.fetch(SQL.read_service_items)]
