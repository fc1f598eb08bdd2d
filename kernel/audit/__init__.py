"""
The audit log of a room: lines in the transaction of the deed, sealed in a chain, signed, and checked.

A room that keeps one has the tables of its own migrations; which room's they are is the connection's schema.
"""
