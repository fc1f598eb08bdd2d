"""
The vault: people's data sealed with AES-256-GCM, and keyed indexes that find without opening.

Called by use cases; nobody else opens it. Every value has a random nonce and the version of
its key, and is bound to its owner and field, so a row moved elsewhere does not open. Values
never appear in an exception or a log line.
"""

import dataclasses
import enum
import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kernel.postgres import Connection
from services.identity.stores import SQL

NONCE_BYTES = 12


class Field(enum.StrEnum):
    """
    What may be sealed.
    """

    HOLDER_NIK = "holder_nik"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    NIK = "nik"
    FAMILY_CARD = "family_card"
    FULL_NAME = "full_name"
    BIRTH_DATE = "birth_date"


class Index(enum.StrEnum):
    """
    What can be found by a keyed hash. Each kind has a key of its own, so equal digits of two kinds differ.
    """

    NIK = "nik"
    FAMILY_CARD = "family_card"
    EMAIL = "email"
    USERNAME = "username"
    REQUEST = "request"


class VaultDamaged(Exception):
    """
    A value does not open: its key is missing, or the row is not what was written. Names the place, not the value.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """
    A value in the open, on its way in or out.
    """

    owner_id: str
    field: Field
    value: str = dataclasses.field(repr=False)


class Vault:
    """
    Seals, opens and finds.
    """

    def __init__(self, keys: dict[str, bytes], index_key: bytes) -> None:
        self.current = next(iter(keys))
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._index_keys = {
            kind: hmac.digest(index_key, f"antrean identity index {kind}".encode(), hashlib.sha256) for kind in Index
        }

    def index(self, kind: Index, value: str) -> bytes:
        """
        The same bytes for the same value, and no way back without the key.
        """
        return hmac.digest(self._index_keys[kind], value.encode(), hashlib.sha256)

    def fingerprint_key(self) -> bytes:
        """
        Keys the fingerprints of requests that carry personal data.
        """
        return self._index_keys[Index.REQUEST]

    async def put(self, connection: Connection, secrets: Sequence[Secret]) -> None:
        """
        Seal and store values whose places are free.
        """
        if secrets:
            await connection.execute(SQL.put_vault, *self._columns(secrets))

    async def read(
        self, connection: Connection, owner_ids: Sequence[str], fields: Sequence[Field]
    ) -> dict[tuple[str, Field], str]:
        """
        Open some fields of some owners.
        """
        rows = await connection.fetch(SQL.read_vault, list(owner_ids), [str(field) for field in fields])
        return {(secret.owner_id, secret.field): secret.value for secret in map(self._opened, rows)}

    async def rewrap(self, connection: Connection, *, rows_max: int) -> int:
        """
        Seal values of older keys with the current one. Returns how many; 0 means none is left.
        """
        rows = await connection.fetch(SQL.lock_stale_vault, self.current, rows_max)
        if rows:
            await connection.execute(SQL.replace_vault, *self._columns([self._opened(row) for row in rows]))
        return len(rows)

    def _columns(self, secrets: Sequence[Secret]) -> tuple[list[str], list[str], list[str], list[bytes], list[bytes]]:
        cipher = self._ciphers[self.current]
        nonces = [os.urandom(NONCE_BYTES) for _ in secrets]
        sealed = [
            cipher.encrypt(nonce, secret.value.encode(), _place(secret.owner_id, secret.field))
            for nonce, secret in zip(nonces, secrets, strict=True)
        ]
        owners = [secret.owner_id for secret in secrets]
        fields = [str(secret.field) for secret in secrets]
        return owners, fields, [self.current] * len(secrets), nonces, sealed

    def _opened(self, row: Any) -> Secret:
        owner_id, field = row["owner_id"], Field(row["field"])
        cipher = self._ciphers.get(row["key_version"])
        if cipher is None:
            raise VaultDamaged(f"no key {row['key_version']!r} for {field} of {owner_id}: is it missing in VAULT_KEYS?")
        try:
            value = cipher.decrypt(row["nonce"], row["sealed"], _place(owner_id, field))
        except InvalidTag:
            raise VaultDamaged(f"{field} of {owner_id} does not open: changed, moved, or another key") from None
        return Secret(owner_id=owner_id, field=field, value=value.decode())


def _place(owner_id: str, field: Field) -> bytes:
    # Neither part can hold a line feed, so no two places are spelled alike.
    return f"{owner_id}\n{field}".encode()
