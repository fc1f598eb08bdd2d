"""
The population registry (Dukcapil) as a port, and the adapters there are.

Called by the use case that adds persons. A registry confirms or does not; it never decides
whether somebody may be added. An adapter that goes out on the network raises `Retryable`.
"""

import datetime as dt
from typing import Protocol

from services.identity.domain.nik import parse


class PopulationRegistry(Protocol):
    """
    Somebody who can say whether a NIK, a name and a birth date belong together.
    """

    async def confirms(self, nik: str, full_name: str, birth_date: dt.date | None) -> bool: ...  # noqa: D102 - said by the class


class SandboxRegistry:
    """
    Confirms everybody whose NIK has its shape. For sandboxes.
    """

    async def confirms(self, nik: str, full_name: str, birth_date: dt.date | None) -> bool:
        """
        Whether such a person could be.
        """
        del full_name, birth_date
        return parse(nik) is not None


class NoRegistry:
    """
    Confirms nobody: an installation that is not connected to the registry.
    """

    async def confirms(self, nik: str, full_name: str, birth_date: dt.date | None) -> bool:
        """
        Never.
        """
        del nik, full_name, birth_date
        return False
