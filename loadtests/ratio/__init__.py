"""
Ratios: our reservation beside what it stands on and what one would build instead, in one run on one machine.

`python -m loadtests.ratio` starts a throw-away stack, pins the worker to one core and
everything else to another, measures every scenario several times in turn and prints
medians. Sends to loopback only, is bounded in time and requests, asserts nothing.
"""
