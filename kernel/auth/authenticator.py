"""
The HTTP edge's way to ask who calls: tokens everywhere, passes where a room holds their keys.
"""

import collections

from kernel.auth.passes import PassKeys
from kernel.auth.principal import Principal
from kernel.auth.tokens import TokenVerifier
from kernel.clock import NowMs

PASSES_KNOWN_MAX = 20_000
"""Whoever asks again and again need not be looked at again; about 20 MB at most."""


class HeaderAuthenticator:
    """
    Verifies what stands behind `Bearer` and `Pass`.
    """

    def __init__(self, tokens: TokenVerifier, now_ms: NowMs, passes: PassKeys | None = None) -> None:
        self._tokens = tokens
        self._passes = passes
        self._now_ms = now_ms
        self._known: collections.OrderedDict[str, Principal] = collections.OrderedDict()

    def of_token(self, token: str) -> Principal | None:
        """
        Who a JWT speaks for.
        """
        return self._tokens.verify(token)

    def of_pass(self, token: str) -> Principal | None:
        """
        Who a pass speaks for.
        """
        if self._passes is None:
            return None
        known = self._known.get(token)
        now_ms = self._now_ms()
        if known is None:
            known = self._passes.verify(token, now_ms=now_ms)
            if known is not None:
                self._known[token] = known
                if len(self._known) > PASSES_KNOWN_MAX:
                    # The oldest alone: letting go of all of them at once holds every asker up for ten milliseconds.
                    self._known.popitem(last=False)
        elif known.expires_at_ms <= now_ms:
            del self._known[token]
            return None
        return known
