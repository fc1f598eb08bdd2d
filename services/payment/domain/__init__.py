"""
What payment knows without asking anybody: codes, amounts, signatures, verdicts.

Called by use cases and routes. Pure: no clock, no driver, no store.
"""
