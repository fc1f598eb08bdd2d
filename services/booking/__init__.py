"""
Booking: offices, calendars, windows, slots as planned, and the life of every booking.

Alone decides what becomes of a hold once quota has made it.
"""
