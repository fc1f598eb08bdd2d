"""
The two error families that drive consumer loops, and the one for deadlines.

Raised by adapters, chained to the driver's own error; caught by `kernel.kafka.consumer`
and by the HTTP edge. Expected outcomes are values and never come this way.
"""


class Retryable(Exception):
    """
    May work later: wait, then try the same thing again with the same id.
    """


class Permanent(Exception):
    """
    Will never work: park the message with its reason and go on.
    """


class DeadlineExceeded(Retryable):
    """
    No answer in time. The outcome is unknown, which is not the same as no.
    """
