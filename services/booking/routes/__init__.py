"""
The doors people ask by: offices for everyone, bookings for their holder.
"""

from services.booking.routes.bookings import BOOKING_ROUTES
from services.booking.routes.moves import MOVE_ROUTES
from services.booking.routes.offices import OFFICE_ROUTES

ROUTES = (*OFFICE_ROUTES, *BOOKING_ROUTES, *MOVE_ROUTES)
"""The table that is served and documented."""
