"""`patchbay.toml` and the environment become Settings; every problem is named at once, with its key.

Any value may be `env:NAME` or `file:PATH` (the file's text without its last line break), so that no secret needs to
stand in the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from msgspec import Struct
from msgspec.structs import replace

from app.config.file import OVERRIDES, SCHEMES, USUAL_REDIS, is_service, read, resolve, service_rule
from app.config.file import ConfigError as ConfigError
from app.core.costs import ChannelPrices, ChannelSchema, DestinationSchema, PriceTable, TableSchema
from app.core.routing import Route
from app.core.schema import problems, web_url
from app.core.settings import A_YEAR, CallLimitsSchema, secret_field
from app.core.shown import shown
from app.platforms.channel import Channel
from app.platforms.destination import Destination
from app.platforms.registry import CHANNELS, DESTINATIONS
from app.platforms.twilio.account import address_of
from app.store.server import CHECKS

NAME = validate.Regexp(
    r"[a-z0-9][a-z0-9_-]{0,31}\Z", error="Must be 1 to 32 of a-z, 0-9, _ and -, not beginning with _ or -."
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TABLES = ("gateway", "channels", "destinations", "costs")
PRICES: dict[str, type[Schema]] = {"channels": ChannelSchema, "destinations": DestinationSchema}


NO_QUERY = validate.Regexp(r"[^?#]*\Z", error="Must have no query and no fragment.")


class ChecksSchema(Schema):
    """What follows where the Redis server is not as it should be; see `app.store.server`."""

    eviction, persistence, version = (
        fields.String(load_default=CHECKS[kind], validate=validate.OneOf(["refuse", "warn", "off"])) for kind in CHECKS
    )


class GatewaySchema(Schema):
    """`retention`, `dedup_window`, `session_keep` and `dead_letter_keep` in seconds, `max_body` and `dead_letter_bytes`
    in bytes; the other limits count messages, `limits` calls a minute. Without `api_tokens` nobody may use the API."""

    public_url = fields.String(required=True, validate=[web_url, NO_QUERY])
    redis_url = fields.String(load_default=USUAL_REDIS)
    broker_url = fields.String(load_default=None)
    retention = fields.Integer(load_default=72 * 3600, validate=validate.Range(60, A_YEAR))
    dedup_window = fields.Integer(load_default=72 * 3600, validate=validate.Range(1, A_YEAR))
    session_keep = fields.Integer(load_default=30 * 86_400, validate=validate.Range(60, A_YEAR))
    mailbox_limit = fields.Integer(load_default=1_000, validate=validate.Range(1, 1_000_000))
    lane_limit = fields.Integer(load_default=200_000, validate=validate.Range(1, 100_000_000))
    dead_letter_limit = fields.Integer(load_default=10_000, validate=validate.Range(1, 10_000_000))
    dead_letter_bytes = fields.Integer(load_default=32 * 1024 * 1024, validate=validate.Range(1024, 2**40))
    dead_letter_keep = fields.Integer(load_default=30 * 86_400, validate=validate.Range(60, A_YEAR))
    limits = fields.Nested(CallLimitsSchema, load_default=lambda: CallLimitsSchema().load({}))
    redis_checks = fields.Nested(ChecksSchema, load_default=lambda: ChecksSchema().load({}))
    max_body = fields.Integer(load_default=256 * 1024, validate=validate.Range(1024, 64 * 1024 * 1024))
    api_tokens = fields.List(secret_field(), load_default=list)


class Platform(Struct, frozen=True):
    """One `[channels.NAME]` or `[destinations.NAME]` table, valid and with its defaults. Its values hold
    `callback` too: the address below which its webhooks reach us."""

    name: str
    type: str
    values: Mapping[str, Any]

    def __repr__(self) -> str:
        return shown(self, "values")


class Settings(Struct, frozen=True):
    """`secrets` are all values that may never be shown; `hosts` the URLs of platforms that the configuration names."""

    gateway: Mapping[str, Any]
    channels: Mapping[str, Platform]
    destinations: Mapping[str, Platform]
    secrets: frozenset[str]
    hosts: frozenset[str]
    costs: PriceTable

    def __repr__(self) -> str:
        return shown(self, "gateway", "secrets", "hosts")

    def route(self, channel: str) -> Route:
        values = self.channels[channel].values
        return Route(values["destination"], values["handoff"])


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check a configuration file.

    Raises:
        ConfigError: with every problem found.
    """
    return check(read(path), environ)


