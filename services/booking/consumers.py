"""
The doors facts come in by: quota's decisions and the news of payments.

Called by wiring; hands batches to the use cases and decides nothing.
"""

import datetime as dt
from functools import partial

from contracts.envelope import Envelope, unseal
from contracts.topics import PAYMENT_EVENTS, QUOTA_EVENTS
from kernel.kafka.consumer import Reading
from kernel.postgres import Database
from services.booking.stores.visits import Visits
from services.booking.use_cases import paying, recording

QUOTA_GROUP = "booking.quota-events"
RECORDING_BATCH_MAX = 2000
"""What is in a transaction costs little more than the transaction; beyond this nothing is gained."""
RECORDING_BYTES = 256 * 1024
"""Some hundred reservations. A single one waits a tenth of a second for company."""
RECORDING_LANES = 2
"""While Postgres works for one, the other is prepared."""


def quota_events(database: Database, *, waitlist_hold: dt.timedelta) -> Reading[Envelope]:
    """
    Record what quota decided.
    """
    return Reading(
        group=QUOTA_GROUP,
        topics=(QUOTA_EVENTS.name,),
        decode=unseal,
        handle=partial(recording.record, database, Visits(), waitlist_hold=waitlist_hold),
        batch_max=RECORDING_BATCH_MAX,
        lanes=RECORDING_LANES,
        gather_bytes=RECORDING_BYTES,
    )


def payment_events(database: Database) -> Reading[Envelope]:
    """
    Take in what payment reports.
    """
    return Reading(
        group=paying.CONSUMER, topics=(PAYMENT_EVENTS.name,), decode=unseal, handle=partial(paying.take, database)
    )
