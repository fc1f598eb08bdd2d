"""
The audit log's SQL, loaded once.

Called by the other modules of this folder.
"""

from pathlib import Path
from typing import Final

from kernel.sql import load_queries

SQL: Final = load_queries(Path(__file__).parent.parent / "sql" / "audit.sql")
