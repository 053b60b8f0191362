"""What reading a table takes: which kinds there are, and what is wrong under which key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError

from app.core.schema import problems
from app.platforms.registry import Kind

KINDS: Mapping[str, Kind] = {"channels": "channel", "destinations": "destination"}  # by the tables' names

Found = list[tuple[str, str]]
"""Problems: the key of each, and the rule that it breaks."""


def validated(schema: Schema, table: Any, key: str, found: Found) -> dict[str, Any] | None:
    """The table's values with their defaults; None where something is wrong with them, which is noted."""
    try:
        return cast("dict[str, Any]", schema.load(table, unknown=RAISE))
    except ValidationError as error:
        found += problems(error.messages, key)
        return None


def tables_of(resolved: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Those of the channels or destinations that are tables at all, by name."""
    found = resolved.get(kind)
    tables = found if isinstance(found, dict) else {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def type_of(table: Mapping[str, Any]) -> str:
    """What a table says that it is; '' where that is no name."""
    found = table.get("type")
    return found if isinstance(found, str) else ""
