"""
What staff may do: roles of a token, some of them of one office only.

Called by handlers after the edge has verified who calls. A role of all offices has no
office in its name: `officer`; one of an office has: `officer:bandung`.
"""

import enum
import re

from kernel.auth.principal import Principal
from kernel.http import problem
from kernel.http.problem import Problem


class Role(enum.StrEnum):
    """
    Besides citizens, who have none.
    """

    OFFICER = "officer"
    PLANNER = "planner"
    AUDITOR = "auditor"
    SRE = "sre"
    FINANCE = "finance"


OF_OFFICES = frozenset({Role.OFFICER, Role.PLANNER})
"""Roles that may be of one office."""
_OFFICE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def role_of(text: str) -> str:
    """
    The text, if it names a role as tokens do. Raises `ValueError` saying what is wrong with it.
    """
    name, colon, office_id = text.partition(":")
    if name not in {role.value for role in Role}:
        raise ValueError(f"{text!r} names no role: {', '.join(role.value for role in Role)}")
    if colon and Role(name) not in OF_OFFICES:
        raise ValueError(f"{text!r}: {name} is a role of no single office")
    if colon and not _OFFICE_ID.fullmatch(office_id):
        raise ValueError(f"{text!r} names no office: write {name}:bandung")
    return text


def has_role(principal: Principal, role: Role, office_id: str | None = None) -> bool:
    """
    Whether the role is there, for all offices or for this one.
    """
    return role.value in principal.roles or (office_id is not None and f"{role.value}:{office_id}" in principal.roles)


def must_have(principal: Principal, role: Role, office_id: str | None = None) -> None:
    """
    Raises `Problem` 403 naming the role that is missing.
    """
    if not has_role(principal, role, office_id):
        raise Problem(problem.FORBIDDEN, role=role.value if office_id is None else f"{role.value}:{office_id}")
