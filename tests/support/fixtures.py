"""Webhooks and answers as files: `tests/fixtures/<platform>/<name>.json`; each folder has a note of its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

FOLDER = Path(__file__).parent.parent / "fixtures"


def raw(platform: str, name: str) -> bytes:
    return (FOLDER / platform / f"{name}.json").read_bytes()


def value(platform: str, name: str) -> Any:
    return orjson.loads(raw(platform, name))


def names(platform: str, prefix: str = "") -> list[str]:
    return sorted(path.stem for path in (FOLDER / platform).glob(f"{prefix}*.json"))


def as_form(body: bytes) -> bytes:
    """A fixture as the form that stands for it; what is no JSON object is left as it is."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(fields, dict):
        return body
    pairs = [
        (name, value if isinstance(value, str) else orjson.dumps(value).decode()) for name, value in fields.items()
    ]
    return urlencode(pairs).encode()
