"""What the commands that only look need: the store, and of the configuration what holds no secret.

So they run where the platforms' secrets are not, and neither adapters nor Celery are loaded for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from app.cli.common import file_of, find_running
from app.config.file import OVERRIDES, read, redis_of, resolve
from app.store import Store
from app.store.connection import connect

TIMEOUT = 5.0  # seconds for one Redis command


class View:
    """A store, and what the tables say without secrets."""

    def __init__(self, store: Store, raw: Mapping[str, Any]) -> None:
        self.store = store
        self._raw = raw

    @cached_property
    def providers(self) -> Mapping[str, str]:
        """Those of the channels' addresses, by the channel's name; empty where a variable that is not set says it."""
        return dict(_providers(self._raw))

    @cached_property
    def currency(self) -> str:
        """Empty where nothing is booked."""
        return str(_value(self._raw, "costs", "currency"))

    @cached_property
    def spool(self) -> str:
        """The folder of this machine's receiver; empty where it has none."""
        return os.environ.get(OVERRIDES["spool"]) or str(_value(self._raw, "gateway", "spool"))


def view_of(config: Path | None) -> View:
    """Raises: ConfigError, the file cannot be read, or its Redis is none."""
    find_running(config)
    raw = _tables(config)
    return View(Store(connect(redis_of(raw), timeout=TIMEOUT, name="cli")), raw)


def _tables(config: Path | None) -> dict[str, Any]:
    """The file's; none if there is no file, and Redis is named without one."""
    file = file_of(config)
    if config is None and os.environ.get(OVERRIDES["redis_url"]) and not file.exists():
        return {}
    return read(file)


def _providers(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from app.config.rules import provider_of  # asks the adapters' classes, which take longer to load than most commands

    channels = raw.get("channels")
    for name, channel in channels.items() if isinstance(channels, dict) else ():
        if isinstance(channel, dict):
            yield name, provider_of({key: _value(raw, "channels", name, key) for key in channel})


def _value(raw: Mapping[str, Any], *path: str) -> Any:
    """What stands in the tables, `env:` and `file:` resolved; empty if it is missing or cannot be known."""
    found: list[tuple[str, str]] = []
    value: Any = raw
    for name in path:
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return resolve(value, "", os.environ, found)
