"""
Reading the names of an office's own day, for its desk.

Called by the routes of the name sheet, which have made sure that an officer of the office
asks. Only today's names are opened, and every reading is a line in the audit trail,
written in the same transaction: no line, no names.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from kernel.audit import entries
from kernel.audit.entries import Deed
from kernel.postgres import Connection
from services.identity.domain.nik import masked
from services.identity.domain.visits import OfficeTime, said_twice
from services.identity.stores import visits
from services.identity.stores.vault import Field, Vault
from services.identity.stores.visits import Line

REASON = "the office's own day"
"""Of every line: nobody has to give another, and no other is accepted."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """
    A wish to read names.
    """

    office_id: str
    date: dt.date | None
    """None for the day it is at the office."""
    actor: str
    form: str
    """`json`, `csv` or `pdf`."""
    lines_max: int


class NamedLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A queue number, and who comes with it.
    """

    line: Line
    name: str | None
    """None for whom the vault does not know: somebody without an account, or no longer."""
    nik: str | None
    """Masked, and only where the name alone does not tell two people of the day apart."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """
    The names of a day.
    """

    office: OfficeTime
    date: dt.date
    complete: bool
    lines: list[NamedLine]

    @property
    def count(self) -> int:
        """
        How many names there are.
        """
        return sum(line.name is not None for line in self.lines)


class NotToday(msgspec.Struct, frozen=True, kw_only=True):
    """
    Another day than the office's own was asked for.
    """

    today: str
    readable_from: str | None
    """When that day begins at the office; None for one that is over."""


class NoVisitsKnown(msgspec.Struct, frozen=True, kw_only=True):
    """
    Nobody was ever awaited at such an office, so not even its time is known.
    """


async def read_names(connection: Connection, ask: Reading, *, vault: Vault) -> Names | NotToday | NoVisitsKnown:
    """
    Open the names of the day, if it is today, and write down who reads them.
    """
    office = await visits.read_time(connection, ask.office_id)
    if office is None:
        return NoVisitsKnown()
    today = office.today()
    if ask.date is not None and ask.date != today:
        opens = office.begins(ask.date).isoformat() if ask.date > today else None
        return NotToday(today=today.isoformat(), readable_from=opens)
    lines = await visits.read_day(connection, ask.office_id, today, limit=ask.lines_max + 1)
    named = await _named(connection, lines[: ask.lines_max], vault)
    names = Names(office=office, date=today, complete=len(lines) <= ask.lines_max, lines=named)
    await entries.write(connection, _deed(ask, names))
    return names


async def _named(connection: Connection, lines: Sequence[Line], vault: Vault) -> list[NamedLine]:
    names = await _opened(connection, [line.person_id for line in lines], Field.FULL_NAME, vault)
    namesakes = said_twice(names.values())
    alike = [person_id for person_id, name in names.items() if name.casefold() in namesakes]
    niks = await _opened(connection, alike, Field.NIK, vault) if alike else {}
    return [
        NamedLine(
            line=line,
            name=names.get(line.person_id),
            nik=masked(niks[line.person_id]) if line.person_id in niks else None,
        )
        for line in lines
    ]


async def _opened(connection: Connection, person_ids: Sequence[str], field: Field, vault: Vault) -> Mapping[str, str]:
    opened = await vault.read(connection, person_ids, [field])
    return {owner_id: value for (owner_id, _), value in opened.items()}


def _deed(ask: Reading, names: Names) -> Deed:
    date = names.date.isoformat()
    return Deed(
        actor=ask.actor,
        action="read_names",
        subject=f"{ask.office_id}/{date}",
        office_id=ask.office_id,
        reason=REASON,
        details={"date": date, "form": ask.form, "lines": len(names.lines), "names": names.count},
    )
