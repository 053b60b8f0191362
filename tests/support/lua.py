"""A part of the scripts that knows neither keys nor clocks, as functions of Python."""

from __future__ import annotations

from importlib import resources
from typing import Any

from lupa.lua51 import LuaRuntime  # as in Redis


def functions(part: str, *names: str) -> list[Any]:
    """Its functions of those names; tables go in and come out as dicts."""
    lua = LuaRuntime()
    text = (resources.files("app.store") / "scripts" / "parts" / f"{part}.lua").read_text()
    found = lua.execute(f"{text}\nreturn {{ {', '.join(names)} }}")
    return [_translated(lua, found[number]) for number in range(1, len(names) + 1)]


def _translated(lua: Any, function: Any) -> Any:
    def call(*values: Any) -> Any:
        answer = function(*(lua.table_from(value) if isinstance(value, dict) else value for value in values))
        answers = answer if isinstance(answer, tuple) else (answer,)
        plain = tuple(dict(one) if hasattr(one, "items") else one for one in answers)
        return plain if isinstance(answer, tuple) else plain[0]

    return call
