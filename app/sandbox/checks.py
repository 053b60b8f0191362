"""Strict checks of values that arrive as JSON or as a form.

Every stand-in describes what it takes as a table of checks; the first thing that does not fit is `Refused`,
which carries the path of the field (`events[0].mId`) so that the error body can name it.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias
from urllib.parse import urlsplit

Check: TypeAlias = Callable[[object, str], None]
Json: TypeAlias = dict[str, object]


class Refused(ValueError):  # reads as what happened to the value
    """A value that does not fit: which field, what is wrong with it, and the HTTP status that says so."""

    def __init__(self, field: str, reason: str, status: int = 400) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.status = status


@dataclass(frozen=True)
class Field:
    """One field of a record: how its value is checked, and whether it may be left out."""

    check: Check
    required: bool = True


def optional(check: Check) -> Field:
    return Field(check, required=False)


def text(maximum: int | None = None, minimum: int = 0, pattern: str = "", shape: str = "") -> Check:
    """A string; lengths count characters; `shape` says in words what `pattern` asks for."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise Refused(path, f"must be a string, not {_kind(value)}")
        if len(value) < minimum:
            raise Refused(path, "must not be empty")
        if maximum is not None and len(value) > maximum:
            raise Refused(path, f"must have at most {maximum} characters, has {len(value)}")
        if pattern and not re.fullmatch(pattern, value):
            raise Refused(path, f"must be {shape}")

    return check


def url(maximum: int = 2000) -> Check:
    """An absolute http or https URL."""
    length = text(maximum, minimum=1, pattern=r"\S+", shape="a URL without spaces")

    def check(value: object, path: str) -> None:
        length(value, path)
        if not is_web_url(str(value)):
            raise Refused(path, "must be an absolute http or https URL")

    return check


def is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def number(low: float, high: float) -> Check:
    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(path, f"must be a number, not {_kind(value)}")
        if not low <= value <= high:
            raise Refused(path, f"must lie between {low} and {high}")

    return check


def integer(low: int, high: int, shape: str = "an integer") -> Check:
    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(path, f"must be {shape}, not {_kind(value)}")
        if not low <= value <= high:
            raise Refused(path, f"must be {shape} between {low} and {high}")

    return check


def boolean(value: object, path: str) -> None:
    if not isinstance(value, bool):
        raise Refused(path, f"must be a boolean, not {_kind(value)}")


def one_of(words: Iterable[str]) -> Check:
    known = tuple(words)

    def check(value: object, path: str) -> None:
        if value not in known:
            raise Refused(path, f"must be one of {', '.join(known)}")

    return check


def list_of(item: Check, minimum: int = 1, maximum: int | None = None) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise Refused(path, f"must be an array, not {_kind(value)}")
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            wanted = f"{minimum} to {maximum or 'any number of'} entries"
            raise Refused(path, f"must have {wanted}, has {len(value)}")
        for index, entry in enumerate(value):
            item(entry, f"{path}[{index}]")

    return check


def record(fields: Mapping[str, Field]) -> Check:
    """An object with exactly these fields: none missing, none unknown, none null."""

    def check(value: object, path: str) -> None:
        entries = as_object(value, path)
        for name in entries:
            if name not in fields:
                raise Refused(_join(path, name), "is not a known field")
        for name, field in fields.items():
            if name in entries:
                field.check(entries[name], _join(path, name))
            elif field.required:
                raise Refused(_join(path, name), "is missing")

    return check


def variant(key: str, shapes: Mapping[str, Check]) -> Check:
    """An object whose field `key` says which of `shapes` it has."""
    choose = one_of(shapes)

    def check(value: object, path: str) -> None:
        entries = as_object(value, path)
        if key not in entries:
            raise Refused(_join(path, key), "is missing")
        choose(entries[key], _join(path, key))
        shapes[str(entries[key])](value, path)

    return check


def as_object(value: object, path: str) -> Json:
    if not isinstance(value, dict):
        raise Refused(path or "body", f"must be an object, not {_kind(value)}")
    return value


def read_json(raw: bytes | str, path: str = "body") -> object:
    """Parse JSON; no NaN or Infinity, no field twice in one object."""
    try:
        return json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except Refused as problem:
        raise Refused(path, problem.reason) from problem
    except (ValueError, RecursionError) as problem:
        raise Refused(path, "is not valid JSON") from problem


def read_json_body(mimetype: str, raw: bytes) -> object:
    if mimetype != "application/json":
        raise Refused("Content-Type", "must be application/json")
    return read_json(raw)


def _unique(pairs: list[tuple[str, object]]) -> Json:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise Refused("body", "names a field twice in one object")
    return entries


def _refuse_constant(word: str) -> NoReturn:
    raise Refused("body", f"holds {word}, which is not JSON")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: object) -> str:
    """The JSON word for a Python value's type."""
    if value is None:
        return "null"
    words = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return words.get(type(value), "an object")
