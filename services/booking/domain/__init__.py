"""
What booking knows without asking anybody: lives, calendars, windows, plans and sequences.

Called by every floor above. Pure: time and identity are arguments, there is no network,
no clock and no driver.
"""
