"""
What notify counts.
"""

from kernel.metrics import counter, gauge

mails = counter(
    "notify_mails_total",
    "Tries to send a mail: sent, found (in doubt, and it had been sent), resent (in doubt, nobody could tell), "
    "refused (tried again later), unknown (no answer), failed (given up).",
    ("template", "outcome"),
)
unsent_messages = gauge("notify_unsent_messages", "Mails queued, being sent or in doubt.")
