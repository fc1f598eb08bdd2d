"""
What identity counts.

Children are resolved here once; use cases and routes only call `inc`.
"""

from kernel.metrics import counter

_accounts = counter("identity_accounts_total", "Accounts that reached a state.", ("state",))
accounts_pending = _accounts.labels("pending_activation")
accounts_active = _accounts.labels("active")

tokens = counter(
    "identity_tokens_total",
    "Log-ins by outcome: issued, wrong_credentials, not_active, limited, busy.",
    ("outcome",),
)
passes = counter("identity_passes_total", "Passes issued.")
persons = counter(
    "identity_persons_total",
    "Persons asked for by outcome: added, already_yours, belongs_elsewhere, card_differs, limit_reached.",
    ("outcome",),
)
registry_unanswered = counter(
    "identity_registry_unanswered_total", "Questions to the population registry without an answer in time."
)
name_sheets = counter(
    "identity_name_sheets_total",
    "Name sheets officers asked for by outcome: read, not_today, no_visits.",
    ("outcome",),
)
names_read = counter("identity_names_read_total", "Names opened for officers of the day's office.")
