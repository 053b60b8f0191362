"""Visitor tokens that were taken back: for each conversation the time up to which none is good any more."""

from __future__ import annotations

from app.store.connection import Connection
from app.store.keys import REVOKED


class Revocations:
    """Times are Unix seconds of the hosts that make tokens, as the time in a token is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def revoke(self, conversation: str, until: float, keep: int) -> None:
        """No token made at `until` or before is good; remembered for `keep` seconds, in which the last of them ends.

        Raises: StoreUnavailable.
        """
        key = self._connection.key(REVOKED, conversation)
        self._connection.guard(lambda: self._client.set(key, repr(until), ex=keep))

    def is_revoked(self, conversation: str, made: float) -> bool:
        """Whether a token of that time was taken back. Raises: StoreUnavailable."""
        key = self._connection.key(REVOKED, conversation)
        until = self._connection.guard(lambda: self._client.get(key))
        return until is not None and made <= float(until)
