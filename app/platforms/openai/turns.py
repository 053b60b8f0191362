"""What is told to the model of a conversation: turns of the customer and of who answers them, within a bound.

No turn is empty: many servers refuse one. What the model cannot see is said in words. Turns of one side in a row are
one, since the templates of some models want the sides to alternate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import dropwhile, groupby
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from app.core.message import Attachment, Card, Content, Image, Location, Message
from app.core.render import as_text

Role = Literal["user", "assistant"]
BYTES_OF_A_TOKEN = 3  # on the safe side: English has about four in one, Chinese three
TOKENS_OF_A_TURN = 4  # what stands around its words
TOKENS_OF_A_PICTURE = 1_000
MAX_PICTURES = 4  # the newest; each one costs time and money with every question


class Picture(Struct, frozen=True):
    """`url` is a web address, or holds the picture itself (`data:`)."""

    url: str
    words: str = "[image]"


Part = str | Picture


class Turn(Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]

    def content(self, as_object: Callable[[Part], Mapping[str, Any]]) -> str | list[Mapping[str, Any]]:
        """As the API has it: a text, where it is words alone; else each part as an object."""
        words = [part for part in self.parts if isinstance(part, str)]
        return "\n".join(words) if len(words) == len(self.parts) else [as_object(part) for part in self.parts]


def turn_of(role: Role, content: Content, *, sees: bool) -> Turn | None:
    """A content as a turn; None where it says nothing. Only customers' pictures can be shown."""
    parts = tuple(_parts(content, sees=sees and role == "user"))
    return Turn(role, parts) if parts else None


def before(history: Iterable[Message], tokens: int, *, sees: bool, shortened: bool) -> list[Turn]:
    """What was said before, oldest first: the newest turns that are estimated to be at most so many tokens.

    Args:
        shortened: there was more before the history's first message.
    """
    said = (turn_of(_role(message), message.content, sees=sees) for message in history)
    turns = [turn for turn in said if turn]
    left, kept = tokens, 0
    for turn in reversed(turns):
        left -= estimated(turn)
        if left < 0:
            break
        kept += 1
    newest = turns[len(turns) - kept :]
    return from_customer(newest) if shortened or kept < len(turns) else newest


def from_customer(turns: Iterable[Turn]) -> list[Turn]:
    """The turns from the customer's first one on: where a conversation was cut, an answer to what is not there says
    little, and the templates of some models refuse one that begins with an answer."""
    return list(dropwhile(lambda turn: turn.role != "user", turns))


def estimated(turn: Turn) -> int:
    """About how many tokens a turn is."""
    return TOKENS_OF_A_TURN + sum(
        -(-len(part.encode("utf-8", "surrogatepass")) // BYTES_OF_A_TOKEN)
        if isinstance(part, str)
        else TOKENS_OF_A_PICTURE
        for part in turn.parts
    )


def alternating(turns: Iterable[Turn]) -> list[Turn]:
    """The turns with those of one side in a row as one; older pictures in words."""
    runs = [(role, tuple(run)) for role, run in groupby(turns, key=lambda turn: turn.role)]
    return _few_pictures([Turn(role, tuple(part for turn in run for part in turn.parts)) for role, run in runs])


def _few_pictures(turns: Sequence[Turn]) -> list[Turn]:
    left = MAX_PICTURES
    found: list[Turn] = []
    for turn in reversed(turns):
        parts: list[Part] = []
        for part in reversed(turn.parts):
            if isinstance(part, Picture):
                left -= 1
            parts.insert(0, part.words if isinstance(part, Picture) and left < 0 else part)
        found.insert(0, replace(turn, parts=tuple(parts)))
    return found


def _role(message: Message) -> Role:
    """Whoever of ours wrote speaks with one voice."""
    return "user" if message.direction == "inbound" else "assistant"


def _parts(content: Content, *, sees: bool) -> Iterator[Part]:
    match content:
        case Attachment(kind="image") if sees:
            yield Picture(content.url, _file(content))
            yield from _worded(content.description or "")
        case Card(text, images):
            yield from _worded(text)
            for image in images:
                yield Picture(image.url, _image(image)) if sees else _image(image)
        case Attachment():
            yield _file(content)
        case Location():
            yield f"[location: {as_text(content)}]"
        case _:
            yield from _worded(as_text(content))


def _worded(text: str) -> Iterator[str]:
    if text.strip():
        yield text


def _file(file: Attachment) -> str:
    """Its name without its address, which may be good for whoever has it."""
    name = " - ".join(part for part in (file.description, file.file_name) if part)
    return f"[{file.kind}: {name}]" if name else f"[{file.kind}]"


def _image(image: Image) -> str:
    return f"[image: {image.label}]" if image.label else "[image]"
