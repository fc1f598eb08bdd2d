"""
Who takes part in a release and how each behaves, drawn from a seed.

Pure: the same seed gives the same crowd. Called by `ops.release.run`; never does
input or output.
"""

import dataclasses
import enum
import random
from collections.abc import Sequence


class Ending(enum.Enum):
    """
    What a citizen does with the places once he holds them.
    """

    PAYS = "pays"
    NEVER_PAYS = "never_pays"
    CANCELS = "cancels"
    GIVES_BACK = "gives_back"


class Quirk(enum.Enum):
    """
    How a citizen asks.
    """

    NONE = "none"
    RETRIES = "retries"
    """Sends the same request again with the same key, after the answer."""
    DOUBLE_CLICKS = "double_clicks"
    """Sends it twice at once."""
    TRIES_SECOND = "tries_second"
    """Tries to hold another slot beside the first."""


ENDINGS = {Ending.PAYS: 70, Ending.NEVER_PAYS: 15, Ending.CANCELS: 10, Ending.GIVES_BACK: 5}
"""How often each, in hundred."""
QUIRKS = {Quirk.NONE: 64, Quirk.RETRIES: 12, Quirk.DOUBLE_CLICKS: 12, Quirk.TRIES_SECOND: 12}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    An account ready to reserve.
    """

    account_id: str
    person_ids: tuple[str, ...]
    access_token: str
    hot_pass: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """
    An account with a wish, a temper and a moment at which he presses the button.
    """

    account: Account
    wish: str
    """slot_id of his first choice."""
    ending: Ending
    quirk: Quirk
    delay_seconds: float
    """From the opening to his first request."""
    key: str
    """Idempotency-Key, chosen before the first try."""


def crowd(
    accounts: Sequence[Account], slot_ids: Sequence[str], *, rng: random.Random, rush_seconds: float
) -> list[Citizen]:
    """
    Give every account its behaviour. Most come in the first moments, as in life.
    """
    endings = rng.choices(list(ENDINGS), list(ENDINGS.values()), k=len(accounts))
    quirks = rng.choices(list(QUIRKS), list(QUIRKS.values()), k=len(accounts))
    return [
        Citizen(
            account=account,
            wish=rng.choice(slot_ids),
            ending=ending,
            quirk=quirk,
            delay_seconds=min(rng.expovariate(4 / rush_seconds), rush_seconds),
            key=f"release-{rng.getrandbits(64):016x}",
        )
        for account, ending, quirk in zip(accounts, endings, quirks, strict=True)
    ]
