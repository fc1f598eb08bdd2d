"""
Pictures drawn from the code: the life of a booking, from its table of steps.

Called by `ops.docs`, which writes them and says when they are stale. Never drawn by hand.
"""

import importlib
from collections.abc import Iterable
from typing import Any, Final

_HEAD: Final = """\
# The life of a booking

Drawn by `antrean docs` from `TRANSITIONS` of `services/booking/domain/lifecycle.py`. The same table stands in Postgres
as `booking_may_become`, which refuses every other step. States with a thick border keep their places; those with a
colour also keep their people from reserving elsewhere.

```mermaid
stateDiagram-v2
    direction LR
"""
_STYLES: Final = """\
    classDef places stroke-width:3px
    classDef persons stroke-width:3px,fill:#e8f0fe
"""


def booking_life() -> str:
    """
    The states, the steps between them, how a life may begin and where it ends.
    """
    life = importlib.import_module("services.booking.domain.lifecycle")
    lines = [f"    [*] --> {state}" for state in _in_order(life.State, life.FIRST)]
    for before in life.State:
        afters = life.TRANSITIONS[before]
        lines += [f"    {before} --> {after}" for after in _in_order(life.State, afters)]
        if not afters:
            lines.append(f"    {before} --> [*]")
    lines += [f"    class {state} persons" for state in _in_order(life.State, life.KEEPS_PERSONS)]
    lines += [f"    class {state} places" for state in _in_order(life.State, life.KEEPS_PLACES - life.KEEPS_PERSONS)]
    return _HEAD + "\n".join(lines) + "\n" + _STYLES + "```\n\n" + _table(life)


def _table(life: Any) -> str:
    rows = ["| state | may become | keeps its places | keeps its people |", "|---|---|---|---|"]
    for state in life.State:
        afters = ", ".join(f"`{after}`" for after in _in_order(life.State, life.TRANSITIONS[state])) or "nothing more"
        kept = f"{_said(state, life.KEEPS_PLACES)} | {_said(state, life.KEEPS_PERSONS)}"
        rows.append(f"| `{state}` | {afters} | {kept} |")
    return "\n".join(rows) + "\n"


def _said(state: Any, states: Iterable[Any]) -> str:
    return "yes" if state in states else "no"


def _in_order(every: Iterable[Any], some: Iterable[Any]) -> list[Any]:
    chosen = set(some)
    return [each for each in every if each in chosen]
