"""Answers in both forms of the API, whole and as streams of server-sent events."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping

from app.sandbox.checks import Json
from app.sandbox.openai.model import Said
from app.sandbox.openai.requests import Asked

KEEP_ALIVE = ": keep-alive\n\n"
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def tokens_in(asked: Asked) -> int:
    """About four characters each."""
    return len(asked.part) // 4 + sum(4 + len(turn.text) // 4 for turn in asked.turns)


def tokens_out(said: Said) -> int:
    return len(f"{said.text}{said.refusal}{said.arguments}".split())


def chat(asked: Asked, said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": said.refusal or None}
    if said.tool:
        message["tool_calls"] = [_chat_call(said)]
    choice = {"index": 0, "message": message, "finish_reason": said.ended, "logprobs": None}
    return _chat_head(asked, "chat.completion") | {"choices": [choice], "usage": _chat_usage(asked, said)}


def chat_stream(asked: Asked, said: Said) -> Iterator[str]:
    """Word by word, as `data:` lines; what was spent comes last, if that is asked for."""
    head = _chat_head(asked, "chat.completion.chunk") | ({"usage": None} if asked.usage else {})

    def chunk(delta: Json, ended: str | None = None) -> str:
        return _data(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": ended, "logprobs": None}]})

    yield KEEP_ALIVE
    yield chunk({"role": "assistant", "content": ""})
    yield from (chunk({"content": word}) for word in _words(said.text))
    yield from (chunk({"refusal": word}) for word in _words(said.refusal))
    if said.tool:
        begun = _chat_call(said) | {"index": 0, "function": {"name": said.tool, "arguments": ""}}
        yield chunk({"tool_calls": [begun]})
        yield from (
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in _words(said.arguments)
        )
    yield chunk({}, said.ended)
    if asked.usage:
        yield _data(head | {"choices": [], "usage": _chat_usage(asked, said)})
    yield "data: [DONE]\n\n"


def responses(asked: Asked, said: Said) -> Json:
    incomplete = INCOMPLETE.get(said.ended)
    return {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.model,
        "status": "incomplete" if incomplete else "completed",
        "error": None,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "output": _output(said),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        "usage": {
            "input_tokens": tokens_in(asked),
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": tokens_out(said),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in(asked) + tokens_out(said),
        },
    }


def responses_stream(asked: Asked, said: Said) -> Iterator[str]:
    whole = responses(asked, said)
    events: list[Json] = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": [], "usage": None}}
    ]
    for index, item in enumerate(_output(said)):
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        if item["type"] == "message":
            delta = {"type": "response.output_text.delta", "item_id": item["id"], "output_index": index}
            events += [delta | {"content_index": 0, "delta": word, "logprobs": []} for word in _words(said.text)]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    yield KEEP_ALIVE
    for number, event in enumerate(events):
        yield f"event: {event['type']}\n{_data(event | {'sequence_number': number})}"


WHOLE: Mapping[str, Callable[[Asked, Said], Json]] = {"chat/completions": chat, "responses": responses}
STREAMS: Mapping[str, Callable[[Asked, Said], Iterator[str]]] = {
    "chat/completions": chat_stream,
    "responses": responses_stream,
}


def _chat_head(asked: Asked, kind: str) -> Json:
    name = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": asked.model}


def _chat_usage(asked: Asked, said: Said) -> Json:
    read, written = tokens_in(asked), tokens_out(said)
    return {
        "prompt_tokens": read,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _chat_call(said: Said) -> Json:
    function = {"name": said.tool, "arguments": said.arguments}
    return {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}


def _output(said: Said) -> list[Json]:
    items: list[Json] = []
    parts: list[Json] = [{"type": "output_text", "text": said.text, "annotations": []}] if said.text else []
    parts += [{"type": "refusal", "refusal": said.refusal}] if said.refusal else []
    if parts:
        message: Json = {"id": f"msg_{secrets.token_hex(8)}", "type": "message", "role": "assistant"}
        items.append(message | {"status": "completed", "content": parts})
    if said.tool:
        call: Json = {"id": f"fc_{secrets.token_hex(8)}", "type": "function_call", "status": "completed"}
        items.append(call | {"call_id": f"call_{secrets.token_hex(8)}", "name": said.tool, "arguments": said.arguments})
    return items


def _words(text: str) -> list[str]:
    """Pieces that make the text again."""
    return [part for word in text.split(" ") for part in (" ", word)][1:] if text else []


def _data(event: Json) -> str:
    return f"data: {json.dumps(event)}\n\n"
