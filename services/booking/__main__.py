"""
Which process or command of booking this is: `python -m services.booking api|worker|migrate|…`.

Called by the supervisor and by `antrean`. Processes live in `app.py`; commands do one
thing in one transaction, say what they did in a line, and end.
"""

import asyncio
import datetime as dt
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from kernel import log, migrate, process
from kernel.audit import command
from kernel.errors import Retryable
from kernel.postgres import Database, database
from kernel.process import settings_or_exit
from services.booking import app as wiring
from services.booking.settings import CommandSettings, SandboxSettings
from services.booking.stores import moves as move_store
from services.booking.stores import offices as office_store
from services.booking.stores import slots as slot_store
from services.booking.stores.statements import MIGRATIONS
from services.booking.use_cases import no_shows, planning, seeding, snapshotting
from services.booking.use_cases.exporting import export as export_lines
from services.booking.use_cases.planning import NothingToPlan
from services.booking.use_cases.seeding import BadSeed

T = TypeVar("T")
SEED = Path(__file__).parents[2] / "deploy" / "seed"
"""A log of years is read in one go."""
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Booking: offices, slots and every booking's life.")
window = typer.Typer(no_args_is_help=True, help="Windows in which places are released.")
cli.add_typer(window, name="window")
audit_log = typer.Typer(no_args_is_help=True, help="What staff did: sealed lines, and whether anybody touched them.")
cli.add_typer(audit_log, name="audit-log")


