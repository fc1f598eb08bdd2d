"""
Seal everything with the current key, after a rotation.

Called by `python -m services.identity rewrap`, as often as one likes, beside running
processes: batches are transactions of their own, and rows others hold are taken later.
"""

from kernel.log import get_logger
from kernel.postgres import Database
from services.identity.stores.vault import Vault

BATCH_ROWS_MAX = 500
log = get_logger(__name__)


async def rewrap(database: Database, vault: Vault) -> int:
    """
    Returns how many values were sealed anew.
    """
    total = 0
    while True:
        async with database.transaction() as connection:
            rows = await vault.rewrap(connection, rows_max=BATCH_ROWS_MAX)
        if rows == 0:
            log.info("vault_rewrapped", values=total, key_version=vault.current)
            return total
        total += rows
