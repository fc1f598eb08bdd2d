"""
What identity keeps and asks: accounts, persons, visits, the vault, hashing threads, the population registry.

Called by use cases with the connection of their transaction. Statements are named blocks
of the files in `sql/`; every one takes arrays, so that one and a thousand go the same way.
"""

from pathlib import Path

from kernel.sql import load_queries

ROOM = Path(__file__).parent.parent
SQL = load_queries(ROOM / "sql")
