"""
What quota means by a reservation, a refusal, a window and a free place. Pure: no network, no clock, no driver.
"""
