"""
Who a caller is, once his token or pass has been verified.
"""

import msgspec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """
    An account, the people it may act for, and what else it may do.
    """

    account_id: str
    person_ids: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    expires_at_ms: int
