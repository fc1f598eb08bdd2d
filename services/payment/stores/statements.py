"""
The room's SQL, loaded once from every file in `sql/`.

Called by the other stores, and by commands for the migrations.
"""

from pathlib import Path
from typing import Final

from kernel.sql import load_queries

SCHEMA: Final = "payment"
_FOLDER: Final = Path(__file__).parent.parent / "sql"
MIGRATIONS: Final = _FOLDER / "migrations"
SQL: Final = load_queries(_FOLDER)
