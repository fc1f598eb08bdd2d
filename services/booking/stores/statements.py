"""
The room's SQL, loaded once, and rows as JSON: sets go to Postgres as one document.

Called by the other stores.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from kernel.sql import load_queries

SQL: Final = load_queries(Path(__file__).parent.parent / "sql")
MIGRATIONS: Final = Path(__file__).parent.parent / "sql" / "migrations"
_encoder = msgspec.json.Encoder()


def as_json(value: Any) -> str:
    """
    A value for a `json` parameter.
    """
    return _encoder.encode(value).decode()
