"""
The doors people ask by: offices for everyone, bookings for their holder, plans for planners.
"""

from services.booking.routes.bookings import BOOKING_ROUTES
from services.booking.routes.moves import MOVE_ROUTES
from services.booking.routes.offices import OFFICE_ROUTES
from services.booking.routes.planning import PLANNING_ROUTES

ROUTES = (*OFFICE_ROUTES, *BOOKING_ROUTES, *MOVE_ROUTES, *PLANNING_ROUTES)
"""The table that is served and documented."""
