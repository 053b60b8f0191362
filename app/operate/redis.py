"""The Redis that holds the state: how it is set up, how it is, and what its clock says."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from app.gateway import Gateway
from app.operate.findings import Finding, note, ok, wrong
from app.store.server import faults_of

MAX_SKEW = 2.0  # seconds between two clocks
NEARLY = 0.8  # of its memory, or of its clients


def redis(gateway: Gateway) -> Iterator[Finding]:
    """Raises: StoreUnavailable."""
    server = gateway.store.server
    server.try_write()
    place = gateway.store.connection.place
    found = [
        *_setup(gateway),
        *state_of(server.info(), gateway.settings.gateway["replicas_to_wait"]),
        *_clock(gateway),
    ]
    yield from found or [ok("redis", f"{place} takes what it is given, and keeps it.")]


def _setup(gateway: Gateway) -> Iterator[Finding]:
    for fault in faults_of(gateway.store.server.facts(), gateway.settings.gateway["redis_checks"]):
        yield Finding("wrong" if fault.refused else "note", "redis", fault.sentence)


def state_of(info: Mapping[str, Any], copies: int) -> Iterator[Finding]:
    """How a server is, by what it says of itself; `copies` are those that it must have."""
    if evicted := int(info.get("evicted_keys", 0)):
        yield wrong("redis", f"It has thrown {evicted} keys away.", "Set maxmemory-policy to noeviction.")
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
        if info.get(name, "ok") != "ok":
            yield wrong("redis", f"It could not write to its disk ({name}).", "Look at its disk, and at its log.")
    if (replicas := int(info.get("connected_slaves", 0))) < copies:
        says = f"It has {replicas} copies, and replicas_to_wait wants {copies}: nothing is taken."
        yield wrong("redis", says, "Start its replicas, or lower gateway.replicas_to_wait.")
    for name, used, most in (
        ("memory", "used_memory", "maxmemory"),
        ("connections", "connected_clients", "maxclients"),
    ):
        if int(info.get(most, 0)) and int(info.get(used, 0)) > NEARLY * int(info[most]):
            yield note("redis", f"{info[used]} of {info[most]} of its {name} are used ({used}).", f"Raise {most}.")


def _clock(gateway: Gateway) -> Iterator[Finding]:
    before = time.time()
    skew = gateway.store.connection.now() / 1000 - (before + time.time()) / 2
    if abs(skew) > MAX_SKEW:
        which = "ahead of" if skew > 0 else "behind"
        says = f"Its clock is {abs(skew):.0f} s {which} that of this machine; signatures with a time may be refused."
        yield note("redis", says, "Have both machines set their clocks by NTP.")
