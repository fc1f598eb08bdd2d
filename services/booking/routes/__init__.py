"""
The doors people ask by: offices for everyone, bookings for their holder, the desk for officers, plans for planners.
"""

from services.booking.routes.bookings import BOOKING_ROUTES
from services.booking.routes.booklets import BOOKLET_ROUTES
from services.booking.routes.counter import COUNTER_ROUTES
from services.booking.routes.day_sheet import DAY_SHEET_ROUTES
from services.booking.routes.incidents import INCIDENT_ROUTES
from services.booking.routes.leaves import LEAF_ROUTES
from services.booking.routes.moves import MOVE_ROUTES
from services.booking.routes.offices import OFFICE_ROUTES
from services.booking.routes.planning import PLANNING_ROUTES
from services.booking.routes.uploads import UPLOAD_ROUTES
from services.booking.routes.visits import VISIT_ROUTES
from services.booking.routes.waitlist import WAITLIST_ROUTES

ROUTES = (
    *OFFICE_ROUTES,
    *BOOKING_ROUTES,
    *COUNTER_ROUTES,
    *WAITLIST_ROUTES,
    *VISIT_ROUTES,
    *DAY_SHEET_ROUTES,
    *INCIDENT_ROUTES,
    *LEAF_ROUTES,
    *UPLOAD_ROUTES,
    *MOVE_ROUTES,
    *PLANNING_ROUTES,
    *BOOKLET_ROUTES,
)
"""The table that is served and documented."""
