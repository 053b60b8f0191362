"""Writes the configuration of tests as a file; only what our tables need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def dumps(raw: Mapping[str, Any]) -> str:
    """TOML for two levels of tables whose values are strings, numbers, booleans and lists of them."""
    lines = [f"{key} = {_value(value)}" for key, value in raw.items() if not isinstance(value, Mapping)]
    for name, table in raw.items():
        if isinstance(table, Mapping):
            lines += _table(name, table)
    return "\n".join(lines) + "\n"


def _table(path: str, table: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"[{path}]", *(f"{key} = {_value(value)}" for key, value in plain.items())] if plain else []
    for key, inner in table.items():
        if isinstance(inner, Mapping):
            lines += _table(f"{path}.{key}", inner)
    return lines


def _value(value: Any) -> str:
    return orjson.dumps(value).decode()  # JSON's strings, numbers, booleans and lists are TOML's
