"""
The scripts of `lua/` and the names of their codes. Codes die here: callers get names.

A test ties these enums to the headers of the files.
"""

import enum
from pathlib import Path
from typing import Final

from kernel.lua import load_scripts

SCRIPTS: Final = load_scripts(Path(__file__).parent.parent / "lua")


class DecideCode(enum.IntEnum):
    """
    What `decide` answers about each ask.
    """

    HELD = 1
    ALREADY_HELD = 0
    UNKNOWN_SLOT = -1
    KEY_REUSED = -2
    ENDED = -3
    CHANNEL_NOT_PUBLIC = -4
    SLOT_CLOSED = -5
    WINDOW_NOT_OPEN = -6
    WINDOW_CLOSED = -7
    SOLD_OUT = -8
    CLAIM_TOO_OLD = -9
    STOPPED = -10
    UNBALANCED = -11
    ACCOUNT_ALREADY_RESERVED = -12
    PERSON_ALREADY_RESERVED = -13
    NO_SHOW_BLOCK = -14
    BROKEN = -15


class ReserveCode(enum.IntEnum):
    """
    What `reserve` answers about each ask.
    """

    HELD = 1
    ALREADY_HELD = 0
    UNKNOWN_SLOT = -1
    KEY_REUSED = -2
    ENDED = -3
    CHANNEL_NOT_PUBLIC = -4
    SLOT_CLOSED = -5
    WINDOW_NOT_OPEN = -6
    WINDOW_CLOSED = -7
    SOLD_OUT = -8
    CLAIM_TOO_OLD = -9
    STOPPED = -10
    UNBALANCED = -11
    BROKEN = -15


class ClaimCode(enum.IntEnum):
    """
    What `claim` answers about each ask.
    """

    CLAIMED = 1
    ENTERED_AGAIN = 0
    KEY_REUSED = -2
    ENDED = -3
    ACCOUNT_ALREADY_RESERVED = -12
    PERSON_ALREADY_RESERVED = -13
    NO_SHOW_BLOCK = -14
    BROKEN = -15


class UnclaimCode(enum.IntEnum):
    """
    What `unclaim` answers.
    """

    UNCLAIMED = 1
    NOT_CLAIMED = 0
    STILL_WANTED = -1


class WantClaimCode(enum.IntEnum):
    """
    What `want_claim` answers.
    """

    CLAIMED = 1
    ENTERED_AGAIN = 0
    ENDED = -3
    ACCOUNT_ALREADY_RESERVED = -12
    PERSON_ALREADY_RESERVED = -13
    NO_SHOW_BLOCK = -14
    TOO_LATE = -16


class WantCode(enum.IntEnum):
    """
    What `want` answers.
    """

    HELD = 1
    ALREADY_HELD = 0
    PASSED_OVER = -1
    REFUSED = -2
    ENDED = -3
    ALREADY_REFUSED = -4
    STOPPED = -10
    BROKEN = -15


class WantSettleCode(enum.IntEnum):
    """
    What `want_settle` answers.
    """

    HANDED_OVER = 1
    GIVEN_BACK = 0
    NOT_CLAIMED = -1


class BlockCode(enum.IntEnum):
    """
    What `block` answers.
    """

    BLOCKED = 1
    LIFTED = 2
    UNCHANGED = 0


class ApplySlotCode(enum.IntEnum):
    """
    What `apply_slot` answers.
    """

    APPLIED = 1
    NOT_NEWER = 0
    UNBALANCED = -1
    STOPPED = -2


class ReleaseCode(enum.IntEnum):
    """
    What `release` answers.
    """

    RELEASED = 1
    ALREADY_RELEASED = 0
    UNKNOWN_HOLD = -1
    UNBALANCED = -2
    STOPPED = -3
    NOT_CONFIRMED = -4


class ConfirmCode(enum.IntEnum):
    """
    What `confirm` answers.
    """

    CONFIRMED = 1
    ALREADY_CONFIRMED = 0
    UNKNOWN_HOLD = -1
    UNBALANCED = -2
    ENDED = -3
    STOPPED = -4


class AskGiveBackCode(enum.IntEnum):
    """
    What `ask_give_back` answers.
    """

    ASKED = 1
    ALREADY_ASKED = 0
    UNKNOWN_HOLD = -1
    ENDED = -2
    CONFIRMED = -3
    STOPPED = -4


class ClearCode(enum.IntEnum):
    """
    What `clear` answers.
    """

    CLEARED = 1
    UNCLEARED = 0
    BEHIND = -1
    STOPPED = -2


class RestoreSlotsCode(enum.IntEnum):
    """
    What `restore_slots` answers of each.
    """

    RESTORED = 1
    UNBALANCED = -1
    NOT_YOURS = -2


class ReopenCode(enum.IntEnum):
    """
    What `reopen` answers.
    """

    REOPENED = 1
    NOT_YOURS = -1


class EnrollCode(enum.IntEnum):
    """
    What `enroll` answers.
    """

    ENROLLED = 1
    LEFT = 0


class LeaseCode(enum.IntEnum):
    """
    What `lease` answers.
    """

    TAKEN = 2
    RENEWED = 1
    FREE = 0
    ELSEWHERE = -1


class UnleaseCode(enum.IntEnum):
    """
    What `unlease` answers.
    """

    GIVEN_UP = 1
    NOT_HELD = 0


class TrimCode(enum.IntEnum):
    """
    What `trim` answers.
    """

    TRIMMED = 1
    STALE = -1


class StopCode(enum.IntEnum):
    """
    What `stop` answers.
    """

    STOPPED = 1
    STALE = -1


CODES: Final[dict[str, type[enum.IntEnum]]] = {
    "decide": DecideCode,
    "reserve": ReserveCode,
    "claim": ClaimCode,
    "unclaim": UnclaimCode,
    "want_claim": WantClaimCode,
    "want": WantCode,
    "want_settle": WantSettleCode,
    "block": BlockCode,
    "apply_slot": ApplySlotCode,
    "release": ReleaseCode,
    "confirm": ConfirmCode,
    "ask_give_back": AskGiveBackCode,
    "clear": ClearCode,
    "restore_slots": RestoreSlotsCode,
    "reopen": ReopenCode,
    "enroll": EnrollCode,
    "lease": LeaseCode,
    "unlease": UnleaseCode,
    "trim": TrimCode,
    "stop": StopCode,
}
"""Which enum speaks for which script."""
