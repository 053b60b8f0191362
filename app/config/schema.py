"""`patchbay.toml` and the environment become Settings; every problem is named at once, with its key.

Any value may be `env:NAME` or `file:PATH` (the file's text without its last line break), so that no secret needs to
stand in the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from marshmallow import Schema, ValidationError, fields, validate
from msgspec import Struct
from msgspec.structs import replace

from app.config.file import OVERRIDES, SCHEMES, USUAL_REDIS, read, resolve
from app.config.file import ConfigError as ConfigError
from app.config.prices import prices_of
from app.config.rules import between, services
from app.config.tables import KINDS, Found, validated
from app.core.costs import PriceTable
from app.core.routing import Route
from app.core.schema import web_url
from app.core.settings import A_YEAR, CallLimitsSchema, secret_field
from app.core.shown import shown
from app.egress import Egress, EgressSchema
from app.platforms.channel import Channel
from app.platforms.destination import Destination
from app.platforms.registry import PlatformError, channel_class, destination_class, platforms
from app.store.server import CHECKS

NAME = validate.Regexp(
    r"[a-z0-9][a-z0-9_-]{0,31}\Z", error="Must be 1 to 32 of a-z, 0-9, _ and -, not beginning with _ or -."
)
TABLES = ("gateway", "channels", "destinations", "costs")
ABSOLUTE = validate.Regexp(r"(/.*)?\Z", error="Must be an absolute path, or empty.")
NO_QUERY = validate.Regexp(r"[^?#]*\Z", error="Must have no query and no fragment.")


class ChecksSchema(Schema):
    """What follows where the Redis server is not as it should be; see `app.store.server`."""

    eviction, persistence, version, cluster = (
        fields.String(load_default=CHECKS[kind], validate=validate.OneOf(["refuse", "warn", "off"])) for kind in CHECKS
    )


class GatewaySchema(Schema):
    """`retention`, `dedup_window`, `session_keep` and `dead_letter_keep` in seconds, `max_body` and `dead_letter_bytes`
    in bytes, `replicas_to_wait` copies of Redis; the other limits count messages, `limits` calls a minute. Without
    `api_tokens` nobody may use the API. `spool` is the folder where webhooks are kept while Redis is away ('': none),
    `spool_bytes` how many of them."""

    public_url = fields.String(required=True, validate=[web_url, NO_QUERY])
    redis_url = fields.String(load_default=USUAL_REDIS)
    broker_url = fields.String(load_default=None)
    replicas_to_wait = fields.Integer(load_default=0, validate=validate.Range(0, 10))
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
    egress = fields.Nested(EgressSchema, load_default=Egress)
    max_body = fields.Integer(load_default=256 * 1024, validate=validate.Range(1024, 64 * 1024 * 1024))
    spool = fields.String(load_default="", validate=ABSOLUTE)
    spool_bytes = fields.Integer(load_default=256 * 1024 * 1024, validate=validate.Range(1024 * 1024, 2**40))
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


def check_alone(raw: Mapping[str, Any], kind: str, name: str, environ: Mapping[str, str]) -> Settings:
    """The settings with this one of the `channels` or `destinations` alone, for who needs no other's secrets.

    Raises:
        KeyError: there is none of that name.
        ConfigError: it has a problem, or the file is no such tables at all.
    """
    tables = raw.get(kind)
    if not isinstance(tables, dict) or not isinstance(tables.get(name, {}), dict):
        return check(raw, environ)
    alone = {"gateway": raw.get("gateway", {}), "channels": {}, "destinations": {}, kind: {name: tables[name]}}
    return _settings(*_read(alone, environ, alone=True))


def check(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings in a parsed file. Raises: ConfigError."""
    return _settings(*_read(raw, environ))


class _Checked(Struct):
    """Tables that are valid as far as they are there."""

    gateway: dict[str, Any]
    channels: dict[str, Platform]
    destinations: dict[str, Platform]
    costs: PriceTable


