"""What `patchbay up --sandbox` sets up for each stand-in, as its file in `app/sandbox/up` says: where the gateway finds
it, its credentials, its pages, and its part of the configuration."""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

TABLE, CONFIG = ".toml", ".patchbay.toml"  # ends of the files' names; of the second kind is what adds to patchbay.toml
MADE_UP = re.compile(r"(.*?)(\d+)\Z")


def addresses(sandbox: str) -> dict[str, str]:
    """Variables with the addresses below that of the sandbox."""
    return {name: f"{sandbox}{path}" for name, path in _gathered("addresses").items()}


def credentials() -> dict[str, str]:
    """Variables with credentials that exist nowhere else."""
    return {name: _made_up(shape) for name, shape in _gathered("secrets").items()}


def pages(sandbox: str, hosts: Iterable[str]) -> list[tuple[str, str]]:
    """What there is to look at, and where.

    Args:
        hosts: the URLs that the configuration names; a stand-in that has none of them has nothing to show.
    """
    within = tuple(f"{url.rstrip('/')}/" for url in hosts)
    used = [told for told in _tables() if _is_named(told.get("addresses", {}).values(), sandbox, within)]
    return [(name, f"{sandbox}{path}") for told in used for name, path in told.get("pages", {}).items()]


def _is_named(paths: Iterable[str], sandbox: str, within: Iterable[str]) -> bool:
    below = tuple(f"{sandbox}{path.rstrip('/')}/" for path in paths)
    return any(url.startswith(below) for url in within)


def configuration(folder: Path) -> Path:
    """The sandbox's patchbay.toml, with what stand-ins add to it; a file in `folder`, if they do."""
    whole = resources.files("app.sandbox") / "patchbay.toml"
    parts = [path.read_text(encoding="utf-8") for path in files() if path.name.endswith(CONFIG)]
    if not parts:
        return Path(str(whole))
    written = folder / "sandbox.toml"
    written.write_text("\n".join([whole.read_text(encoding="utf-8"), *parts]), encoding="utf-8")
    return written


def _made_up(shape: str) -> str:
    """Hex digits behind what they begin with: `AC32` are AC and 32 of them."""
    found = MADE_UP.match(shape)
    prefix, count = (found[1], int(found[2])) if found else (shape, 0)
    return prefix + secrets.token_hex(count // 2)


def _gathered(table: str) -> dict[str, str]:
    return {name: value for told in _tables() for name, value in told.get(table, {}).items()}


@cache
def _tables() -> list[Mapping[str, Any]]:
    named = [path for path in files() if path.name.endswith(TABLE) and not path.name.endswith(CONFIG)]
    return [tomllib.loads(path.read_text(encoding="utf-8")) for path in named]


def files() -> list[Any]:
    """What stands in `app/sandbox/up`."""
    return sorted((resources.files("app.sandbox") / "up").iterdir(), key=lambda path: path.name)
