"""Dead letters: messages that were given up and webhooks that could not be read, until an operator decides.

So that nobody fills the memory with them, a lane keeps only so many of them, so many bytes, and for so long; the oldest
go.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.core.work import Deliver, Item, Wake, item_of
from app.store.connection import Connection
from app.store.keys import DEAD_LETTER, DEAD_LETTERS
from app.store.limits import Limits
from app.store.wire import wakes_of

MAX_TRIMMED = 1_000  # in one step, as nobody else is served meanwhile


class DeadLetter(Struct, frozen=True):
    """`where` is a lane, or the name of the channel or destination whose webhook it was. `at` is Unix milliseconds.
    `also` are the ids of the messages that were asked with its own as one question."""

    id: str
    where: str
    reason: str
    error: str
    at: int
    mailbox: str = ""
    item: Item | None = None
    webhook: str = ""
    also: tuple[str, ...] = ()

    @property
    def message_id(self) -> str:
        return self.item.message_id if isinstance(self.item, Deliver) else ""


class DeadLetters:
    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._client = connection.client
        self._limits = limits

    def keep_webhook(self, webhook: str, name: str, reason: str, error: str) -> str:
        """Keep a webhook that we could not read; its new id."""
        request = {"webhook": webhook, "name": name, "reason": reason, "error": error[:500]}
        return str(self._connection.run("dead_letter", request))

    def newest(self, most: int = 100) -> list[DeadLetter]:
        """The newest come first."""
        key = self._connection.key(DEAD_LETTERS)
        ids = self._connection.guard(lambda: self._client.zrevrange(key, 0, most - 1))
        return [found for found in (self.show(one) for one in ids) if found]

    def count(self) -> int:
        return int(self._connection.guard(lambda: self._client.zcard(self._connection.key(DEAD_LETTERS))))

    def show(self, dead_letter_id: str) -> DeadLetter | None:
        key = self._connection.key(DEAD_LETTER, dead_letter_id)
        fields = self._connection.guard(lambda: self._client.hgetall(key))
        if not fields:
            return None
        return DeadLetter(
            id=dead_letter_id,
            where=fields.get("lane", ""),
            reason=fields.get("reason", ""),
            error=fields.get("error", ""),
            at=int(fields.get("at", 0)),
            mailbox=fields.get("mailbox", ""),
            item=item_of(fields["item"]) if "item" in fields else None,
            webhook=fields.get("webhook", ""),
            also=tuple(fields.get("also", "").split()),
        )

    def replay(self, dead_letter_id: str) -> tuple[str, tuple[Wake, ...]]:
        """Queue its message again: `ok`, `unknown`, or `webhook` (then the caller must receive it again)."""
        state, *wakes = self._connection.run("replay", {"id": dead_letter_id})
        return state, wakes_of(wakes)

    def discard(self, dead_letter_id: str) -> bool:
        """Forget it, and at once all that only it kept. False if there is no such letter."""
        return bool(self._connection.run("discard", {"id": dead_letter_id, **self._retentions()}))

    def trim(self) -> dict[str, int]:
        """Let the oldest go where there are too many or they are too old; how many went of which lane."""
        limits = self._limits
        request = {
            "max": limits.dead_letters,
            "max_bytes": limits.dead_letter_bytes,
            "age_ms": limits.dead_letter_keep * 1000,
            "batch": MAX_TRIMMED,
            **self._retentions(),
        }
        said = self._connection.run("trim", request)
        return {where: int(count) for where, count in zip(said[::2], said[1::2], strict=True)}

    def _retentions(self) -> dict[str, Any]:
        return {"retention": self._limits.retention, "retentions": dict(self._limits.retentions)}
