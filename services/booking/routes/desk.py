"""
What the doors of the desk share: who may act at an office, and a deed done once under its key.

Called by the routes of visits, incidents and leaves. Never decides anything about a booking.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from kernel.auth.staff import Role, has_role, must_have
from kernel.http.application import principal_of
from kernel.http.idempotency import once
from kernel.http.problem import (
    FORBIDDEN,
    IDEMPOTENCY_KEY_MISSING,
    IDEMPOTENCY_KEY_REUSED,
    STILL_RUNNING,
    Problem,
)
from kernel.postgres import Connection
from services.booking.problems import BOOKING_NOT_FOUND, OFFICE_NOT_FOUND
from services.booking.routes.keys import DATABASE
from services.booking.use_cases.visiting import Desk

OFFICE_ID = re.compile(r"[a-z0-9-]{1,64}")
BOOKING_ID = re.compile(r"rsv_[0-9a-f]{32}")
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
"""Why, in the officer's own words: for the audit log alone. Nobody's name, nobody's NIK."""
UNSAFE = (FORBIDDEN, IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, STILL_RUNNING)
"""What any deed of staff may be refused with."""


def office_of(request: web.Request) -> str:
    """
    The office the call is about. Raises `Problem` for what cannot be one.
    """
    office_id = request.match_info["office_id"]
    if not OFFICE_ID.fullmatch(office_id):
        raise Problem(OFFICE_NOT_FOUND)
    return office_id


def booking_of(request: web.Request) -> str:
    """
    The booking the call is about. Raises `Problem` for what cannot be one.
    """
    booking_id = request.match_info["booking_id"]
    if not BOOKING_ID.fullmatch(booking_id):
        raise Problem(BOOKING_NOT_FOUND)
    return booking_id


def desk_of(request: web.Request, reason: str) -> Desk:
    """
    Who acts, if he is an officer of the office. Raises `Problem` if not.
    """
    office_id = office_of(request)
    return Desk(office_id=office_id, actor=officer_of(request, office_id), reason=reason)


def officer_of(request: web.Request, office_id: str) -> str:
    """
    The account of an officer of the office. Raises `Problem` for anybody else.
    """
    principal = principal_of(request)
    must_have(principal, Role.OFFICER, office_id)
    return principal.account_id


def must_see(request: web.Request, office_id: str) -> None:
    """
    Officers of the office and auditors may look. Raises `Problem` for anybody else.
    """
    principal = principal_of(request)
    if not has_role(principal, Role.AUDITOR, office_id):
        must_have(principal, Role.OFFICER, office_id)


async def deed(request: web.Request, what: str, work: Callable[[Connection], Awaitable[web.Response]]) -> web.Response:
    """
    Do it once under the caller's key; `what` keeps deeds apart.
    """
    scope = f"{what}:{principal_of(request).account_id}"
    return await once(request, request.app[DATABASE], scope=scope, work=work)
