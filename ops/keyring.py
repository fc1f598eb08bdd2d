"""
The stack's secrets, drawn once and kept in `secrets.env`, readable by its owner only.

Called when a stack starts. Each room gets its own keys and no other's: the vault
key leaves this file only towards identity. Never prints or logs a value.
"""

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kernel.auth.tokens import signing_key
from ops.state import write_atomically


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


_DRAWN: Final = {
    "VAULT_KEYS": lambda: f"v1:{_key()}",
    "NIK_INDEX_KEY": _key,
    "JWT_SIGNING_KEY": _key,
    "PASS_KEYS": lambda: f"k1:{_key()}",
    "BANK_SECRETS": lambda: f"sandbox:{_key()}",
    "TICKET_SIGNING_KEY": _key,
    "LEAF_SIGNING_KEY": _key,
    "AUDIT_SIGNING_KEY": _key,
}

NAMES: Final = tuple(_DRAWN)

OF_ROOM: Final = {
    "identity": ("VAULT_KEYS", "NIK_INDEX_KEY", "JWT_SIGNING_KEY", "PASS_KEYS", "AUDIT_SIGNING_KEY"),
    "quota": ("PASS_KEYS",),
    "booking": ("LEAF_SIGNING_KEY", "AUDIT_SIGNING_KEY"),
    "payment": ("BANK_SECRETS", "AUDIT_SIGNING_KEY"),
    "notify": ("TICKET_SIGNING_KEY",),
}
"""Which room may know which secret."""


def load(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Every secret: a given one wins, a kept one is used again, a missing one is drawn and kept.
    """
    kept = _read(path)
    missing = [name for name in NAMES if name not in kept]
    if missing:
        kept |= {name: _DRAWN[name]() for name in missing}
        write_atomically(path, "".join(f"{name}={value}\n" for name, value in kept.items()), mode=0o600)
    return {name: environ.get(name) or kept[name] for name in NAMES}


def without_others(room: str, environment: Mapping[str, str]) -> dict[str, str]:
    """
    The environment as `room` may see it. Who checks what another room signs gets the public half of its key.
    """
    allowed = {name: value for name, value in environment.items() if name not in NAMES or name in OF_ROOM[room]}
    ticket_seed = environment.get("TICKET_SIGNING_KEY")
    if room == "booking" and ticket_seed and not allowed.get("TICKET_PUBLIC_KEYS"):
        allowed["TICKET_PUBLIC_KEYS"] = str(signing_key(ticket_seed, variable="TICKET_SIGNING_KEY").as_dict()["x"])
    return allowed


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name: value for name, value in pairs if name in NAMES}
