"""
Booking's tables, each file one kind of them: rows in and out, and nothing decided.

Called by use cases inside a transaction they hold. Statements are the named blocks of
`sql/queries.sql`.
"""
