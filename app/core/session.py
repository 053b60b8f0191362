"""Who answers a conversation now, and what that destination asked us to remember."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from msgspec import Struct, field

Mode = Literal["bot", "human"]


class Session(Struct, frozen=True):
    """`since` is the id of the message it began with, `last_at` is in Unix ms, `version` rises with each new holder.

    `handles` belong to the destination alone (a dialogue sid), but for `chat`, its thread: the name under which its
    webhooks speak of what was opened there. `context` is what the bot knew when it handed over. `refused` counts the
    messages that the destination has refused in a row. `late` are the ids, with spaces between, of what was handed over
    because its answer did not come in time: a message, or several that were asked as one.
    """

    destination: str
    mode: Mode = "bot"
    handles: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    since: str = ""
    last_at: int = 0
    version: int = 0
    refused: int = 0
    late: str = ""

    @property
    def thread(self) -> str:
        """What the destination has open for the conversation; '': nothing."""
        return str(self.handles.get("chat", ""))


def from_fields(fields: Mapping[str, str]) -> Session | None:
    """The session in the store's form (a hash of strings), or None where the conversation has none."""
    if "destination" not in fields:
        return None
    return Session(
        destination=fields["destination"],
        mode="human" if fields.get("mode") == "human" else "bot",
        handles=orjson.loads(fields.get("handles", "{}")),
        context=orjson.loads(fields.get("context", "{}")),
        since=fields.get("since", ""),
        last_at=int(fields.get("last_at", 0)),
        version=int(fields.get("version", 0)),
        refused=int(fields.get("refused", 0)),
        late=fields.get("late", ""),
    )


def to_fields(session: Session) -> dict[str, str]:
    """The store's form; `version` and `last_at` are left to the store, which counts and dates it."""
    return {
        "destination": session.destination,
        "mode": session.mode,
        "handles": orjson.dumps(dict(session.handles)).decode(),
        "context": orjson.dumps(dict(session.context)).decode(),
        "since": session.since,
        "refused": str(session.refused),
        "late": session.late,
    }
