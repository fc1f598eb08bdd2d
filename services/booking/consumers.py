"""
The doors facts come in by: quota's decisions and the news of payments.

Called by wiring; hands batches to the use cases and decides nothing.
"""

from functools import partial

from contracts.envelope import Envelope, unseal
from contracts.topics import PAYMENT_EVENTS, QUOTA_EVENTS
from kernel.kafka.consumer import Reading
from kernel.postgres import Database
from services.booking.use_cases import paying, recording

QUOTA_GROUP = "booking.quota-events"


def quota_events(database: Database) -> Reading[Envelope]:
    """
    Record what quota decided.
    """
    return Reading(
        group=QUOTA_GROUP, topics=(QUOTA_EVENTS.name,), decode=unseal, handle=partial(recording.record, database)
    )


def payment_events(database: Database) -> Reading[Envelope]:
    """
    Take in what payment reports.
    """
    return Reading(
        group=paying.CONSUMER, topics=(PAYMENT_EVENTS.name,), decode=unseal, handle=partial(paying.take, database)
    )
