"""
The chain of the audit log: what a line's hash is of, how hashes follow one another, what a head signs.

Called by the sealing, which makes heads, and by the verifying, which makes them again and
compares. Pure: hashes and signatures of what it is given, nothing else.
"""

import base64
import binascii
import datetime as dt
import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

START: Final = bytes(32)
"""What the first line follows."""
KEY_BYTES: Final = 32
KID_CHARACTERS: Final = 16
_PLACE: Final = struct.Struct(">qq")
_ITEM: Final = struct.Struct(">q32s")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line of the audit log as Postgres writes it: numbers and JSON as text, so that nothing is rounded on the way.
    """

    entry_id: int
    at_us: str
    actor: str
    action: str
    subject: str
    office_id: str | None
    reason: str
    details: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """
    A line of a manifest: which line said what.
    """

    entry_id: int
    content: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """
    The signed end of a batch.
    """

    head_id: int
    first_number: int
    last_number: int
    chain: bytes
    manifest: bytes
    sealed_at: dt.datetime
    kid: str
    signature: bytes = b""


BEFORE_FIRST: Final = Head(
    head_id=0, first_number=0, last_number=0, chain=START, manifest=b"", sealed_at=_EPOCH, kid=""
)
"""What the first head follows."""


def content_of(line: Line) -> bytes:
    """
    The hash of what a line says. Its id is not in it: lines that have changed places are told from changed ones.
    """
    said = [line.at_us, line.actor, line.action, line.subject, line.office_id, line.reason, line.details]
    return hashlib.sha256(msgspec.json.encode(said)).digest()


def link(previous: bytes, *, number: int, item: Item) -> bytes:
    """
    The chain up to a line.
    """
    return hashlib.sha256(previous + _PLACE.pack(number, item.entry_id) + item.content).digest()


def chained(previous: bytes, items: Sequence[Item], *, first_number: int) -> list[bytes]:
    """
    The chain up to each of the lines.
    """
    chain = []
    for number, item in enumerate(items, first_number):
        previous = link(previous, number=number, item=item)
        chain.append(previous)
    return chain


def packed(items: Iterable[Item]) -> bytes:
    """
    A manifest.
    """
    return b"".join(_ITEM.pack(item.entry_id, item.content) for item in items)


def unpacked(manifest: bytes) -> list[Item]:
    """
    The lines of a manifest; of one whose length is wrong, those that are whole.
    """
    whole = len(manifest) - len(manifest) % _ITEM.size
    return [Item(entry_id=entry_id, content=content) for entry_id, content in _ITEM.iter_unpack(manifest[:whole])]


def signed_part(head: Head) -> bytes:
    """
    What a head's signature is of: everything else in it.
    """
    sealed_at_us = (head.sealed_at - _EPOCH) // dt.timedelta(microseconds=1)
    manifest = hashlib.sha256(head.manifest).hexdigest()
    said = [head.head_id, head.first_number, head.last_number, head.chain.hex(), manifest, sealed_at_us, head.kid]
    return msgspec.json.encode(["antrean-audit-head-1", *said])


class SealingKey:
    """
    Signs heads.
    """

    def __init__(self, encoded_seed: str) -> None:
        """
        Take a base64 seed of 32 bytes. Raises `ValueError` for anything else.
        """
        self._private = Ed25519PrivateKey.from_private_bytes(_bytes_of(encoded_seed))
        self.public = base64.b64encode(self._private.public_key().public_bytes_raw()).decode()
        self.kid = kid_of(self.public)

    def signature(self, head: Head) -> bytes:
        """
        The signature of everything else in a head.
        """
        return self._private.sign(signed_part(head))


class CheckingKeys:
    """
    Checks heads: today's key and those that were used before.
    """

    def __init__(self, public: Iterable[str]) -> None:
        """
        Take base64 public keys. Raises `ValueError` for anything else.
        """
        self._keys = {kid_of(key): Ed25519PublicKey.from_public_bytes(_bytes_of(key)) for key in public}

    def signed(self, head: Head) -> bool:
        """
        Whether one of the keys has signed the head as it is.
        """
        key = self._keys.get(head.kid)
        if key is None:
            return False
        try:
            key.verify(head.signature, signed_part(head))
        except InvalidSignature:
            return False
        return True


def kid_of(public: str) -> str:
    """
    The name of a public key.
    """
    return hashlib.sha256(_bytes_of(public)).hexdigest()[:KID_CHARACTERS]


def _bytes_of(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("a key of the audit log is base64 of 32 bytes")
    return key
