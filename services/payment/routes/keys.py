"""
What handlers find on the application, and the forms several of them share. Filled by `app.py`.
"""

from typing import Annotated, Final

import msgspec
from aiohttp import web

from kernel.clock import NowMs
from kernel.postgres import Database
from services.payment.sandbox_bank import SandboxBank

DATABASE: Final = web.AppKey("database", Database)
SECRETS: Final = web.AppKey("secrets", dict[str, str])
SANDBOX_BANK: Final = web.AppKey("sandbox_bank", SandboxBank)
NOW_MS: Final[web.AppKey[NowMs]] = web.AppKey("now_ms")

BillingCode = Annotated[str, msgspec.Meta(pattern="^[0-9]{15}$")]
