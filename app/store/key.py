"""What the map of Redis (`keys.py`) is made of: kinds of keys, and their fields."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Type = Literal["string", "list", "set", "zset", "hash", "stream", "any", "none"]
Expiry = Literal["never", "always", "when done", "perhaps"]
"""Whether a key goes by itself. `when done`: not while something waits for it."""


class Field(Struct, frozen=True):
    """Of a hash or a stream's entry: its name in Redis, its full name, what it is. A name in `<>` stands for many."""

    name: str
    full: str
    what: str = ""


class Key(Struct, frozen=True):
    """A kind of key: `prefix:of`, or `prefix` alone where there is one. `holds` is what its values or members are.

    `until` says for how long it is kept. `writers` are scripts, parts of scripts, or verbs of the store in Python.
    """

    full: str
    prefix: str
    of: str
    type: Type
    holds: str
    expiry: Expiry = "never"
    until: str = ""
    writers: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def pattern(self) -> str:
        return f"{self.prefix}:{self.of}" if self.of else self.prefix

    def name(self, *parts: str) -> str:
        """A key without the prefix of all; `parts` are what its `of` names, as many as it has."""
        return ":".join((self.prefix, *parts))

    def short(self, *full: str) -> list[str]:
        """Fields by their full names. Raises KeyError: there is none of that name."""
        names = {field.full: field.name for field in self.fields}
        return [names[one] for one in full]


def fields(*rows: str | tuple[str, str] | tuple[str, str, str]) -> tuple[Field, ...]:
    """Rows of name, full name, meaning; where a name says it all, it is alone."""
    return tuple(Field(row, row) if isinstance(row, str) else Field(*row) for row in rows)
