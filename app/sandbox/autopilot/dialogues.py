"""What the Autopilot stand-in remembers: dialogues by user id, and everything it was asked.

Calls for one user must be strictly serial; a second one while the first is in progress is a violation.
"""

import secrets
import threading
from dataclasses import asdict, dataclass, field, replace

from app.sandbox.autopilot.bot import Turn, reply
from app.sandbox.checks import Json


@dataclass(frozen=True)
class Call:
    """One question as it arrived, whichever version of the protocol carried it."""

    version: str
    channel: str
    user_id: str
    text: str
    target_task: str | None = None
    memory: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Dialogue:
    sid: str
    memory: Json


class Dialogues:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_progress: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Forget everything but which calls are in progress: those still have to leave."""
        with self._lock:
            self._open: dict[str, Dialogue] = {}
            self._calls: list[Json] = []
            self._refused: list[Json] = []
            self._violations: list[Json] = []

    def enter(self, user_id: str) -> bool:
        """Start a call; False, and a violation, if one is in progress for this user."""
        with self._lock:
            if user_id in self._in_progress:
                self._violations.append({"kind": "concurrent", "user_id": user_id})
                return False
            self._in_progress.add(user_id)
            return True

    def leave(self, user_id: str) -> None:
        with self._lock:
            self._in_progress.discard(user_id)

    def advance(self, call: Call) -> tuple[Dialogue, Turn]:
        """Work one call: the dialogue it belongs to as it stands afterwards, and the bot's turn."""
        with self._lock:
            dialogue = self._open.get(call.user_id) or Dialogue("UK" + secrets.token_hex(16), {})
            turn = reply(call.text, dialogue.memory | call.memory, call.target_task)
            dialogue = replace(dialogue, memory=turn.memory)
            self._keep(call, dialogue, turn)
            return dialogue, turn

    def refuse(self, status: int, field_name: str, reason: str) -> None:
        with self._lock:
            self._refused.append({"status": status, "field": field_name, "reason": reason})

    def inspect(self) -> Json:
        with self._lock:
            dialogues = {user_id: asdict(dialogue) for user_id, dialogue in self._open.items()}
            return {
                "calls": list(self._calls),
                "violations": list(self._violations),
                "refused": list(self._refused),
                "dialogues": dialogues,
            }

    def _keep(self, call: Call, dialogue: Dialogue, turn: Turn) -> None:
        if turn.listens:
            self._open[call.user_id] = dialogue
        else:
            self._open.pop(call.user_id, None)
        answer = {"dialogue_sid": dialogue.sid, "current_task": turn.task, "listens": turn.listens}
        self._calls.append(asdict(call) | answer)
