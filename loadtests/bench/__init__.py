"""
Limits: how fast, how late, how large and how steady, in one run on one machine.

`python -m loadtests.bench` starts throw-away stacks, asks them at times fixed beforehand
(an open loop: a request due at t that is sent late counts from t), and prints a table and
one JSON object. Sends to loopback only, is bounded in time and requests, asserts nothing.
"""
