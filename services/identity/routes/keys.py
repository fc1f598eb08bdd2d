"""
What the handlers find on the application, typed.

Set by `app.py`, read by handlers; there are no globals.
"""

import msgspec
from aiohttp import web

from kernel.auth.passes import PassKeys
from kernel.auth.tokens import TokenSigner
from kernel.clock import NowMs
from kernel.postgres import Database
from kernel.sheets import Printer
from services.identity.settings import AccountSettings, CredentialSettings
from services.identity.stores.passwords import Passwords
from services.identity.stores.registry import PopulationRegistry
from services.identity.stores.vault import Vault


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """
    Everything a handler of this room works with.
    """

    database: Database
    vault: Vault
    passwords: Passwords
    registry: PopulationRegistry
    printer: Printer
    signer: TokenSigner
    pass_keys: PassKeys
    accounts: AccountSettings
    credentials: CredentialSettings
    now_ms: NowMs


DESK = web.AppKey("desk", Desk)
