"""
What quota counts. Names here are what dashboards and alerts may ask for.

Resolved once per label value: `.labels()` locks and builds strings.
"""

from typing import Final

from kernel import metrics
from services.quota.domain.decisions import Refusal

decisions = metrics.counter("quota_decisions_total", "Reservations decided by Valkey, by outcome.", ("outcome",))
decide_seconds = metrics.histogram("quota_decide_seconds", "Time from asking Valkey to its decision.")
batch_asks = metrics.sizes("quota_batch_asks", "Asks sent to Valkey in one write.")
decisions_underway = metrics.gauge("quota_decisions_underway", "Reservations being decided by this process.")
gate_refusals = metrics.counter("quota_gate_refusals_total", "Sold-out answers given without asking Valkey.")
decisions_limit = metrics.gauge("quota_decisions_limit", "Reservations this process lets in at once, as learned.")
turned_away_total = metrics.counter(
    "quota_turned_away_total", "Reservations nothing was asked for: too many at once, or too old on arrival.", ("why",)
)
stream_entries = metrics.gauge(
    "quota_stream_entries",
    "Entries of its partitions a relay keeps until booking has recorded them; the holds of a pass share one.",
)
relay_published = metrics.counter("quota_relay_published_total", "Decisions the broker has acknowledged.")
relay_lag = metrics.gauge("quota_relay_lag_entries", "Decisions of its partitions a relay has not yet told to Kafka.")
relay_again = metrics.counter(
    "quota_relay_told_again_total", "Times a partition was told again from its watermark.", ("why",)
)
relay_partitions = metrics.gauge("quota_relay_partitions", "Partitions this relay tells.")
relay_moves = metrics.counter(
    "quota_relay_partition_moves_total", "Partitions this relay has taken, given up or lost to another.", ("how",)
)
untold_partitions = metrics.gauge("quota_untold_partitions", "Partitions no relay has a lease of.")
seats = metrics.gauge("quota_seats", "Places of all slots by state.", ("state",))
unbalanced_slots = metrics.gauge("quota_unbalanced_slots", "Slots whose books do not add up.")
ready = metrics.gauge("quota_ready", "1 while plans are known and every partition may sell.")
partitions_closed = metrics.gauge(
    "quota_partitions_closed",
    "Partitions that sell nothing: not compared yet, or stopped until their rebuild.",
    ("why",),
)
claims_swept = metrics.counter("quota_claims_swept_total", "Old claims looked after, by what was found.", ("found",))
no_alternatives = metrics.counter(
    "quota_no_alternatives_total", "Sold-out answers that could not say in time what else is free."
)
free_reads = metrics.counter("quota_free_reads_total", "Times an office's free places were read from Valkey.")
stream_listeners = metrics.gauge("quota_stream_listeners", "Open streams of availability.")
stream_frames = metrics.counter("quota_stream_frames_total", "Frames encoded, each for all who listen to its view.")
streams_ended = metrics.counter("quota_streams_ended_total", "Streams that ended or were refused, by why.", ("why",))
wishes = metrics.counter(
    "quota_wishes_total", "Places booking wanted, by why it wanted them and what came of it.", ("why", "outcome")
)
followed = metrics.counter("quota_followed_total", "What booking said, by effect.", ("effect",))

OUTCOMES: Final = ("held", "replayed", "unknown", *(refusal.value for refusal in Refusal))
decided: Final = {outcome: decisions.labels(outcome) for outcome in OUTCOMES}
"""`quota_decisions_total` by outcome."""
turned_away: Final = {why: turned_away_total.labels(why) for why in ("busy", "late")}
"""`quota_turned_away_total` by reason."""
