"""The configuration's tables as they stand, for rules that hold between them.

They are read before they are valid, so that every problem is named at once: a value may be missing, or of any type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct


class Table(Struct, frozen=True):
    """One table of a channel or destination. `provider` is the first half of a channel's customers' addresses, as far
    as the table says it."""

    name: str
    type: str
    values: Mapping[str, Any]
    provider: str = ""


class Tables(Struct, frozen=True):
    """All of them by name. `host` is that of `gateway.public_url`, '' where that is not valid."""

    host: str
    channels: Mapping[str, Table]
    destinations: Mapping[str, Table]

    def users(self, destination: str) -> list[Table]:
        """The channels that name this destination, first or for a handoff."""
        return [one for one in self.channels.values() if destination in _named(one.values)]

    def sharing(self, destination: str) -> list[Table]:
        """Its users, if two of them have one provider: their customers' addresses do not tell the channels apart."""
        users = self.users(destination)
        return users if len({one.provider for one in users}) < len(users) else []


def _named(values: Mapping[str, Any]) -> tuple[Any, Any]:
    return values.get("destination"), values.get("handoff")


@runtime_checkable
class HasRules(Protocol):
    """A platform's class with rules that hold between its table and others."""

    @staticmethod
    def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
        """What is wrong: (key of its own table, a sentence that says what must be), for each problem."""


@runtime_checkable
class NamesProvider(Protocol):
    """A channel's class whose provider the table says."""

    @staticmethod
    def provider_of(values: Mapping[str, Any]) -> str:
        """The provider of a table as it stands, '' if that is not said."""
