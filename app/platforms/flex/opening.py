"""A chat on its way to stand, and what agents get to know of the customer with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from app.core.message import Message, Profile, split_conversation
from app.core.reading import encoded
from app.core.render import as_text
from app.core.schema import LABEL_LIMIT
from app.core.text import cut
from app.http import Http
from app.platforms.destination import Keep
from app.platforms.flex.settings import UNIT

NAME_BYTES = 256  # of a customer's name, which attributes hold several times


class Customer(Struct, frozen=True):
    """Who writes, in the words of the configuration's templates."""

    conversation: str
    profile: Profile | None

    @property
    def address(self) -> str:
        return split_conversation(self.conversation)[1]

    def words(self) -> dict[str, str]:
        name = cut(self.profile.name, NAME_BYTES, "bytes") if self.profile and self.profile.name else self.address
        return {"name": name, "address": self.address, "channel": split_conversation(self.conversation)[0]}

    def known(self) -> dict[str, str]:
        """What agents may see of the profile."""
        profile = self.profile or Profile()
        found = {"email": profile.email, "phone": profile.phone, "locale": profile.locale, "country": profile.country}
        return {name: value for name, value in found.items() if value}


class Opening(Struct):
    """A chat on its way to stand. `key` is the same for every try; `handles` grow with each step."""

    customer: Customer
    identity: str
    key: str
    handles: dict[str, Any]
    keep: Keep
    http: Http
    uncertain: bool
    memory: Mapping[str, Any] = field(default_factory=dict)
    transcript: Sequence[Message] = ()

    def stands(self, *, seen: int | None = None, **found: Any) -> None:
        """A step is done: keep what it made."""
        self.handles |= found
        self.keep(self.handles, seen=seen)


Step = tuple[str, Callable[[Opening], None]]


def task_attributes(opening: Opening, settings: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """A task's attributes: who writes, what the configuration adds, `more`, and as much as fits of what the bot knew
    and of the last of what was said."""
    words = opening.customer.words()
    found: dict[str, Any] = {
        "name": words["name"],
        "customerName": words["name"],
        "customerAddress": opening.customer.address,
        "channel": words["channel"],
        **opening.customer.known(),
        **settings["task_attributes"],
        **more,
    }
    left = settings["attributes_limit"] - _size(found)
    if opening.memory and _size({"memory": opening.memory}) < left:
        found["memory"] = opening.memory
        left -= _size({"memory": opening.memory})
    lines = _transcript(opening.transcript, left - _size({"transcript": []}))
    if lines:
        found["transcript"] = lines
    return found


def pre_engagement(opening: Opening, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the customer before anybody spoke to them."""
    return {"friendlyName": opening.customer.words()["name"], **opening.customer.known(), **settings["pre_engagement"]}


def filled(template: str, opening: Opening) -> str:
    """A template of the configuration with this customer's words."""
    return cut(template.format_map(opening.customer.words()), LABEL_LIMIT, UNIT)


def _transcript(messages: Sequence[Message], most: int) -> list[dict[str, str]]:
    """The last of what was said, in at most so many bytes."""
    lines: list[dict[str, str]] = []
    for message in reversed(messages):
        line = {"author": message.author, "text": as_text(message.content)}
        most -= _size(line) + 1
        if most < 0:
            break
        lines.append(line)
    return lines[::-1]


def _size(value: Any) -> int:
    return len(encoded(value))
