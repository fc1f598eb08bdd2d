"""
What all of quota's routes share: the plans known by heart, and the refusal while there are none.
"""

from typing import Final

from aiohttp import web

from kernel.http.problem import Problem
from services.quota import problems
from services.quota.stores.catalogue import Catalogue

CATALOGUE: Final = web.AppKey("catalogue", Catalogue)
OFFICE_PATTERN: Final = "[a-z0-9-]{1,64}"
RETRY_SECONDS: Final = 1


def refuse_unready(request: web.Request) -> None:
    """
    Raise `Problem` while nothing is known to sell.
    """
    if request.app[CATALOGUE].empty:
        raise Problem(problems.NOT_READY, retry_after_seconds=RETRY_SECONDS)
