"""
Accounts: told to notify.
"""

from typing import ClassVar

from contracts.events.base import Event
from contracts.topics import IDENTITY_EVENTS, Topic


class AccountRegistered(Event, frozen=True, kw_only=True):
    """
    Somebody asks for an account; the activation link must reach the address.
    """

    TYPE: ClassVar[str] = "identity.account_registered.v1"
    TOPIC: ClassVar[Topic] = IDENTITY_EVENTS

    account_id: str
    email: str
    locale: str
    activation_token: str
    activate_by_ms: int
    at_ms: int


class AccountActivated(Event, frozen=True, kw_only=True):
    """
    The account can be used; messages for it go to `email`.
    """

    TYPE: ClassVar[str] = "identity.account_activated.v1"
    TOPIC: ClassVar[Topic] = IDENTITY_EVENTS

    account_id: str
    email: str
    locale: str
    at_ms: int
