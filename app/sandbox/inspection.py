"""What the stand-ins hold, as a page for people: for each of them its lists, the newest first, an entry a line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.sandbox.checks import Json

MAX_SHOWN = 100  # entries of a list
FAILED = ("violations", "refused")  # what the gateway must not have done
# What says most about an entry, in the order in which it reads well.
TELLING = (
    "event", "kind", "target", "method", "path", "status", "value", "author", "direction", "current_task",
    "name", "friendly_name", "contactId", "user_id", "customer", "from_", "to", "text", "caption", "body",
    "message", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One line; `lists` are those that it holds, `rest` everything else as JSON."""

    line: str
    rest: str
    lists: tuple["Listed", ...]


@dataclass(frozen=True)
class Listed:
    """`entries` are the newest of `count`; `has_failed` if these are things that went wrong."""

    name: str
    count: int
    entries: tuple[Entry, ...]
    has_failed: bool


@dataclass(frozen=True)
class Platform:
    """`values` are those that are no lists."""

    name: str
    title: str
    lists: tuple[Listed, ...]
    values: Mapping[str, str]

    @property
    def failed(self) -> int:
        return sum(one.count for one in self.lists if one.has_failed)


def platforms(found: Mapping[str, Json], titles: Mapping[str, str]) -> list[Platform]:
    """`found` is what `/inspect` answers to programs; `titles` for people, by its names."""
    return [
        Platform(name, titles.get(name, name.capitalize()), tuple(_lists(entries)), _values(entries))
        for name, entries in found.items()
    ]


def _lists(entries: Json) -> Iterator[Listed]:
    """What failed comes first."""
    lists = {name: value for name, value in entries.items() if _is_list(value)}
    for name in sorted(lists, key=lambda name: name not in FAILED):
        newest = list(reversed(lists[name]))  # type: ignore[call-overload]  # a list, as was asked
        shown = tuple(map(_entry, newest[:MAX_SHOWN]))
        yield Listed(name.replace("_", " "), len(newest), shown, name in FAILED and bool(newest))


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _values(entries: Json) -> Mapping[str, str]:
    return {name.replace("_", " "): _written(value) for name, value in entries.items() if not _is_list(value)}


def _entry(value: object) -> Entry:
    if not isinstance(value, dict):
        return Entry(_written(value), "", ())
    lists = {name: one for name, one in value.items() if _is_list(one) and one and isinstance(one[0], dict)}
    rest = {name: one for name, one in value.items() if name not in lists}
    return Entry(_line(value), json.dumps(rest, indent=2, ensure_ascii=False), tuple(_lists(lists)))


def _line(entry: Json) -> str:
    """What is told by numbers alone is known by the names of what it holds."""
    told = [words for name in TELLING if name in entry and (words := _words(entry[name]))]
    if all(map(str.isdecimal, told)):
        told += filter(
            None, [", ".join(name for name, value in entry.items() if value and isinstance(value, dict | list))]
        )
    return " · ".join(told) or "an entry"


def _words(value: object) -> str:
    """Of a message its text, of anything else that is no value nothing."""
    if isinstance(value, dict):
        return _words(value.get("text") or value.get("title") or value.get("type"))
    return str(value) if isinstance(value, str | int) and value != "" else ""


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
