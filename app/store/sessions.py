"""Sessions as they are stored, and the names under which destinations speak of conversations."""

from __future__ import annotations

from app.core.session import Session, from_fields
from app.store.connection import Connection
from app.store.keys import ALIAS, SESSION
from app.store.limits import Limits


class Sessions:
    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._keep = limits.session_keep
        self._client = connection.client

    def read(self, conversation: str) -> Session | None:
        key = self._connection.key(SESSION, conversation)
        return from_fields(self._connection.guard(lambda: self._client.hgetall(key)))

    def resolve(self, destination: str, alias: str) -> str | None:
        """The conversation that a destination knows as `alias`, or None. A name in use is kept."""
        key = self._connection.key(ALIAS, destination, alias)
        found: str | None = self._connection.guard(lambda: self._client.getex(key, ex=self._keep))
        return found
