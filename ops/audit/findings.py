"""
What an audit can find, and the five numbers that must be zero.
"""

import collections
import enum
from collections.abc import Iterable

import msgspec


class Kind(enum.Enum):
    """
    The five ways to have broken a promise.
    """

    OVERSOLD = "oversold"
    LOST = "lost"
    UNBALANCED = "unbalanced_slots"
    MAIL_MISSING = "mails_missing"
    MAIL_DUPLICATE = "mails_duplicate"


class Store(enum.Enum):
    """
    Where the contradiction shows.
    """

    VALKEY = "valkey"
    POSTGRES = "postgres"
    EVENTS = "events"
    MAILS = "mails"
    CLIENTS = "clients"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    One contradiction, named.
    """

    kind: Kind
    store: Store
    subject: str
    """A slot_id or a booking_id."""
    sentence: str


def zeros(findings: Iterable[Finding]) -> dict[str, int]:
    """
    The five numbers. A subject counts once per kind, however many sentences it has.
    """
    subjects: dict[Kind, set[str]] = collections.defaultdict(set)
    for finding in findings:
        subjects[finding.kind].add(finding.subject)
    return {kind.value: len(subjects[kind]) for kind in Kind}
