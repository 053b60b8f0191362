"""Chat Completions: `POST {base}/chat/completions`, which every server has.

Source: the types of the Python package `openai`, `openai.types.chat`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core import errors
from app.core.errors import Failure
from app.platforms.openai import asking
from app.platforms.openai.completion import Call, Completion, listed, text_of, usage_from, words_in
from app.platforms.openai.failures import failure_of, problem_in
from app.platforms.openai.turns import Part, Turn

USAGE = ("prompt_tokens", "prompt_tokens_details", "completion_tokens")
CUT = ("length", "content_filter")


class ChatCompletions:
    """See `app.platforms.openai.destination.Form`."""

    path = "chat/completions"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        limit = {settings["max_tokens_field"]: settings["max_tokens"]} if settings["max_tokens"] else {}
        tools = [{"type": "function", "function": tool} for tool in asking.tools(settings)]
        priced = settings["stream"] and settings["price_input"] is not None
        self._said: dict[str, Any] = {
            **settings["parameters"],
            "model": settings["model"],
            **limit,
            "stream": settings["stream"],
            **({"stream_options": {"include_usage": True}} if priced else {}),
            **({"tools": tools} if tools else {}),
        }
        prompt = asking.prompt(settings)
        self._system = [{"role": settings["system_role"], "content": prompt}] if prompt else []

    def request(self, turns: Sequence[Turn]) -> dict[str, Any]:
        return {**self._said, "messages": [*self._system, *map(_message, turns)]}

    def events(self) -> ChatEvents:
        return ChatEvents()

    def read(self, answer: Any) -> Completion:
        if problem := problem_in(answer):
            raise failure_of(problem, errors.UNAVAILABLE)
        choices = listed(answer.get("choices")) if isinstance(answer, Mapping) else []
        message = choices[0].get("message") if choices else None
        if not isinstance(message, Mapping):
            raise Failure(errors.UNPARSEABLE, "the answer has no message in choices[0]", maybe_done=True)
        ended = choices[0].get("finish_reason")
        return Completion(
            text=words_in(message.get("content"), "text"),
            refusal=text_of(message.get("refusal")),
            calls=tuple(_call(one.get("function")) for one in listed(message.get("tool_calls"))),
            cut=ended if ended in CUT else "",
            usage=usage_from(answer.get("usage"), USAGE),
        )


class ChatEvents:
    """The pieces of one answer, as they come; those of other choices than the first are none of ours."""

    def __init__(self) -> None:
        self.whole = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._ended: Any = None
        self._usage: Any = None

    def add(self, event: Any) -> None:
        if problem := problem_in(event):
            raise failure_of(problem, errors.UNAVAILABLE)
        if isinstance(event, Mapping):
            self._usage = event.get("usage") or self._usage
            for choice in listed(event.get("choices"))[:1]:
                self._add_choice(choice)

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        if choice.get("index") not in (None, 0):
            return
        if isinstance(delta := choice.get("delta"), Mapping):
            self._text.append(words_in(delta.get("content"), "text"))
            self._refusal.append(text_of(delta.get("refusal")))
            for position, call in enumerate(listed(delta.get("tool_calls"))):
                index = call.get("index")
                self._add_call(index if isinstance(index, int) else position, call.get("function"))
        if choice.get("finish_reason"):
            self.whole, self._ended = True, choice["finish_reason"]

    def _add_call(self, index: int, function: Any) -> None:
        if isinstance(function, Mapping):
            known = self._calls.setdefault(index, {"name": "", "arguments": ""})
            for key in known:
                known[key] += text_of(function.get(key))

    def answer(self) -> Any:
        message = {
            "content": "".join(self._text),
            "refusal": "".join(self._refusal),
            "tool_calls": [{"function": call} for call in self._calls.values()],
        }
        return {"choices": [{"message": message, "finish_reason": self._ended}], "usage": self._usage}


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "content": turn.content(_part)}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.url}}


def _call(function: Any) -> Call:
    known = function if isinstance(function, Mapping) else {}
    return Call(text_of(known.get("name")), text_of(known.get("arguments")))
