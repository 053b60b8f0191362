"""What `patchbay doctor` asks of a channel or destination, if it can answer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from app.core.events import Webhook
from app.http import Http

NOTHING_SAID = "patchbay.test"  # the kind of a webhook that says nothing, where its platform has words for kinds


@runtime_checkable
class TriesCredentials(Protocol):
    """A platform that has a call which changes nothing and wants good credentials."""

    def try_credentials(self, http: Http) -> None:
        """Make that call. Raises: Failure, what the platform says against it."""


@runtime_checkable
class SignsSamples(Protocol):
    """A platform whose way of signing we can follow."""

    def sample(self, callback: str) -> Webhook:
        """A webhook as the platform would send it now to the address below which its webhooks reach us: good by its
        signature, of no meaning by its content."""
