"""Rules that hold between tables.

They read the tables as they stand, so that they are checked in a table that has other problems, too. What only one
platform needs is asked of its class (`app.platforms.tables.HasRules`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from app.config.file import SCHEMES, service_problem
from app.config.tables import KINDS, tables_of, type_of
from app.platforms.registry import PlatformError, platforms
from app.platforms.tables import HasRules, NamesProvider, Table, Tables

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_BURST = 30  # seconds for which a question waits for more, at most

Problems = Iterator[tuple[str, str]]


def services(gateway: Mapping[str, Any]) -> Problems:
    """What is wrong with the addresses of Redis and of the broker; nothing where `gateway` is empty."""
    for key in SCHEMES if gateway else ():
        rule = service_problem(key, gateway[key]) if gateway[key] is not None else None
        if rule:
            yield f"gateway.{key}", rule
    if gateway and gateway["broker_url"] is None and gateway["redis_url"].startswith("unix://"):
        yield "gateway.broker_url", "Required, because Celery writes a Unix socket as redis+socket://."


def between(gateway: Mapping[str, Any], resolved: Mapping[str, Any]) -> Problems:
    """What is wrong between the tables; `gateway` is empty if that one has problems itself."""
    tables = _tables(gateway, resolved)
    for channel in tables.channels.values():
        yield from _channel(channel, tables, gateway)
        yield from _of_its_own("channels", channel, tables)
    for name in sorted(tables.channels.keys() & tables.destinations.keys()):
        yield f"destinations.{name}", "A channel has the same name."
    for destination in tables.destinations.values():
        yield from _destination(destination, tables, gateway)
        yield from _of_its_own("destinations", destination, tables)


def provider_of(table: Mapping[str, Any]) -> str:
    """The first half of a channel's customers' addresses, as far as its table says it: its `provider`, or what its
    class knows. '' if that cannot be known."""
    named, adapter = table.get("provider"), _class("channels", type_of(table))
    if isinstance(adapter, NamesProvider):
        return adapter.provider_of(table)
    return named if isinstance(named, str) and named else getattr(adapter, "provider", type_of(table))


def _tables(gateway: Mapping[str, Any], resolved: Mapping[str, Any]) -> Tables:
    channels, destinations = tables_of(resolved, "channels"), tables_of(resolved, "destinations")
    return Tables(
        host=(urlsplit(gateway["public_url"]).hostname or "") if gateway else "",
        channels={name: Table(name, type_of(one), one, provider_of(one)) for name, one in channels.items()},
        destinations={name: Table(name, type_of(one), one) for name, one in destinations.items()},
    )


def _channel(channel: Table, tables: Tables, gateway: Mapping[str, Any]) -> Problems:
    key, values = f"channels.{channel.name}", channel.values
    for part in ("destination", "handoff"):
        name = values.get(part)
        if isinstance(name, str) and name not in tables.destinations:
            yield f"{key}.{part}", f"There is no destination {name}."
    if values.get("handoff") is not None and values["handoff"] == values.get("destination"):
        yield f"{key}.handoff", "Must be another one than destination."
    if values.get("verification") == "none" and gateway and tables.host not in LOOPBACK:
        yield f"{key}.verification", "May be none only while gateway.public_url is on loopback."


def _destination(destination: Table, tables: Tables, gateway: Mapping[str, Any]) -> Problems:
    key, only = f"destinations.{destination.name}", destination.values.get("channel")
    if isinstance(only, str) and only not in tables.channels:
        yield f"{key}.channel", f"There is no channel {only}."
    elif isinstance(only, str) and only not in {user.name for user in tables.users(destination.name)}:
        yield f"{key}.channel", f"The channel {only} does not name this destination."
    yield from _burst(destination)
    yield from _expiry(destination)
    timeout = _session_timeout(destination)
    if gateway and timeout > gateway["session_keep"]:
        rule = f"Must be at least {math.ceil(timeout)}, the session_timeout of {key}."
        yield "gateway.session_keep", f"{rule} A session that is forgotten earlier begins anew with the first one."


def _burst(destination: Table) -> Problems:
    adapter, burst = _class("destinations", destination.type), destination.values.get("burst", 0)
    if burst and adapter is not None and not adapter.asks_together:
        rule = "Must be 0 or left out: each message is brought there by itself."
        yield f"destinations.{destination.name}.burst", rule


def _expiry(destination: Table) -> Problems:
    """A question that waits for more to be asked with it must not expire of that."""
    burst, expires = (destination.values.get(key) for key in ("burst", "expire_after"))
    if burst and isinstance(expires, int | float) and 0 < expires <= MAX_BURST:
        rule = f"Must be 0 or more than {MAX_BURST}: with burst, a question may wait so many seconds for more."
        yield f"destinations.{destination.name}.expire_after", rule


def _of_its_own(kind: str, table: Table, tables: Tables) -> Problems:
    """The rules of the table's platform."""
    adapter = _class(kind, table.type)
    if isinstance(adapter, HasRules):
        for key, rule in adapter.problems(table, tables):
            yield f"{kind}.{table.name}.{key}", rule


def _session_timeout(destination: Table) -> float:
    """Seconds after which silence ends a session there; 0 where the table does not say it in a way that can be."""
    adapter = _class("destinations", destination.type)
    if adapter is None:
        return 0.0
    field = adapter.Settings().fields["session_timeout"]
    try:
        return float(field.deserialize(destination.values.get("session_timeout", field.load_default)))
    except ValidationError:
        return 0.0


def _class(kind: str, type_: str) -> Any:
    """The class of a type; None where it cannot be had."""
    with suppress(KeyError, PlatformError):
        return platforms().load(KINDS[kind], type_)
    return None
