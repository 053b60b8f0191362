"""A configuration file as it stands: its tables, `env:` and `file:` in their values, and where Redis is.

What only wants to look needs no more than this: no adapter is loaded, and no platform's secret asked for.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.core.sentinels import is_sentinels, sentinels_of

CONFIG_VARIABLE = "PATCHBAY_CONFIG"
THREADS_VARIABLE = "PATCHBAY_RECEIVER_THREADS"  # of one process; what `patchbay receiver --threads` says
BEHIND_PROXY_VARIABLE = "PATCHBAY_BEHIND_PROXY"  # "1": callers' addresses are what our proxy says
LOG_FORMAT_VARIABLE = "PATCHBAY_LOG_FORMAT"
LOG_FORMATS = ("json", "text")
ACCESS_LOG_VARIABLE = "PATCHBAY_ACCESS_LOG"  # "1": a line for each request
USUAL_FILE = "patchbay.toml"
USUAL_REDIS = "redis://127.0.0.1:6379/0"
OVERRIDES = {
    "public_url": "PATCHBAY_PUBLIC_URL",
    "redis_url": "PATCHBAY_REDIS_URL",
    "broker_url": "PATCHBAY_BROKER_URL",
    "spool": "PATCHBAY_SPOOL",
}
SCHEMES = {
    "redis_url": ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://"),
    "broker_url": (
        *("redis://", "rediss://", "redis+socket://", "redis+sentinel://", "rediss+sentinel://", "sentinel://"),
        *("amqp://", "amqps://"),
    ),
}


NO_PORT = "Must be a URL whose host and port can be read."


class ConfigError(Exception):
    """`problems` holds (key, rule) for everything that is wrong."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {rule}" if key else rule for key, rule in problems))
        self.problems = problems


def read(path: Path) -> dict[str, Any]:
    """The tables of a configuration file as they stand. Raises: ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([("", f"{path} cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([("", f"{path} is not TOML: {error}")]) from None


def redis_of(raw: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> str:
    """The URL of the store's Redis; nothing else in the tables needs to be right. Raises: ConfigError."""
    found: list[tuple[str, str]] = []
    table = raw.get("gateway", {})
    if not isinstance(table, dict):
        raise ConfigError([("gateway", "Must be a table.")])
    url = environ.get(OVERRIDES["redis_url"]) or resolve(
        table.get("redis_url", USUAL_REDIS), "gateway.redis_url", environ, found
    )
    rule = service_problem("redis_url", url)
    if rule and not found:
        found = [("gateway.redis_url", rule)]
    if found:
        raise ConfigError(found)
    return str(url)


def resolve(value: Any, key: str, environ: Mapping[str, str], found: list[tuple[str, str]]) -> Any:
    """The tree with `env:` and `file:` values replaced; what cannot be read is noted under its key."""
    if isinstance(value, Mapping):
        return {name: resolve(inner, f"{key}.{name}" if key else name, environ, found) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, f"{key}.{number}", environ, found) for number, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    if value.startswith("env:"):
        name = value.removeprefix("env:")
        if not environ.get(name):
            found.append((key, f"The environment variable {name} is not set."))
        return environ.get(name, "")
    if value.startswith("file:"):
        try:
            return Path(value.removeprefix("file:")).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError):  # ValueError: not UTF-8, or a path that can be none
            found.append((key, f"The file {value.removeprefix('file:')} cannot be read."))
            return ""
    return value


def service_problem(key: str, urls: object) -> str | None:
    """What is wrong with `redis_url` or `broker_url`: a URL, or several with a semicolon between, as kombu has it."""
    known = SCHEMES[key]
    if not (isinstance(urls, str) and all(url.startswith(known) for url in urls.split(";"))):
        return f"Must be a URL that begins with one of: {', '.join(known)}."
    try:
        if is_sentinels(urls):
            sentinels_of(urls)
        elif any(urlsplit(url).port == 0 for url in urls.split(";")):
            return NO_PORT
    except ValueError as error:
        return str(error) if is_sentinels(urls) else NO_PORT
    return None