def check_alone(raw: Mapping[str, Any], destination: str, environ: Mapping[str, str]) -> Settings:
    """The settings with this destination alone, for who needs no other's secrets.

    Raises:
        KeyError: there is none of that name.
        ConfigError: it has a problem, or the file is no such tables at all.
    """
    named = raw.get("destinations")
    if not isinstance(named, dict) or not isinstance(named.get(destination, {}), dict):
        return check(raw, environ)
    destinations = _tables(raw, "destinations")
    channel = {"type": "webchat", "secrets": ["of a chat that is never opened to anybody"], "destination": destination}
    tables = {"channels": {"none": channel}, "destinations": {destination: destinations[destination]}}
    return check({**{name: table for name, table in raw.items() if name != "costs"}, **tables}, environ)


def check(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings in a parsed file. Raises: ConfigError."""
    found: list[tuple[str, str]] = []
    resolved = resolve(raw, "", environ, found)
    for key in sorted(resolved.keys() - set(TABLES)):
        found.append((key, "Unknown table."))
    overrides = {key: environ[name] for key, name in OVERRIDES.items() if environ.get(name)}
    unresolved = {key for key, _ in found}
    table = resolved.get("gateway", {})
    gateway = _validate(GatewaySchema(), {**table, **overrides} if isinstance(table, dict) else table, "gateway", found)
    channels = _platforms(resolved.get("channels", {}), "channels", CHANNELS, found)
    destinations = _platforms(resolved.get("destinations", {}), "destinations", DESTINATIONS, found)
    costs = _costs(resolved, found) if "costs" in resolved else PriceTable()
    found += _across(gateway or {}, resolved)
    if found:
        raise ConfigError(
            [(k, rule) for n, (k, rule) in enumerate(found) if n < len(unresolved) or k not in unresolved]
        )
    gateway = gateway or {}
    gateway["broker_url"] = gateway["broker_url"] or gateway["redis_url"]
    gateway["public_url"] = gateway["public_url"].rstrip("/")
    for kind, platforms in (("channels", channels), ("destinations", destinations)):
        for name, platform in platforms.items():
            callback = f"{gateway['public_url']}/{kind}/{name}"
            platforms[name] = replace(platform, values={**platform.values, "callback": callback})
    every = [*channels.values(), *destinations.values()]
    return Settings(
        gateway=gateway,
        channels=channels,
        destinations=destinations,
        secrets=frozenset(secret for platform in every for secret in _secrets(platform))
        | _url_secrets(gateway)
        | set(gateway["api_tokens"]),
        hosts=frozenset(url for platform in every for url in _urls(platform)),
        costs=costs,
    )


def build_channel(platform: Platform) -> Channel:
    return cast("Channel", CHANNELS[platform.type](platform.name, platform.values))


def build_destination(platform: Platform) -> Destination:
    return cast("Destination", DESTINATIONS[platform.type](platform.name, platform.values))


def _validate(schema: Schema, table: Any, key: str, found: list[tuple[str, str]]) -> dict[str, Any] | None:
    try:
        return cast("dict[str, Any]", schema.load(table, unknown=RAISE))
    except ValidationError as error:
        found += problems(error.messages, key)
        return None


def _platforms(tables: Any, kind: str, types: Mapping[str, Any], found: list[tuple[str, str]]) -> dict[str, Platform]:
    platforms: dict[str, Platform] = {}
    if not isinstance(tables, dict):
        found.append((kind, "Must be a table of tables."))
        return platforms
    if not tables:
        found.append((kind, "At least one is required."))
    for name, table in tables.items():
        key = f"{kind}.{name}"
        try:
            NAME(name)
        except ValidationError as error:
            found.append((key, str(error.messages[0])))
        if not isinstance(table, dict):
            found.append((key, "Must be a table."))
        elif not isinstance(table.get("type"), str) or table["type"] not in types:
            found.append((f"{key}.type", f"Must be one of: {', '.join(types)}."))
        else:
            values = _validate(types[table["type"]].Settings(), table, key, found)
            if values is not None:
                platforms[name] = Platform(name, table["type"], values)
    return platforms


def _costs(resolved: Mapping[str, Any], found: list[tuple[str, str]]) -> PriceTable:
    """The price table; what is wrong with it is noted, and then it is of no use."""
    table = resolved["costs"]
    prices: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in PRICES}
    if not isinstance(table, dict):
        found.append(("costs", "Must be a table."))
        return PriceTable()
    alone = {name: value for name, value in table.items() if name not in PRICES}
    currency = (_validate(TableSchema(), alone, "costs", found) or {}).get("currency", "")
    for kind, schema in PRICES.items():
        tables = table.get(kind, {})
        if not isinstance(tables, dict):
            found.append((f"costs.{kind}", "Must be a table of tables."))
            continue
        for name, values in tables.items():
            key = f"costs.{kind}.{name}"
            if name not in _tables(resolved, kind):
                found.append((key, f"There is no {kind.removesuffix('s')} {name}."))
                continue
            prices[kind][name] = _validate(schema(), values, key, found) or {}
            if prices[kind][name].get("reported") and _tables(resolved, kind)[name].get("type") != "twilio":
                found.append((f"{key}.reported", "Must be false: only channels of type twilio are told prices."))
    return PriceTable(
        currency=currency,
        channels={name: ChannelPrices(**values) for name, values in prices["channels"].items() if values},
        turns={name: values["turn"] for name, values in prices["destinations"].items() if values},
    )


def _across(gateway: Mapping[str, Any], resolved: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rules that hold between tables. They read the tables as they stand, so that they are checked in a table that has
    other problems, too; `gateway` is empty if it has some."""
    channels, destinations = _tables(resolved, "channels"), _tables(resolved, "destinations")
    for name, channel in channels.items():
        yield from _channel_rules(f"channels.{name}", channel, destinations, gateway)
    yield from _addresses("channels", "twilio", channels)  # one sender at Twilio has one webhook, so it is one channel
    yield from _addresses("destinations", "twiml", destinations)  # an account's application is known by its address
    for name in sorted(channels.keys() & destinations.keys()):
        yield f"destinations.{name}", "A channel has the same name."
    for key, schemes in SCHEMES.items():
        if gateway and gateway[key] is not None and not is_service(gateway[key], schemes):
            yield f"gateway.{key}", service_rule(key)
    if gateway and gateway["broker_url"] is None and gateway["redis_url"].startswith("unix://"):
        yield "gateway.broker_url", "Required, because Celery writes a Unix socket as redis+socket://."
    for name, destination in destinations.items():
        only = destination.get("channel")
        if isinstance(only, str) and only not in channels:
            yield f"destinations.{name}.channel", f"There is no channel {only}."
        users = [user for user, c in channels.items() if name in (c.get("destination"), c.get("handoff"))]
        if isinstance(only, str) and only in channels and only not in users:
            yield f"destinations.{name}.channel", f"The channel {only} does not name this destination."
        timeout = _session_timeout(destination)
        if gateway and timeout > gateway["session_keep"]:
            rule = f"Must be at least {math.ceil(timeout)}, the session_timeout of destinations.{name}."
            yield "gateway.session_keep", f"{rule} A session that is forgotten earlier begins anew with the first one."
        providers = [_provider(channels[user]) for user in users]
        shared = len(set(providers)) < len(providers)
        by_address = "flex" in str(destination.get("type")) and destination.get("target", "address") == "address"
        if by_address and shared:
            rule = f"Must be conversation, because channels of one provider share this destination: {', '.join(users)}."
            yield f"destinations.{name}.target", rule
        if destination.get("id_type") == "phone" and only is None and len(users) > 1:
            yield f"destinations.{name}.channel", f"Required, because several channels use it: {', '.join(users)}."
        if destination.get("type") == "twiml" and only is None and shared:
            rule = f"Required, because channels of one provider share this destination: {', '.join(users)}."
            yield f"destinations.{name}.channel", rule


def _channel_rules(
    key: str, channel: Mapping[str, Any], destinations: Mapping[str, Any], gateway: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for part in ("destination", "handoff"):
        name = channel.get(part)
        if isinstance(name, str) and name not in destinations:
            yield f"{key}.{part}", f"There is no destination {name}."
    if channel.get("handoff") is not None and channel["handoff"] == channel.get("destination"):
        yield f"{key}.handoff", "Must be another one than destination."
    host = urlsplit(gateway["public_url"]).hostname if gateway else LOOPBACK[0]
    if channel.get("verification") == "none" and host not in LOOPBACK:
        yield f"{key}.verification", "May be none only while gateway.public_url is on loopback."
    if channel.get("type") == "twilio" and channel.get("status_callback", True) and "_" in (host or ""):
        yield f"{key}.status_callback", "Must be false: Twilio refuses a gateway.public_url with _ in its host."


def _addresses(kind: str, type_: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """An address belongs to one channel, and to one destination of an account."""
    seen: dict[tuple[str, str], str] = {}
    for name, table in tables.items():
        address = table.get("address")
        if table.get("type") == type_ and isinstance(address, str):
            account = str(table.get("account_sid")) if kind == "destinations" else ""
            first = seen.setdefault((account, address_of(address)), name)
            if first != name:
                yield f"{kind}.{name}.address", f"The {kind[:-1]} {first} has the same one."


def _session_timeout(destination: Mapping[str, Any]) -> float:
    """Seconds after which silence ends a session there; 0 where the table does not say it in a way that can be."""
    kind = DESTINATIONS.get(str(destination.get("type")))
    field = kind.Settings().fields.get("session_timeout") if kind else None
    try:
        return float(field.deserialize(destination.get("session_timeout", field.load_default))) if field else 0.0
    except ValidationError:
        return 0.0


def _provider(channel: Mapping[str, Any]) -> str:
    """The first half of its customers' addresses, as far as the table says it."""
    address = channel.get("address")
    if channel.get("type") == "twilio":
        return address_of(address if isinstance(address, str) else "").partition(":")[0]
    return str(channel.get("provider") or channel.get("type"))


def _tables(resolved: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    found = resolved.get(kind)
    tables = found if isinstance(found, dict) else {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _secrets(platform: Platform) -> Iterator[str]:
    schema = {**CHANNELS, **DESTINATIONS}[platform.type].Settings()
    for name, entry in schema.fields.items():
        inner = entry.inner if isinstance(entry, fields.List) else entry
        value = platform.values.get(name)
        if inner.metadata.get("secret") and value:
            yield from value if isinstance(value, list) else [value]


def _url_secrets(gateway: Mapping[str, Any]) -> set[str]:
    """Passwords, as they are written in the URLs and as they are."""
    urls = [urlsplit(url) for key in SCHEMES for url in gateway[key].split(";")]
    written = [url.password for url in urls if url.password]
    written += [value for url in urls for value in parse_qs(url.query).get("password", [])]
    return {form for password in written for form in (password, unquote(password))}


def _urls(platform: Platform) -> Iterator[str]:
    for name, value in platform.values.items():
        if name.endswith("_url") and isinstance(value, str):
            yield value
