"""Webhooks and answers as files: `tests/fixtures/<platform>/<name>.json`; each folder has a note of its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent.parent / "fixtures"


def raw(platform: str, name: str) -> bytes:
    return (FOLDER / platform / f"{name}.json").read_bytes()


def value(platform: str, name: str) -> Any:
    return orjson.loads(raw(platform, name))


def names(platform: str, prefix: str = "") -> list[str]:
    return sorted(path.stem for path in (FOLDER / platform).glob(f"{prefix}*.json"))
