"""
What every room needs and no room owns: settings, log, metrics, HTTP, auth, Kafka, SQL and Lua.

The lowest floor of the house: it imports nothing of ours and knows no word of the domain.
"""
