"""
What handlers find on the application. Filled by `app.py`.
"""

import re
from typing import Final

from aiohttp import web

from kernel.clock import NowMs
from kernel.postgres import Database
from services.payment.domain.snap import Keys
from services.payment.sandbox_bank import SandboxBank
from services.payment.use_cases.confirming import Banks

DATABASE: Final = web.AppKey("database", Database)
KEYS: Final = web.AppKey("keys", dict[str, Keys])
BANKS: Final[web.AppKey[Banks]] = web.AppKey("banks")
SANDBOX_BANK: Final = web.AppKey("sandbox_bank", SandboxBank)
BOOKING_ID: Final = re.compile(r"rsv_[0-9a-f]{32}")
NOW_MS: Final[web.AppKey[NowMs]] = web.AppKey("now_ms")
