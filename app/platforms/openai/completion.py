"""What a model answered, in whichever form of the API, and what that means for the conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.core.events import Answer, Receipt
from app.core.message import Text
from app.core.reading import Unreadable, parsed
from app.core.schema import TEXT_LIMIT
from app.core.text import cut

LONGEST_REASON = 1_000
MILLION = 1_000_000
MAX_TOKENS = 1_000_000_000  # that anybody would believe of one answer
# Around what a model thought before its answer, where a server leaves that in.
THINKS, THOUGHT = "<think>", "</think>"
FENCED = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)
REPLY, REASON = "reply", "reason"
OBJECT = re.compile(r"\s*(?:```(?:json)?)?\s*\{")
REPLY_SO_FAR = re.compile(rf'"{REPLY}"\s*:\s*"((?:[^"\\]|\\u[0-9a-fA-F]{{4}}|\\[^u])*)')


class Call(Struct, frozen=True):
    """A tool that the model called; `arguments` are JSON in a text, most of the time."""

    name: str
    arguments: str = ""


class Usage(Struct, frozen=True):
    """Tokens. Of `input`, `cached` are cheaper."""

    input: int = 0
    cached: int = 0
    output: int = 0


class Completion(Struct, frozen=True):
    """`cut` is why the model did not finish by itself: `length`, `content_filter`, or ''."""

    text: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    cut: str = ""
    usage: Usage | None = None


class Words(Struct, frozen=True):
    """By which words a model acts. `by_flag`: in an answer that is JSON; else by tools."""

    handoff: str | None
    end: str | None
    by_flag: bool
    no_answer: str


class Prices(Struct, frozen=True):
    """Nanos of a million tokens."""

    input: int
    cached: int
    output: int

    def of(self, usage: Usage) -> int:
        cached = min(usage.cached, usage.input)
        whole = (usage.input - cached) * self.input + cached * self.cached + usage.output * self.output
        return (whole + MILLION // 2) // MILLION


def answer_from(completion: Completion, words: Words, prices: Prices | None) -> Answer:
    """What the house is to do about it."""
    said = _thought_through(completion.text)
    said, flags = _flagged(said, words) if words.by_flag else (said, {})
    calls = {call.name: call for call in completion.calls}
    handoff = words.handoff in calls or words.handoff in flags
    end = not handoff and (words.end in calls or words.end in flags)
    text = _spoken(said, completion)
    silent = not (text or handoff or end)
    whole = text or (words.no_answer if silent else "")
    known = {words.handoff, words.end} - {None}
    return Answer(
        receipt=Receipt(status="delivered"),
        replies=(Text(cut(whole, TEXT_LIMIT, "characters")),) if whole else (),
        unsupported=_noticed(completion, text, silent=silent, unknown=not calls.keys() <= known),
        handoff=handoff,
        end=end,
        memory=_memory(calls.get(words.handoff or ""), flags) if handoff else {},
        spent=prices.of(completion.usage) if prices and completion.usage else None,
    )


def _thought_through(text: str) -> str:
    """What comes behind the thoughts. Their beginning may be missing, which some servers put into the question; and
    their end, where the model ran out of tokens."""
    answer = text.rpartition(THOUGHT)[2]
    return "" if answer.lstrip().startswith(THINKS) else answer


def _spoken(said: str, completion: Completion) -> str:
    """What the customer reads. What a filter stopped is not for them, as far as it came."""
    if completion.cut == "content_filter":
        return ""
    return said.strip() or completion.refusal.strip()


def _noticed(completion: Completion, text: str, *, silent: bool, unknown: bool) -> tuple[str, ...]:
    """What the operator is told, by names that are few."""
    found = {
        completion.cut: bool(completion.cut),
        "tool": unknown,
        "no_answer": silent and not completion.cut and not unknown,
        "long_text": len(text) > TEXT_LIMIT,
    }
    return tuple(name for name, is_so in found.items() if is_so)


def _flagged(said: str, words: Words) -> tuple[str, Mapping[str, Any]]:
    """The reply in an answer that is an object of JSON, and the flags in it that are set. Anything else is the reply
    itself: models forget what they were told about form."""
    fenced = FENCED.fullmatch(said)
    try:
        value = parsed(fenced[1] if fenced else said)
    except Unreadable:
        return _so_far(said, words)
    names = {REPLY, words.handoff, words.end} - {None}
    if not isinstance(value, Mapping) or names.isdisjoint(value):
        return said, {}
    reply = value.get(REPLY)
    flags = {name: value for name in (words.handoff, words.end) if name and value.get(name) in (True, "true")}
    return reply if isinstance(reply, str) else "", flags


def _so_far(said: str, words: Words) -> tuple[str, Mapping[str, Any]]:
    """The same of an object that broke off, or that is not quite JSON: the customer reads no braces."""
    flags: dict[str, Any] = {
        name: {} for name in (words.handoff, words.end) if name and re.search(rf'"{name}"\s*:\s*"?true\b', said)
    }
    reply = REPLY_SO_FAR.search(said)
    if not OBJECT.match(said) or not (reply or flags):
        return said, {}
    return _unquoted(reply[1]) if reply else "", flags


def _unquoted(text: str) -> str:
    """What a string of JSON says; an escape that JSON does not have stands for its character."""
    known = re.sub(r"\\(.)", lambda found: found[0] if found[1] in '"\\/bfnrtu' else found[1], text, flags=re.DOTALL)
    return text_of(parsed(f'"{known}"'))


def _memory(call: Call | None, flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """Why people are fetched, if the model says so in a way that can be read."""
    given: Any = next(iter(flags.values()), {})
    if call:
        try:
            given = parsed(call.arguments)
        except Unreadable:
            given = {}
    reason = given.get(REASON) if isinstance(given, Mapping) else None
    told = cut(reason.strip(), LONGEST_REASON, "characters") if isinstance(reason, str) else ""
    return {REASON: told} if told else {}


def usage_from(usage: Any, names: Sequence[str]) -> Usage | None:
    """`names` of the fields: what was read, its details, what was written. None, where nothing that can be was told of
    either: an answer that costs an unknown amount is none for nothing."""
    read, details, written = (usage.get(name) if isinstance(usage, Mapping) else None for name in names)
    counts = _count(read), _count(written)
    if counts == (None, None):
        return None
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return Usage(counts[0] or 0, cached or 0, counts[1] or 0)


def _count(value: Any) -> int | None:
    """A number of tokens; None for what is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= MAX_TOKENS else None


def words_in(content: Any, *types: str) -> str:
    """A text, or the texts of those parts in a list that are of these types."""
    if isinstance(content, str):
        return content
    parts = [part for part in listed(content) if part.get("type") in types]
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def listed(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""
