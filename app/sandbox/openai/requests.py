"""What may be asked, by Chat Completions and by Responses, and what both mean: a part, turns, and tools."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.sandbox.checks import (
    Check,
    Field,
    Json,
    Refused,
    boolean,
    integer,
    is_web_url,
    list_of,
    number,
    one_of,
    optional,
    record,
    text,
    variant,
)

TOKENS = integer(1, 1_000_000)
WORDS = text(minimum=1)
TOOL_NAME = text(64, pattern=r"[A-Za-z0-9_-]+", shape="letters, digits, _ or -")
PICTURE = "[image]"


def anything(_value: object, _path: str) -> None:
    """What the model does not look at."""


def said(value: object, path: str) -> None:
    """Words of which at least one can be seen."""
    WORDS(value, path)
    if not str(value).strip():
        raise Refused(path, "must not be blank")


def picture_url(value: object, path: str) -> None:
    WORDS(value, path)
    if not is_web_url(str(value)) and not str(value).startswith("data:image/"):
        raise Refused(path, "must be a web address, or a picture as data:image/...")


def content(parts: Check) -> Check:
    """Words, or parts of them."""
    several = list_of(parts)

    def check(value: object, path: str) -> None:
        (several if isinstance(value, list) else said)(value, path)

    return check


def table(*fields: tuple[str, Check]) -> dict[str, Field]:
    return {name: Field(check) for name, check in fields}


FUNCTION = {
    "name": Field(TOOL_NAME),
    "description": optional(text(1_024)),
    "parameters": optional(
        record(
            {"type": Field(one_of(["object"])), "properties": Field(anything)}
            | {"required": optional(list_of(WORDS, minimum=0))}
        )
    ),
    "strict": optional(boolean),
}
COMMON = {
    "model": Field(WORDS),
    "stream": optional(boolean),
    "temperature": optional(number(0, 2)),
    "top_p": optional(number(0, 1)),
    "tool_choice": optional(anything),
    "metadata": optional(anything),
    "safety_identifier": optional(text(64, minimum=1)),
    "prompt_cache_key": optional(text(64, minimum=1)),
    "user": optional(WORDS),
    "store": optional(boolean),
}
CHAT_PART = variant(
    "type",
    {
        "text": record(table(("type", WORDS), ("text", said))),
        "image_url": record(
            {
                "type": Field(WORDS),
                "image_url": Field(record({"url": Field(picture_url), "detail": optional(WORDS)})),
            }
        ),
    },
)
CHAT = record(
    COMMON
    | {
        "messages": Field(
            list_of(
                record(
                    table(
                        ("role", one_of(["system", "developer", "user", "assistant"])), ("content", content(CHAT_PART))
                    )
                )
            )
        ),
        "stream_options": optional(record({"include_usage": optional(boolean)})),
        "tools": optional(list_of(record({"type": Field(one_of(["function"])), "function": Field(record(FUNCTION))}))),
        "max_completion_tokens": optional(TOKENS),
        "max_tokens": optional(TOKENS),
        "reasoning_effort": optional(WORDS),
        "seed": optional(anything),
    }
)
ITEM_PART = variant(
    "type",
    {
        "input_text": record(table(("type", WORDS), ("text", said))),
        "input_image": record(
            {"type": Field(WORDS), "image_url": Field(picture_url), "detail": optional(one_of(["auto", "low", "high"]))}
        ),
    },
)
ITEMS = list_of(
    record(table(("role", one_of(["system", "developer", "user", "assistant"])), ("content", content(ITEM_PART))))
)


def items_or_words(value: object, path: str) -> None:
    (said if isinstance(value, str) else ITEMS)(value, path)


RESPONSES = record(
    COMMON
    | {
        "input": Field(items_or_words),
        "instructions": optional(text()),
        "tools": optional(list_of(record(FUNCTION | {"type": Field(one_of(["function"]))}))),
        "max_output_tokens": optional(TOKENS),
        "reasoning": optional(anything),
    }
)


@dataclass(frozen=True)
class Turn:
    """`text` has PICTURE in the place of each picture."""

    role: str
    text: str


@dataclass(frozen=True)
class Asked:
    """A question in either form. `most` is how many tokens the answer may have."""

    model: str
    part: str
    turns: tuple[Turn, ...]
    tools: tuple[str, ...]
    most: int | None
    streams: bool
    usage: bool


def read_chat(body: Json) -> Asked:
    CHAT(body, "")
    turns = [_turn(message) for message in _objects(body["messages"])]
    options = body.get("stream_options") or {}
    return Asked(
        model=str(body["model"]),
        part="\n".join(turn.text for turn in turns if turn.role in ("system", "developer")),
        turns=_spoken(turns),
        tools=tuple(str(_object(tool["function"])["name"]) for tool in _objects(body.get("tools"))),
        most=_tokens(body.get("max_completion_tokens") or body.get("max_tokens")),
        streams=body.get("stream") is True,
        usage=_object(options).get("include_usage") is True,
    )


def read_responses(body: Json) -> Asked:
    RESPONSES(body, "")
    given = body["input"]
    turns = [Turn("user", given)] if isinstance(given, str) else [_turn(item) for item in _objects(given)]
    return Asked(
        model=str(body["model"]),
        part=str(body.get("instructions") or ""),
        turns=_spoken(turns),
        tools=tuple(str(tool["name"]) for tool in _objects(body.get("tools"))),
        most=_tokens(body.get("max_output_tokens")),
        streams=body.get("stream") is True,
        usage=True,
    )


READERS: Mapping[str, Callable[[Json], Asked]] = {"chat/completions": read_chat, "responses": read_responses}


def _spoken(turns: list[Turn]) -> tuple[Turn, ...]:
    found = tuple(turn for turn in turns if turn.role in ("user", "assistant"))
    if not found or found[-1].role != "user":
        raise Refused("messages", "must end with what the user says")
    return found


def _turn(message: Json) -> Turn:
    given = message["content"]
    parts = [given] if isinstance(given, str) else [str(part.get("text", PICTURE)) for part in _objects(given)]
    return Turn(str(message["role"]), "\n".join(parts))


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) else None
