"""JSON in strings, our mark on messages, and identities: how Flex writes things down."""

from __future__ import annotations

import re
from typing import Any

from app.core.message import Author
from app.core.reading import Unreadable, encoded, parsed


def as_json(value: Any) -> str:
    return encoded(value).decode()


def json_object(text: Any) -> dict[str, Any] | None:
    """A JSON object in a string; None if it is none."""
    try:
        value = parsed(text) if isinstance(text, str) else None
    except Unreadable:
        return None
    return value if isinstance(value, dict) else None


def mark_of(attributes: Any) -> str | None:
    """Our id of a message that we put into a chat; None for other people's."""
    mark = (json_object(attributes) or {}).get("patchbay")
    return str(mark["id"]) if isinstance(mark, dict) and "id" in mark else None


def plain(identity: str) -> str:
    """An identity as it was given: Flex may show special characters as `_3A`. Every address has a colon."""
    if ":" in identity:
        return identity
    return re.sub(r"_([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), identity)


def author_of(identity: str) -> Author:
    return "system" if identity == "system" else "agent"


def mark(ident: str) -> str:
    """The attributes of a message that we put into a chat."""
    return as_json({"patchbay": {"id": ident}})
