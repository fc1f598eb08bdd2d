"""
What a bank says when it is asked, against what it reported; and how long it is asked.

Called by use cases. A push alone moves nothing: only a bank that says the same when asked does.
Silence is not no.
"""

import enum
from typing import Final

import msgspec

ASKS_MAX: Final = 32
"""With the pauses below about two hours, as long as a citizen may take to pay; then a person looks at it."""
ASK_PAUSE_SECONDS_MAX: Final = 300
SECOND_MS: Final = 1000


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """
    A payment as a bank tells it, pushed or asked.
    """

    billing_code: str
    amount_value: str
    currency: str
    ntpn: str
    journal_number: str
    paid_at_ms: int


class Nothing(enum.Enum):
    """
    No payment was told.
    """

    ABSENT = "absent"
    """The bank says that it knows of none. It may be behind its own notifications."""
    SILENT = "silent"
    """No answer in time, or none that can be read."""


Answer = Paid | Nothing


class Said(enum.Enum):
    """
    What an answer means for a report.
    """

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def compare(reported: Paid, answer: Answer) -> Said:
    """
    Whether the bank stands by its report, field by field. Moments may differ by less than a second: some banks cut it.
    """
    if isinstance(answer, Nothing):
        return Said.UNKNOWN
    same = msgspec.structs.replace(answer, paid_at_ms=reported.paid_at_ms) == reported
    return Said.SAME if same and abs(answer.paid_at_ms - reported.paid_at_ms) < SECOND_MS else Said.OTHER


def pause_seconds(asked: int) -> int:
    """
    How long to wait after the bank was asked `asked` times: twice as long each time, up to five minutes.
    """
    return min(ASK_PAUSE_SECONDS_MAX, 1 << min(asked, 20))
