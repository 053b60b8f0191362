"""Responses: `POST {base}/responses`, without anything that the server would have to remember.

Source: the types of the Python package `openai`, `openai.types.responses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core import errors
from app.core.errors import Failure
from app.platforms.openai import asking
from app.platforms.openai.completion import Call, Completion, listed, text_of, usage_from, words_in
from app.platforms.openai.failures import Problem, failure_of, problem_in
from app.platforms.openai.turns import Part, Turn

USAGE = ("input_tokens", "input_tokens_details", "output_tokens")
CUT = {"max_output_tokens": "length", "content_filter": "content_filter"}
ENDS = ("response.completed", "response.incomplete", "response.failed")  # events that hold the whole answer


class Responses:
    """See `app.platforms.openai.destination.Form`."""

    path = "responses"

    def __init__(self, settings: Mapping[str, Any]) -> None:
        limit = {"max_output_tokens": settings["max_tokens"]} if settings["max_tokens"] else {}
        tools = [{"type": "function", **tool, "strict": False} for tool in asking.tools(settings)]
        prompt = asking.prompt(settings)
        self._said: dict[str, Any] = {
            **settings["parameters"],
            "model": settings["model"],
            "store": False,
            **limit,
            "stream": settings["stream"],
            **({"tools": tools} if tools else {}),
            **({"instructions": prompt} if prompt else {}),
        }

    def request(self, turns: Sequence[Turn]) -> dict[str, Any]:
        return {**self._said, "input": [{"role": turn.role, "content": turn.content(_part)} for turn in turns]}

    def events(self) -> ResponseEvents:
        return ResponseEvents()

    def read(self, answer: Any) -> Completion:
        if problem := problem_in(answer):
            raise failure_of(problem, errors.REJECTED)
        answer = answer if isinstance(answer, Mapping) else {}
        status, details = answer.get("status"), answer.get("incomplete_details")
        if status == "failed":
            raise failure_of(Problem(), errors.UNAVAILABLE)
        if status not in ("completed", "incomplete") or not isinstance(answer.get("output"), list):
            detail = f"the answer is {status!r:.50}, where completed was to be"
            raise Failure(errors.UNPARSEABLE, detail, maybe_done=True)
        output = [item for item in listed(answer["output"]) if item.get("phase") != "commentary"]
        reason = details.get("reason") if isinstance(details, Mapping) else None
        return Completion(
            text="\n\n".join(text for item in output if (text := words_in(_content(item), "output_text"))),
            refusal="\n\n".join(refusal for item in output if (refusal := _refusal(item))),
            calls=tuple(_calls(output)),
            cut=CUT.get(text_of(reason), "length" if status == "incomplete" else ""),
            usage=usage_from(answer.get("usage"), USAGE),
        )


class ResponseEvents:
    """The last event says everything again; some servers leave out the parts that they sent before."""

    def __init__(self) -> None:
        self.whole = False
        self._items: list[Any] = []
        self._response: Mapping[str, Any] = {}

    def add(self, event: Any) -> None:
        if not isinstance(event, Mapping):
            return
        if event.get("type") == "error" or problem_in(event):
            raise failure_of(problem_in(event) or _problem(event), errors.UNAVAILABLE)
        if event.get("type") == "response.output_item.done":
            self._items.append(event.get("item"))
        if event.get("type") in ENDS and isinstance(response := event.get("response"), Mapping):
            self.whole, self._response = True, response

    def answer(self) -> Any:
        return {**self._response, "output": self._response.get("output") or self._items}


def _problem(event: Mapping[str, Any]) -> Problem:
    """Of an event of the type `error`, which has no object by that name."""
    return Problem(code=text_of(event.get("code")), message=text_of(event.get("message")))


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    return {"type": "input_image", "image_url": part.url, "detail": "auto"}


def _content(item: Mapping[str, Any]) -> Any:
    return item.get("content") if item.get("type") == "message" else None


def _refusal(item: Mapping[str, Any]) -> str:
    parts = [part for part in listed(_content(item)) if part.get("type") == "refusal"]
    return "".join(text_of(part.get("refusal")) for part in parts)


def _calls(output: Sequence[Mapping[str, Any]]) -> list[Call]:
    found = [item for item in output if item.get("type") == "function_call"]
    return [Call(text_of(item.get("name")), text_of(item.get("arguments"))) for item in found]
