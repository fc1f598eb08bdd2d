"""
How often a payer may be wrong about his journal number.

Called by the use case that checks proofs. Enough for typing errors, too few for guessing.
"""

from typing import Final

import msgspec

WRONG_PER_BOOKING_MAX: Final = 5
WRONG_PER_ACCOUNT_MAX: Final = 10
WINDOW_SECONDS: Final = 3600


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """
    A payer says that he has paid.
    """

    booking_id: str
    account_id: str
    journal_number: str
    key: str
    """The request's Idempotency-Key: trying the same again is not another attempt."""
