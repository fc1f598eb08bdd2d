"""
What the stack says when it cannot do its work.

Raised anywhere in `ops`, shown by the command line as one sentence without a
traceback. Never used for what a program did wrong inside: that keeps its traceback.
"""


class StackError(Exception):
    """
    The stack cannot do what was asked. The message is for the person who asked.
    """
