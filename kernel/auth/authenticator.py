"""
The HTTP edge's way to ask who calls: tokens everywhere, passes where a room holds their keys.
"""

from kernel.auth.passes import PassKeys
from kernel.auth.principal import Principal
from kernel.auth.tokens import TokenVerifier
from kernel.clock import NowMs


class HeaderAuthenticator:
    """
    Verifies what stands behind `Bearer` and `Pass`.
    """

    def __init__(self, tokens: TokenVerifier, now_ms: NowMs, passes: PassKeys | None = None) -> None:
        self._tokens = tokens
        self._passes = passes
        self._now_ms = now_ms

    def of_token(self, token: str) -> Principal | None:
        """
        Who a JWT speaks for.
        """
        return self._tokens.verify(token)

    def of_pass(self, token: str) -> Principal | None:
        """
        Who a pass speaks for.
        """
        return None if self._passes is None else self._passes.verify(token, now_ms=self._now_ms())
