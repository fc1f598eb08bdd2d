"""
Quota's door to the street: reservations, and what is free, once or as it changes.

Called by aiohttp through the route table, which is also what the API document is made of.
"""

from typing import Final

from services.quota.routes import availability, reservations
from services.quota.routes.availability import AVAILABILITY, STREAM_WRITE_SECONDS, STREAMS
from services.quota.routes.parts import CATALOGUE
from services.quota.routes.reservations import HOLDS
from services.quota.routes.reserving import REFUSALS, RESERVATIONS, SOLD_OUT_ANSWERS, ReservationBody, SoldOutAnswers

__all__ = [
    "AVAILABILITY",
    "CATALOGUE",
    "HOLDS",
    "REFUSALS",
    "RESERVATIONS",
    "ROUTES",
    "SOLD_OUT_ANSWERS",
    "STREAMS",
    "STREAM_WRITE_SECONDS",
    "ReservationBody",
    "SoldOutAnswers",
]

ROUTES: Final = (*reservations.ROUTES, *availability.ROUTES)
"""The table that is served and documented."""
