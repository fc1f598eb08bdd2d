"""
`python -m loadtests.rebuild`: a million reservations in Postgres, an empty Valkey, and `antrean rebuild`.

Called by hand and by the bench, through `measure`. A stack of stores only, thrown away afterwards;
bookings are put into Postgres in bulk, two thirds of them paid. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import asyncpg

from kernel.settings import ValkeySettings
from ops import rooms
from ops.errors import StackError
from ops.rebuild import rebuild
from ops.stack import Stack
from services.quota.keys import Keys
from services.quota.stores.ledger import Ledger
from services.quota.stores.opening import open_valkey

Say = Callable[[str], None]
HOLDS: Final = 1_000_000
FILL_SECONDS_MAX: Final = 300.0
CALL_SECONDS: Final = 30.0
FILL: Final = """
INSERT INTO booking (booking_id, account_id, slot_id, seats, person_ids, state, pay_by, held_at, partition, epoch, seq,
    ntpn, paid_at, amount_rupiah, version)
SELECT 'rsv_' || md5('r' || n), 'acc_' || md5('a' || n), s.slot_id, ARRAY[1 + n / $2::integer],
    ARRAY['per_' || md5('p' || n)],
    CASE WHEN n % 3 = 0 THEN 'held' ELSE 'confirmed' END, now() + interval '2 hours', now(), 0, 1, n + 1,
    'n' || n, now(), 350000, CASE WHEN n % 3 = 0 THEN 1 ELSE 2 END
FROM generate_series(0, $1::integer - 1) AS n
JOIN (SELECT slot_id, row_number() OVER (ORDER BY slot_id) - 1 AS number FROM slot) AS s ON s.number = n % $2::integer
"""


async def measure(folder: Path, *, holds: int, say: Say) -> dict[str, Any]:
    """
    Rebuild that many holds. Returns the rebuild's figures, with `seconds` from stop to open.
    """
    async with Stack(folder, services=False, kafka="embedded", ports="free", say=say) as stack:
        await rooms.command("booking", "migrate", env=stack.env)
        await rooms.command("booking", "seed", env=stack.env)
        await _fill(stack.env["DATABASE_URL"], holds)
        say(f"{holds:,} bookings are in Postgres")
        rebuilt = await rebuild(stack.env, wait_seconds=5, say=say)
        counted = await _counted(stack.env["VALKEY_URL"], int(stack.env["PARTITIONS"]))
        if counted != holds:
            raise StackError(f"{holds:,} bookings keep a place each, the slots of Valkey add up to {counted:,}")
        return dict(rebuilt.figures)


async def _fill(database_url: str, holds: int) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "booking"}, timeout=CALL_SECONDS)
    try:
        # Their histories, seats and events are not what is read; nobody else writes here.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE slot SET capacity = $1", holds // 1000)
        slots = await connection.fetchval("SELECT count(*)::integer FROM slot")
        await connection.execute(FILL, holds, slots, timeout=FILL_SECONDS_MAX)
        await connection.execute("VACUUM ANALYZE booking", timeout=FILL_SECONDS_MAX)
    finally:
        await connection.close()


async def _counted(valkey_url: str, partitions: int) -> int:
    settings = ValkeySettings(url=valkey_url, partitions=partitions, call_timeout_seconds=CALL_SECONDS)
    async with open_valkey(settings) as valkey:
        ledger = Ledger(valkey, Keys(partitions))
        return sum(books["held"] + books["confirmed"] for books in await ledger.books(await ledger.slot_ids()))


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtests.rebuild", description="How long a rebuild takes.")
    parser.add_argument("--holds", type=int, default=HOLDS, help="how many")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="antrean-rebuild-") as name:
        # Postgres, run as another account when we are root, must be able to pass through.
        Path(name).chmod(0o755)
        try:
            figures = asyncio.run(
                measure(Path(name) / "state", holds=given.holds, say=lambda line: print(line, flush=True))
            )
        except StackError as error:
            sys.exit(f"rebuild: {error}")
    print(json.dumps({"rebuild_seconds": figures["seconds"], **figures}), flush=True)


if __name__ == "__main__":
    main()
