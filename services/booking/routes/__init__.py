"""
The doors people ask by: offices for everyone, bookings for their holder.
"""

from services.booking.routes.bookings import BOOKING_ROUTES
from services.booking.routes.counter import COUNTER_ROUTES
from services.booking.routes.moves import MOVE_ROUTES
from services.booking.routes.offices import OFFICE_ROUTES
from services.booking.routes.waitlist import WAITLIST_ROUTES

ROUTES = (*OFFICE_ROUTES, *BOOKING_ROUTES, *MOVE_ROUTES, *COUNTER_ROUTES, *WAITLIST_ROUTES)
"""The table that is served and documented."""
