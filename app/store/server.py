"""The Redis server that holds the state, and what it must be like.

A server that throws keys away to make room throws acknowledged messages away. So that is refused where anything starts,
unless the configuration says otherwise; what merely worries is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import redis
from msgspec import Struct

from app.core.errors import StoreUnavailable
from app.store.connection import Connection
from app.store.keys import PROBE, PROBE_KEEP

Check = Literal["refuse", "warn", "off"]
CHECKS: Mapping[str, Check] = {"eviction": "refuse", "persistence": "warn", "version": "warn", "cluster": "refuse"}
"""What is looked at, and what follows by default from what is not as it should be."""

NEEDED = (6, 2)
KEEP_ALL = "noeviction"


class Facts(Struct, frozen=True):
    """What a server says of itself; None for what it does not say."""

    version: str | None = None
    policy: str | None = None
    append_only: bool | None = None
    cluster: bool | None = None


class Fault(Struct, frozen=True):
    """What is wrong with a server, in a sentence; `refused`: nothing may start on it. `kind` is one of CHECKS."""

    kind: str
    sentence: str
    refused: bool = False


class Server:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def facts(self) -> Facts:
        """Raises: StoreUnavailable."""
        return facts_of(self._connection.guard(self.info))

    def try_write(self) -> None:
        """Have it take next to nothing, as it may answer and yet take no messages. Raises: StoreUnavailable."""
        probe = ("SET", self._connection.key(PROBE), "", "EX", PROBE_KEEP)
        self._connection.guard(lambda: self._connection.kept(*probe), changes=True)

    def info(self) -> Mapping[str, Any]:
        """What it says of itself, by Redis's names; nothing where we may not ask."""
        try:
            return self._connection.client.info()
        except redis.ResponseError:
            return {}  # forbidden, or not known here


def facts_of(info: Mapping[str, Any]) -> Facts:
    appends = info.get("aof_enabled")
    return Facts(
        str(info["redis_version"]) if "redis_version" in info else None,
        str(info["maxmemory_policy"]) if "maxmemory_policy" in info else None,
        None if appends is None else bool(appends),
        bool(info["cluster_enabled"]) if "cluster_enabled" in info else None,
    )


def faults_of(facts: Facts, checks: Mapping[str, Check] = CHECKS) -> list[Fault]:
    """What is wrong with a server. What cannot be known is no reason to refuse it, but is said."""
    return [
        Fault(kind, sentence, known and checks[kind] == "refuse")
        for kind, known, sentence in _found(facts)
        if checks[kind] != "off"
    ]


def _found(facts: Facts) -> Iterator[tuple[str, bool, str]]:
    """The kind, whether it is known, and a sentence."""
    if facts.policy is None:
        yield "eviction", False, "Redis does not say its maxmemory-policy. It must be noeviction, or messages get lost."
    elif facts.policy != KEEP_ALL:
        yield (
            *("eviction", True),
            f"Redis throws messages away when its memory is full (maxmemory-policy {facts.policy}); "
            f"set its maxmemory-policy to {KEEP_ALL}.",
        )
    if facts.append_only is None:
        yield "persistence", False, "Redis does not say whether it writes to disk. It should (appendonly yes)."
    elif not facts.append_only:
        yield "persistence", True, "Redis loses messages when it restarts (appendonly no); set its appendonly to yes."
    if facts.version is None:
        yield "version", False, "Redis does not say its version. It must be 6.2 or newer."
    elif _number(facts.version) < NEEDED:
        yield "version", True, f"Redis {facts.version} is too old; Patchbay needs 6.2 or newer."
    if facts.cluster:
        yield (
            *("cluster", True),
            "Redis is a node of a Cluster, whose keys may move to another node, where Patchbay does not follow them; "
            "use one Redis, with sentinels for fail-over (redis+sentinel://).",
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])


def look_at(server: Server, checks: Mapping[str, Check]) -> list[Fault]:
    """What is wrong with a server; nothing while it is out of reach."""
    try:
        return faults_of(server.facts(), checks)
    except StoreUnavailable:
        return []
