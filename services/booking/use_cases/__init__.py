"""
What booking does: record, take payments, expire, cancel, plan, open windows, announce, export.

Called by routes, consumers, tasks of the worker and commands. Each decides with the domain
and writes through the stores, in one transaction with what it tells.
"""
