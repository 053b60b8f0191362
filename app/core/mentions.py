"""Whether a webhook that is kept speaks of somebody: one of its values, wherever it stands, is one of their names.

Whole values are compared, in the path, the query, the headers and the body, in JSON inside of forms, too: who is named
`12345` is not whoever wrote 12345 pieces. Only what is neither JSON nor a form is taken apart into words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from app.core.reading import Unreadable, stored

FIELD = re.compile(r"[\w.\[\]-]+")  # the name of one of a form
WORDS = re.compile(r"[^\s\"'<>&=,;()\[\]{}]+")


def mentions(webhook: Mapping[str, Any], names: Collection[str]) -> bool:
    """`webhook` as `app.parked` writes it."""
    return any(value in names for value in _values(webhook))


def names_in(text: str, names: Collection[str]) -> bool:
    """The same for a text of which nothing is known."""
    return any(word in names for word in WORDS.findall(text))


def _values(webhook: Mapping[str, Any]) -> Iterator[str]:
    address, _, query = str(webhook.get("url", "")).partition("?")
    for path in (address, str(webhook.get("path", ""))):
        yield from (unquote(segment) for segment in path.split("/"))
    yield from (value for _, value in parse_qsl(query))
    headers = webhook.get("headers")
    yield from (str(value) for value in (headers.values() if isinstance(headers, Mapping) else ()))
    body = str(webhook.get("body", "")).encode("latin-1", "replace").decode(errors="replace")
    yield from WORDS.findall(body) if (found := _read(body)) is None else _leaves(found)


def _read(body: str) -> Any:
    """What a body of JSON or of a form says; else None."""
    found = _json(body)
    return _form(body) if found is None else found


def _leaves(value: Any) -> Iterator[str]:
    """The texts and whole numbers in a value, also in JSON that is written into one of its texts."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
        inner = _json(value)
        if inner is not None:
            yield from _leaves(inner)
    elif isinstance(value, int):
        yield str(value)


def _json(text: str) -> Any:
    """The value in a text that is a JSON object or list; else None."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return stored(text)
    except (Unreadable, RecursionError):
        return None


def _form(body: str) -> list[str] | None:
    try:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    return [value for _, value in pairs] if all(FIELD.fullmatch(name) for name, _ in pairs) else None
