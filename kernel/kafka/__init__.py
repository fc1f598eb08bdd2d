"""
Kafka behind a port of our own: messages, a producer that never hangs, one consumer loop.

Rooms use these and never import the driver. Its traps (calls that hang for ever, lost
writes by default, stuck consumers) end here.
"""
