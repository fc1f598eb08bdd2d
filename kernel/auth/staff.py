"""
What staff may do: roles of a token, some of them of one office only.

Called by handlers after the edge has verified who calls. A role of all offices has no
office in its name: `officer`; one of an office has: `officer:bandung`.
"""

import enum

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
