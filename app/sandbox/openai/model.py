"""What the model says: a function of the conversation, of its part and its tools. It remembers nothing."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.sandbox.openai.requests import PICTURE, Asked

HAND_OVER, END = "hand_over", "end_conversation"
NAME = re.compile(r"\bmy name is (\w+)", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """`ended` is why it stopped, in the words of Chat Completions. `tool` is called with `arguments`."""

    text: str = ""
    refusal: str = ""
    tool: str = ""
    arguments: str = ""
    ended: str = "stop"


def reply(asked: Asked) -> Said:
    """The first rule that fits what the user said last."""
    text = asked.turns[-1].text
    found = next((say for pattern, say in RULES if re.search(pattern, text, re.IGNORECASE)), _echo)
    return _within(found(asked), asked.most)


def _within(said: Said, most: int | None) -> Said:
    """A token is a word here."""
    words = said.text.split(" ")
    return said if most is None or len(words) <= most else replace(said, text=" ".join(words[:most]), ended="length")


def _hand_over(asked: Asked) -> Said:
    reason = f"They wrote: {asked.turns[-1].text[:200]}"
    text = "One moment, I'll get a colleague."
    if HAND_OVER in asked.tools:
        return Said(text, tool=HAND_OVER, arguments=json.dumps({"reason": reason}), ended="tool_calls")
    if f'"{HAND_OVER}"' in asked.part:
        return Said(json.dumps({"reply": text, HAND_OVER: True, "reason": reason}))
    return Said("There is nobody but me.")


def _bye(asked: Asked) -> Said:
    return Said("Goodbye!", tool=END, arguments="{}", ended="tool_calls") if END in asked.tools else Said("Goodbye!")


def _own_name(asked: Asked) -> Said:
    told = [found[1] for turn in asked.turns if turn.role == "user" for found in NAME.finditer(turn.text)]
    return Said(f"You are {told[-1]}." if told else "You have not told me your name.")


def _picture(asked: Asked) -> Said:
    count = asked.turns[-1].text.count(PICTURE)
    return Said(f"I see {count} picture{'' if count == 1 else 's'}.")


def _echo(asked: Asked) -> Said:
    return Said(f"You said: {asked.turns[-1].text}")


def _always(said: Said) -> Callable[[Asked], Said]:
    return lambda _asked: said


RULES: tuple[tuple[str, Callable[[Asked], Said]], ...] = (
    (r"\b(human|agent|person)\b", _hand_over),
    (r"\b(bye|goodbye)\b", _bye),
    (NAME.pattern, lambda asked: Said(f"Nice to meet you, {NAME.findall(asked.turns[-1].text)[-1]}.")),
    (r"\b(who am I|my name)\b", _own_name),
    (r"\bforbidden\b", _always(Said(refusal="I cannot help with that."))),
    (r"\bfiltered\b", _always(Said("Well, ", ended="content_filter"))),
    (r"\bsilence\b", _always(Said())),
    (
        r"\b(order|parcel)\b",
        _always(Said("Your order left our warehouse this morning. It should be with you tomorrow.")),
    ),
    (re.escape(PICTURE), _picture),
    (r"\b(hi|hello|hey)\b", _always(Said("Hello! I am a small model. Tell me your name, or ask for a person."))),
)