def _read(raw: Mapping[str, Any], environ: Mapping[str, str], *, alone: bool = False) -> tuple[_Checked, Found]:
    """The tables, and what is wrong with them. One `alone` is not held against others."""
    found: Found = []
    resolved = resolve(raw, "", environ, found)
    unresolved = [key for key, _ in found]
    found += [(key, "Unknown table.") for key in sorted(resolved.keys() - set(TABLES))]
    overrides = {key: environ[name] for key, name in OVERRIDES.items() if environ.get(name)}
    table = resolved.get("gateway", {})
    gateway = validated(GatewaySchema(), {**table, **overrides} if isinstance(table, dict) else table, "gateway", found)
    channels, destinations = (_platforms(resolved.get(kind, {}), kind, found, alone=alone) for kind in KINDS)
    costs = prices_of(resolved, found) if "costs" in resolved else PriceTable()
    found += services(gateway or {})
    found += [] if alone else between(gateway or {}, resolved)
    told = [(k, rule) for n, (k, rule) in enumerate(found) if n < len(unresolved) or k not in unresolved]
    return _Checked(gateway or {}, channels, destinations, costs), told


def _settings(checked: _Checked, found: Found) -> Settings:
    """Raises: ConfigError, something was found."""
    if found:
        raise ConfigError(found)
    gateway = checked.gateway
    gateway["broker_url"] = gateway["broker_url"] or gateway["redis_url"]
    gateway["public_url"] = gateway["public_url"].rstrip("/")
    channels = _called_back(checked.channels, f"{gateway['public_url']}/channels")
    destinations = _called_back(checked.destinations, f"{gateway['public_url']}/destinations")
    every = [*channels.values(), *destinations.values()]
    secrets = {secret for one in channels.values() for secret in _secrets(one, channel_class(one.type).Settings())}
    secrets |= {s for one in destinations.values() for s in _secrets(one, destination_class(one.type).Settings())}
    return Settings(
        gateway=gateway,
        channels=channels,
        destinations=destinations,
        secrets=frozenset(secrets | _url_secrets(gateway) | set(gateway["api_tokens"])),
        hosts=frozenset(url for platform in every for url in _urls(platform)),
        costs=checked.costs,
    )


def _called_back(platforms: Mapping[str, Platform], below: str) -> dict[str, Platform]:
    return {n: replace(one, values={**one.values, "callback": f"{below}/{n}"}) for n, one in platforms.items()}


def build_channel(platform: Platform) -> Channel:
    return channel_class(platform.type)(platform.name, platform.values)


def build_destination(platform: Platform) -> Destination:
    return destination_class(platform.type)(platform.name, platform.values)


def _platforms(tables: Any, kind: str, found: Found, *, alone: bool) -> dict[str, Platform]:
    read: dict[str, Platform] = {}
    if not isinstance(tables, dict):
        found.append((kind, "Must be a table of tables."))
        return read
    if not tables and not alone:
        found.append((kind, "At least one is required."))
    for name, table in tables.items():
        try:
            NAME(name)
        except ValidationError as error:
            found.append((f"{kind}.{name}", str(error.messages[0])))
        if values := _valid(table, kind, f"{kind}.{name}", found):
            read[name] = Platform(name, table["type"], values)
    return read


def _valid(table: Any, kind: str, key: str, found: Found) -> dict[str, Any] | None:
    """The table's values by its type's schema."""
    if not isinstance(table, dict):
        found.append((key, "Must be a table."))
        return None
    known, type_ = platforms().types(KINDS[kind]), table.get("type")
    if not isinstance(type_, str) or type_ not in known:
        found.append((f"{key}.type", f"Must be one of: {', '.join(known)}."))
        return None
    try:
        schema = platforms().load(KINDS[kind], type_).Settings()
    except PlatformError as error:
        found.append((f"{key}.type", str(error)))
        return None
    return validated(schema, table, key, found)


def _secrets(platform: Platform, schema: Schema) -> Iterator[str]:
    for name, entry in schema.fields.items():
        inner = entry.inner if isinstance(entry, fields.List) else entry
        value = platform.values.get(name)
        if inner.metadata.get("secret") and value:
            yield from value if isinstance(value, list) else [value]


def _url_secrets(gateway: Mapping[str, Any]) -> set[str]:
    """Passwords, as they are written in the URLs and as they are."""
    urls = [urlsplit(url) for key in SCHEMES for url in gateway[key].split(";")] + [urlsplit(gateway["egress"].proxy)]
    written = [url.password for url in urls if url.password]
    queries = [parse_qs(url.query) for url in urls]
    written += [v for query in queries for name in ("password", "sentinel_password") for v in query.get(name, [])]
    return {form for password in written for form in (password, unquote(password))}


def _urls(platform: Platform) -> Iterator[str]:
    for name, value in platform.values.items():
        if name.endswith("_url") and isinstance(value, str):
            yield value
