"""What agents get to know of a customer with a thread: attributes of tasks and threads, and names by templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from app.core.message import Message, Profile, split_conversation
from app.core.reading import encoded
from app.core.render import as_text
from app.core.schema import LABEL_LIMIT
from app.core.text import cut
from app.platforms.flex.settings import UNIT

NAME_BYTES = 256  # of a customer's name, which attributes hold several times


class Customer(Struct, frozen=True):
    """Who writes, what the bot knew of them, and what was said before."""

    conversation: str
    profile: Profile | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    transcript: Sequence[Message] = ()

    @property
    def address(self) -> str:
        return split_conversation(self.conversation)[1]

    @property
    def words(self) -> dict[str, str]:
        """The words of the configuration's templates."""
        name = cut(self.profile.name, NAME_BYTES, "bytes") if self.profile and self.profile.name else self.address
        return {"name": name, "address": self.address, "channel": split_conversation(self.conversation)[0]}

    @property
    def known(self) -> dict[str, str]:
        """What agents may see of the profile."""
        profile = self.profile or Profile()
        found = {"email": profile.email, "phone": profile.phone, "locale": profile.locale, "country": profile.country}
        return {name: value for name, value in found.items() if value}


def filled(template: str, customer: Customer) -> str:
    """A template of the configuration with this customer's words."""
    return cut(template.format_map(customer.words), LABEL_LIMIT, UNIT)


def pre_engagement(customer: Customer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the customer before anybody spoke to them."""
    return {"friendlyName": customer.words["name"], **customer.known, **settings["pre_engagement"]}


def task_attributes(customer: Customer, settings: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """A task's attributes: who writes, what the configuration adds, `more`, and as much as fits of what the bot knew
    and of the last of what was said."""
    words = customer.words
    found: dict[str, Any] = {
        "name": words["name"],
        "customerName": words["name"],
        "customerAddress": customer.address,
        "channel": words["channel"],
        **customer.known,
        **settings["task_attributes"],
        **more,
    }
    left = settings["attributes_limit"] - _size(found)
    memory = {"memory": customer.memory}
    if customer.memory and _size(memory) < left:
        found |= memory
        left -= _size(memory)
    lines = _transcript(customer.transcript, left - _size({"transcript": []}))
    if lines:
        found["transcript"] = lines
    return found


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
