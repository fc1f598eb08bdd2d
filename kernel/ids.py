"""
Identifiers: fresh ones that sort by time, and derived ones that come out the same on every try.

Called wherever an id is chosen before the first write. Never talks to anything.
"""

import hashlib

import uuid_utils


def fresh(prefix: str) -> str:
    """
    A new id such as `acc_0198…`: UUIDv7 (RFC 9562), so ids of one table cluster by time.
    """
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def derived(prefix: str, *parts: str) -> str:
    """
    The same id for the same parts, on every machine, for ever: 128 bits of BLAKE2b.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.blake2b(digest_size=16)
    for raw in map(str.encode, parts):
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return f"{prefix}_{digest.hexdigest()}"
