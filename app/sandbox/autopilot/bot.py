"""What the Autopilot stand-in says: a function from task, text and memory to one turn.

A turn that does not listen ends the dialogue, and its memory with it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from app.sandbox.checks import Json


@dataclass(frozen=True)
class Card:
    """Something to look at: a line of text and one image, by its file name in the sandbox."""

    display_text: str
    label: str
    image: str


@dataclass(frozen=True)
class Turn:
    """The bot's answer to one text. `says` may hold speech markup."""

    task: str
    says: tuple[str, ...]
    memory: Json
    listens: bool = True
    shows: tuple[Card, ...] = field(default=())


Task: TypeAlias = Callable[[str, Json], Turn]

CALL = r"\b(?-i:CA[0-9a-f]{32})\b"
QUOTE_CARD = Card("Parcel S, next day: 4.90 EUR", "Quote for parcel S", "quote.png")
# Turns that are always the same, but for the memory, to which they add theirs.
FIXED = (
    Turn("order_status", ("Your order left our warehouse this morning.", "It should be with you tomorrow."), {}),
    Turn("quote", ("Here is your quote.",), {}, shows=(QUOTE_CARD,)),
    Turn("collect_name", ("What is your name?",), {"asked": "name"}),
    Turn("talk_to_human", ("One moment, I'll get a colleague.",), {}, listens=False),
    Turn("flag_handoff", ("I'm passing you on to my team.",), {"handoff": True}, listens=False),
    Turn("goodbye", ("Goodbye!",), {}, listens=False),
)

# First match wins, so people who ask for a person are never answered by another task.
UNDERSTANDING = (
    (r"\b(human|agent|person)\b", "talk_to_human"),
    (r"\bflag\b", "flag_handoff"),
    (CALL, "name_call"),
    (r"\b(bye|goodbye)\b", "goodbye"),
    (r"\b(order|parcel|status)\b", "order_status"),
    (r"\b(quote|price)\b", "quote"),
    (r"\b(my name|call me)\b", "collect_name"),
    (r"\b(hi|hello|hey)\b", "greeting"),
)


def reply(text: str, memory: Json, target_task: str | None = None) -> Turn:
    """Enter `target_task`, or the task the conversation is in the middle of, or the one the text asks for."""
    return TASKS[target_task or _understand(text, memory)](text, memory)


def strip_markup(speech: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^<>]*>", "", speech)).strip()


def _understand(text: str, memory: Mapping[str, object]) -> str:
    if memory.get("asked") == "name":
        return "remember_name"
    found = (task for pattern, task in UNDERSTANDING if re.search(pattern, text, re.IGNORECASE))
    return next(found, "echo")


def _greeting(_text: str, memory: Json) -> Turn:
    name = memory.get("name")
    hello = f"Hello again, {name}!" if name else "Hello!"
    offer = "Ask me for a quote, your order status, or a person."
    return Turn("greeting", (f"{hello} <break/> {offer}",), memory)


def _remember_name(text: str, memory: Json) -> Turn:
    kept = {key: value for key, value in memory.items() if key != "asked"}
    name = text.strip()
    return Turn("collect_name", (f"Thank you, {name}.",), kept | {"name": name})


def _name_call(text: str, memory: Json) -> Turn:
    """As if it came from the phone, where the call stands in the memory from the start."""
    call = re.search(CALL, text)
    voice = {"CallSid": call[0]} if call else {}
    return Turn("name_call", ("So we are on the phone.",), memory | {"twilio": {"voice": voice}})


def _echo(text: str, memory: Json) -> Turn:
    return Turn("echo", (f"You said: {text}",), memory)


def _always(turn: Turn) -> Task:
    return lambda _text, memory: replace(turn, memory=memory | turn.memory)


TASKS: dict[str, Task] = {
    "greeting": _greeting,
    **{turn.task: _always(turn) for turn in FIXED},
    "remember_name": _remember_name,
    "name_call": _name_call,
    "echo": _echo,
}