def duration(text: str) -> dt.timedelta:
    """
    `30s`, `5m`, `2h` or `1d`.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration: write 30s, 5m, 2h or 1d")
    return dt.timedelta(seconds=int(found[1]) * UNIT_SECONDS[found[2]])


@cli.command()
def api() -> None:
    """
    Serve offices and bookings over HTTP.
    """
    process.run("booking-api", wiring.api)


@cli.command()
def worker() -> None:
    """
    Record, expire and tell.
    """
    process.run("booking-worker", wiring.worker)


@cli.command(name="migrate")
def migrate_schema() -> None:
    """
    Bring the schema up to date.
    """
    log.configure("booking-migrate", "info")
    settings = settings_or_exit(CommandSettings)
    asyncio.run(migrate.migrate(settings.postgres, schema=wiring.SCHEMA, folder=MIGRATIONS))


@cli.command()
def seed(
    offices: Annotated[Path, typer.Option()] = SEED / "offices.csv",
    holidays: Annotated[Path, typer.Option()] = SEED / "holidays.csv",
    calendar: Annotated[Path, typer.Option()] = SEED / "calendar.toml",
    booklets: Annotated[Path, typer.Option()] = SEED / "booklets.csv",
) -> None:
    """
    Load offices, holidays, the calendar and booklets, and plan the coming week. Doing it again changes nothing.
    """

    async def work(db: Database) -> str:
        content = seeding.read_seed(offices=offices, holidays=holidays, calendar=calendar, booklets=booklets)
        async with db.transaction() as connection:
            changed = await seeding.load(connection, content)
            now = await office_store.read_now(connection)
            planned, _ = await planning.plan_coming_week(connection, now=now)
        return (
            f"seeded {len(content.offices)} offices ({changed} new or changed), {len(content.holidays)} holidays; "
            f"planned {planned.slots} slots with {planned.places} places from {planned.first_day} "
            f"to {planned.last_day} ({planned.changed} new or changed)"
        )

    _say(work)


@window.command(name="open")
def open_window(
    opens_in: Annotated[str, typer.Option("--in", metavar="DURATION", help="From now.")] = "0s",
    open_for: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long.")] = "2h",
    office: Annotated[list[str] | None, typer.Option(help="Only this office; may be repeated.")] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Only this day of the coming week.")] = None,
    pay_within: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Payment deadline; the calendar's by default.")
    ] = None,
) -> None:
    """
    Open a window for the coming week's slots.
    """
    wait, length = duration(opens_in), duration(open_for)
    pay_seconds = None if pay_within is None else int(duration(pay_within).total_seconds())
    if not length or pay_seconds == 0:
        raise typer.BadParameter("a window and a payment deadline last longer than nothing")
    try:
        day = None if date is None else dt.date.fromisoformat(date)
    except ValueError:
        raise typer.BadParameter(f"{date!r} is no date: write YYYY-MM-DD") from None

    async def work(db: Database) -> str:
        async with db.transaction() as connection:
            opened = await planning.open_window(
                connection,
                now=await office_store.read_now(connection),
                opens_in=wait,
                open_for=length,
                office_ids=sorted(set(office or ())),
                day=day,
                pay_seconds=pay_seconds,
            )
        return (
            f"window opens {opened.opens_at:%Y-%m-%dT%H:%M:%SZ} and closes {opened.closes_at:%Y-%m-%dT%H:%M:%SZ}: "
            f"{opened.offices} offices, {opened.slots} slots, {opened.places} places from {opened.first_day} "
            f"to {opened.last_day}, {opened.pay_seconds} s to pay"
        )

    _say(work)


@window.command(name="list")
def list_windows() -> None:
    """
    Windows of the last seven days, now and to come.
    """

    async def work(db: Database) -> str:
        async with db.connection() as connection:
            windows = await slot_store.read_windows(connection, now=await office_store.read_now(connection))
        lines = [f"{'state':9}{'opens (UTC)':21}{'closes (UTC)':21}{'slots':>7}{'places':>8}  for"]
        for each in windows:
            state = "closed" if each.over else "open" if each.begun else "not open"
            scope = each.office_id or each.timezone or "the whole nation"
            lines.append(
                f"{state:9}{each.opens_at:%Y-%m-%d %H:%M:%S}  {each.closes_at:%Y-%m-%d %H:%M:%S}  "
                f"{each.slots:>7}{each.places:>8}  {scope}, {each.first_day} to {each.last_day}"
            )
        return "\n".join(lines)

    _say(work)


@cli.command()
def export(out: Annotated[Path, typer.Option(help="Where the JSON lines go.")]) -> None:
    """
    Write slots, bookings and watermarks of one moment as JSON lines.
    """

    async def work(db: Database) -> str:
        return f"exported {await export_lines(db, out)} lines to {out}"

    _say(work)


@cli.command()
def unseated(limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 1000) -> None:
    """
    Money without places, oldest first.
    """

    async def work(db: Database) -> str:
        async with db.connection() as connection:
            listed = await move_store.read_unseated(connection, limit=limit)
        lines = [f"{'since (UTC)':21}{'booking':38}{'rupiah':>10}  {'NTPN':18}now"]
        for each in listed:
            now = "sought" if each.sought else "refund asked" if each.refund_asked_at else each.state
            since = f"{each.unseated_at:%Y-%m-%d %H:%M:%S}"
            lines.append(f"{since:21}{each.booking_id:38}{each.amount_rupiah:>10}  {each.ntpn:18}{now}")
        return "\n".join(lines)

    _say(work)


@cli.command(name="end-day")
def end_day(
    office: Annotated[str, typer.Option(help="Whose day.")],
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Which; it may not have come yet.")],
) -> None:
    """
    End an office's day now, in a sandbox: whoever has not come is a no-show.
    """
    settings = settings_or_exit(SandboxSettings)
    try:
        day = dt.date.fromisoformat(date)
    except ValueError:
        raise typer.BadParameter(f"{date!r} is no date: write YYYY-MM-DD") from None

    async def work(db: Database) -> str:
        missed = await no_shows.end_day(db, office, day, block_days=settings.no_show_block_days)
        return f"{date} is over at {office}: {missed} bookings nobody came for"

    _say(work)


@cli.command()
def snapshot(
    out: Annotated[Path, typer.Option(help="Where the lines go; - is standard output.")],
    recorded: Annotated[
        str,
        typer.Option(
            help="Wait until this is recorded: partition:epoch:seq, by commas; - is read from standard input."
        ),
    ] = "",
    wait: Annotated[float, typer.Option(help="How many seconds.", min=0, max=3600)] = 30.0,
) -> None:
    """
    Write what quota is rebuilt from, of one moment, once everything it has told is recorded.
    """
    if recorded == "-":
        recorded = _line()
    try:
        wanted = snapshotting.lines_of(recorded)
    except ValueError:
        raise typer.BadParameter(f"{recorded!r} is no list of partition:epoch:seq") from None

    async def work(db: Database) -> str:
        await snapshotting.wait_until_recorded(db, wanted, patience_seconds=wait)
        with sys.stdout.buffer if str(out) == "-" else out.open("wb") as file:

            async def take(lines: bytes) -> None:
                file.write(lines)

            return f"{await snapshotting.snapshot(db, take)} bookings in {out}"

    _say(work, err=True)


def _line() -> str:
    """
    A whole line of standard input; half of one is a caller that is gone.
    """
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        sys.exit("no snapshot: nobody has said what must be recorded")
    return line.rstrip("\n")


@audit_log.command()
def verify(
    database_url: Annotated[str | None, typer.Option(help="Another database than DATABASE_URL.")] = None,
    expect: Annotated[
        list[str] | None, typer.Option(metavar="HEAD:HASH", help="A head as the worker's log told it; may be repeated.")
    ] = None,
) -> None:
    """
    Name every line that was changed, removed or reordered. The last line is JSON; exit code 1 if there is any.
    """
    try:
        sys.exit(command.verify(wiring.SCHEMA, database_url=database_url, expect=expect or ()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _say(work: Callable[[Database], Awaitable[str]], *, err: bool = False) -> None:
    """
    Run a command against Postgres; print its line, or one sentence of what is wrong and exit with 1.
    """
    log.configure("booking-command", "warning")
    settings = settings_or_exit(CommandSettings)

    async def run() -> str:
        async with database(settings.postgres, schema=wiring.SCHEMA) as db:
            return await work(db)

    try:
        typer.echo(asyncio.run(run()), err=err)
    except (Retryable, BadSeed, NothingToPlan) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    cli()
