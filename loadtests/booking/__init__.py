"""
What Postgres is asked to do for booking, measured: `python -m loadtests.booking` (`make bench-booking`).

A module per figure; `stand.py` has the stores and the databases they share.
"""
