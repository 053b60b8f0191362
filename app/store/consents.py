"""Who wants no messages on which channel. Scripts enforce it where a message for a customer enters or is claimed."""

from __future__ import annotations

from typing import cast

from app.core.consent import Consent, State
from app.store.connection import Connection
from app.store.keys import CONSENT


class Consents:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def read(self, conversation: str) -> Consent | None:
        """What is known of a customer on a channel; None where nobody ever said anything."""
        state, at, by = self._connection.of_person(
            CONSENT, conversation, lambda client, key: client.hmget(key, ["state", "at", "by"])
        )
        return Consent(cast("State", state), int(at or 0), by or "") if state else None

    def write(self, conversation: str, state: State, by: str, keep: int | None = None) -> None:
        """What an operator or a platform knows, for `keep` seconds, else for ever. With `out`, what waits for the
        customer fails as soon as its turn comes. Raises: StoreUnavailable."""
        request = {"cv": conversation, "state": state, "by": by}
        self._connection.run("consent", request if keep is None else {**request, "keep": keep})
