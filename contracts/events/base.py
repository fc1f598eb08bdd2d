"""
What every event is. Imported by the modules of this package alone, and by whoever handles any event.
"""

from typing import ClassVar

import msgspec

from contracts.topics import Topic


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that has happened. `TYPE` is its CloudEvents type, `TOPIC` where it is told.
    """

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]
