"""What the Autopilot stand-in says: a function from task, text and memory to one turn.

A turn that does not listen ends the dialogue, and its memory with it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


def _order_status(_text: str, memory: Json) -> Turn:
    says = ("Your order left our warehouse this morning.", "It should be with you tomorrow.")
    return Turn("order_status", says, memory)


def _quote(_text: str, memory: Json) -> Turn:
    return Turn("quote", ("Here is your quote.",), memory, shows=(QUOTE_CARD,))


def _collect_name(_text: str, memory: Json) -> Turn:
    return Turn("collect_name", ("What is your name?",), memory | {"asked": "name"})


def _remember_name(text: str, memory: Json) -> Turn:
    kept = {key: value for key, value in memory.items() if key != "asked"}
    name = text.strip()
    return Turn("collect_name", (f"Thank you, {name}.",), kept | {"name": name})


def _name_call(text: str, memory: Json) -> Turn:
    """As if it came from the phone, where the call stands in the memory from the start."""
    call = re.search(CALL, text)
    voice = {"CallSid": call[0]} if call else {}
    return Turn("name_call", ("So we are on the phone.",), memory | {"twilio": {"voice": voice}})


def _talk_to_human(_text: str, memory: Json) -> Turn:
    return Turn("talk_to_human", ("One moment, I'll get a colleague.",), memory, listens=False)


def _flag_handoff(_text: str, memory: Json) -> Turn:
    return Turn("flag_handoff", ("I'm passing you on to my team.",), memory | {"handoff": True}, listens=False)


def _goodbye(_text: str, memory: Json) -> Turn:
    return Turn("goodbye", ("Goodbye!",), memory, listens=False)


def _echo(text: str, memory: Json) -> Turn:
    return Turn("echo", (f"You said: {text}",), memory)


TASKS: dict[str, Task] = {
    "greeting": _greeting,
    "order_status": _order_status,
    "quote": _quote,
    "collect_name": _collect_name,
    "remember_name": _remember_name,
    "name_call": _name_call,
    "talk_to_human": _talk_to_human,
    "flag_handoff": _flag_handoff,
    "goodbye": _goodbye,
    "echo": _echo,
}
