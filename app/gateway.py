"""The composition root: builds settings, store, http, adapters and publisher once per process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from app import log
from app.config.file import CONFIG_VARIABLE, LOG_FORMAT_VARIABLE, USUAL_FILE, ConfigError
from app.config.rules import LOOPBACK
from app.config.schema import Settings, build_channel, build_destination, load
from app.core.consent import Keywords
from app.core.message import conversation_key, split_conversation
from app.core.retry import RetryPolicy
from app.core.routing import Route
from app.core.work import Wake
from app.http import MAX_WAIT, Http
from app.outage import Outage
from app.platforms.channel import Channel
from app.platforms.consent import keywords_of
from app.platforms.destination import Destination, SendsByRest
from app.platforms.offers import Offers
from app.platforms.registry import channel_class, destination_class
from app.store import Store
from app.store.connection import Connection, connect
from app.store.limits import POLL_AGAIN, Limits
from app.store.messages import Messages
from app.store.server import Server, look_at
from app.tasks import Publisher, create_celery
from app.transport import CONNECT_TIMEOUT

LEASE_MARGIN = 10.0  # seconds by which a lease outlasts the slowest attempt
UNKNOWN_LEASE = 30.0  # seconds; for a lane of a platform that left the configuration: its work is handed on or kept
RECEIVER_TIMEOUT = 1.0  # seconds that Redis may take while a platform waits for our answer
WORKER_TIMEOUT = 5.0
MAX_CONNECTIONS = 2048  # of a process to Redis; above what its threads can hold at once, so that none is refused one
A_DAY = 86_400.0
REFUSAL_AGAIN = 60.0  # seconds after which the log says again that Redis takes nothing
LIVE_TIMEOUT = 15.0  # seconds for one blocking read of a live stream; longer than a stream waits for news

LOG = log.logger("store")


class Publishes(Protocol):
    """Answers with the wake-ups that nobody hears of, from the first of them on."""

    def publish(self, wakes: Sequence[Wake]) -> Sequence[Wake]: ...


class Lane(Struct, frozen=True):
    """At most `concurrency` drains at once, fleet-wide (None: as many as it finds good); `rate` calls a second (0: no
    limit); `lease` in seconds; what waited longer than `expire_after` seconds is not sent (0: it is);
    `rate_each` messages a second of one conversation (0: no limit)."""

    name: str
    concurrency: int | None
    rate: float
    lease: float
    retry: RetryPolicy
    expire_after: float = 0.0
    rate_each: float = 0.0


class Gateway:
    """Everything a process needs. `publisher` is replaced by a recorder in tests."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        publisher: Publishes,
        http: Http | None = None,
        live: Messages | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.publisher = publisher
        self.live = live or store.messages  # with a patience of its own: it waits for news
        self.http = http or Http(
            settings.hosts,
            files=file_hosts(settings),
            egress=settings.gateway["egress"],
            secrets=settings.secrets,
        )
        self.channels: Mapping[str, Channel] = {n: build_channel(p) for n, p in settings.channels.items()}
        self.destinations: Mapping[str, Destination] = {
            n: build_destination(p) for n, p in settings.destinations.items()
        }
        self.keywords: Mapping[str, Keywords] = {
            name: keywords_of(settings.channels[name].values["consent"], channel.answered)
            for name, channel in self.channels.items()
        }
        self.routes: Mapping[str, Route] = {name: settings.route(name) for name in settings.channels}
        self.lists = lists_of(settings)
        self.call_limits = {name: self._call_limits(name) for name in self.channels}
        self.offers = Offers(self.channels, self.destinations)
        self.timeouts = {name: one.values["session_timeout"] for name, one in settings.destinations.items()}
        self.redact: Callable[[str], str] = log.redactor(settings.secrets)

    @cached_property
    def lanes(self) -> Mapping[str, Lane]:
        """Every lane of the configuration by its name."""
        return {lane.name: lane for lane in lanes_of(self.settings)}

    def summary(self) -> dict[str, Any]:
        """What a log says of a process that starts: the version, and the configuration in short."""
        return {
            "version": version("patchbay"),
            "config": os.environ.get(CONFIG_VARIABLE) or USUAL_FILE,
            "public_url": self.settings.gateway["public_url"],
            "redis": self.store.connection.place,
            "channels": {name: one.type for name, one in self.settings.channels.items()},
            "destinations": {name: one.type for name, one in self.settings.destinations.items()},
        }

    def _call_limits(self, channel: str) -> dict[str, int]:
        """How often a minute one `visitor`, one `address` and all of the `channel` may call; without those that are not
        limited. Where anybody may call, there are limits by default."""
        usual = self.settings.gateway["limits"] if self.channels[channel].capabilities.live else {}
        own = self.settings.channels[channel].values["limits"] or {}
        chosen = {**usual, **{who: limit for who, limit in own.items() if limit is not None}}
        return {who: limit for who, limit in chosen.items() if limit}

    def declare(self) -> None:
        """Tell the store's scripts about the lanes. Raises: StoreUnavailable."""
        self.store.lanes.declare({lane.name: lane.concurrency for lane in self.lanes.values()})

    def reach(self, destination: str, identifier: str) -> str | None:
        """The conversation that a destination may begin with a customer's bare identifier, or None."""
        wanted = self.settings.destinations[destination].values.get("channel")
        users = [name for name, route in self.routes.items() if destination in (route.first, route.handoff)]
        name = wanted or (users[0] if len(users) == 1 else None)
        return conversation_key(name, f"{self.channels[name].provider}:{identifier}") if name else None

    def meet(self, destination: str, address: str) -> str | None:
        """The conversation that a destination has with that address: on its `channel`, else on the first channel of the
        address's provider that names it. None where there is no such channel."""
        provider = address.partition(":")[0]
        wanted = self.settings.destinations[destination].values.get("channel")
        for name, route in self.routes.items():
            ours = destination in (route.first, route.handoff) and self.channels[name].provider == provider
            if ours and wanted in (None, name):
                return conversation_key(name, address)
        return None

    def answers(self, destination: str, conversation: str) -> bool:
        """Whether a destination may write on that conversation: its channel must name it."""
        route = self.routes.get(split_conversation(conversation)[0])
        return route is not None and destination in (route.first, route.handoff)


def file_hosts(settings: Settings) -> set[str]:
    """Where customers' files may lie that are not on public hosts: behind links of ours, and in a trial on one machine
    wherever these lead."""
    public_url = settings.gateway["public_url"]
    return {public_url, *settings.hosts} if urlsplit(public_url).hostname in LOOPBACK else {public_url}


def lanes_of(settings: Settings) -> list[Lane]:
    """One lane per direction and platform, and one for status reports to each platform."""
    lanes = []
    for platform in settings.channels.values():
        calls = channel_class(platform.type).calls
        lanes += [_lane(kind, platform.values, platform.name, calls) for kind in ("outbound", "status")]
    for platform in settings.destinations.values():
        calls = destination_class(platform.type).calls
        lanes += [_lane(kind, platform.values, platform.name, calls) for kind in ("inbound", "status")]
    return lanes


def _lane(kind: str, values: Mapping[str, Any], name: str, calls: int) -> Lane:
    return Lane(
        name=f"{kind}:{name}",
        concurrency=values["concurrency"],
        rate=values["rate"] if kind != "status" else 0.0,
        lease=(CONNECT_TIMEOUT + values["timeout"]) * calls + LEASE_MARGIN,
        retry=RetryPolicy(values["attempts"], values["retry_base"], give_up_after=values["give_up_after"]),
        expire_after=values["expire_after"] if kind != "status" else 0.0,
        rate_each=values["rate_each"] if kind != "status" else 0.0,
    )


def settings_from_environment() -> Settings:
    """The settings in the file that PATCHBAY_CONFIG names (default `patchbay.toml`). Raises: ConfigError."""
    return load(Path(os.environ.get(CONFIG_VARIABLE) or USUAL_FILE))


def limits_of(settings: Settings) -> Limits:
    values, lanes = settings.gateway, lanes_of(settings)
    rates = [rate for lane in lanes for rate in (lane.rate, lane.rate_each) if rate]
    looks = [platform.values.get("check_every") or 0.0 for platform in settings.destinations.values()]
    return Limits(
        retention=values["retention"],
        retentions={
            name: one.values["retention"] for name, one in settings.channels.items() if one.values["retention"]
        },
        dedup_window=values["dedup_window"],
        windows=_windows_of(settings),
        session_keep=values["session_keep"],
        mailbox=values["mailbox_limit"],
        lane=values["lane_limit"],
        dead_letters=values["dead_letter_limit"],
        dead_letter_bytes=values["dead_letter_bytes"],
        dead_letter_keep=values["dead_letter_keep"],
        max_lease=max(UNKNOWN_LEASE, *(lane.lease for lane in lanes)),
        max_delay=max(MAX_WAIT, *(1 / rate for rate in rates)) if rates else MAX_WAIT,
        max_poll=max(POLL_AGAIN, *looks),
    )


def check_redis(settings: Settings) -> list[str]:
    """What is worth saying of the configured Redis; nothing while it is out of reach, which is waited out.

    Raises:
        ConfigError: it must not be used.
    """
    values = settings.gateway
    client = connect(values["redis_url"], timeout=RECEIVER_TIMEOUT, name="check", connections=1)
    found = look_at(Server(Connection(client)), values["redis_checks"])
    client.close()
    refused = [("gateway.redis_url", fault.sentence) for fault in found if fault.refused]
    if refused:
        raise ConfigError(refused)
    return [fault.sentence for fault in found]


def _windows_of(settings: Settings) -> dict[str, float]:
    """How long each platform's ids are remembered: as configured, or a day longer than it repeats a webhook."""
    usual = settings.gateway["dedup_window"]
    repeats = {name: channel_class(one.type).repeats_for for name, one in settings.channels.items()}
    repeats |= {name: destination_class(one.type).repeats_for for name, one in settings.destinations.items()}
    return {
        name: platform.values["dedup_window"] or max(usual, repeats[name] + A_DAY)
        for name, platform in {**settings.channels, **settings.destinations}.items()
        if platform.values["dedup_window"] or repeats[name]
    }


def lists_of(settings: Settings) -> dict[str, list[str]]:
    """For each channel the accounts that may list its messages: those of the applications that it names."""
    adapters = {name: build_destination(one) for name, one in settings.destinations.items()}
    accounts = {name: one.rest.account for name, one in adapters.items() if isinstance(one, SendsByRest)}
    routes = {channel: settings.route(channel) for channel in settings.channels}
    found = {
        channel: sorted({accounts[name] for name in (route.first, route.handoff) if name in accounts})
        for channel, route in routes.items()
    }
    return {channel: lists for channel, lists in found.items() if lists}


def build(
    settings: Settings, *, role: str, timeout: float, around: Callable[[Publisher], Publishes] = lambda bare: bare
) -> Gateway:
    """A gateway on the configured Redis and broker.

    Args:
        role: `receiver`, `worker` or `cli`; the name under which Redis lists the connections.
        timeout: seconds for one Redis command.
        around: puts something around the publisher.
    """
    log.configure(settings.secrets, os.environ.get(LOG_FORMAT_VARIABLE) or "json", beside=role == "cli")
    values = settings.gateway
    store = Store(
        connect(values["redis_url"], timeout=timeout, name=role, connections=MAX_CONNECTIONS),
        limits_of(settings),
        lists=lists_of(settings),
    )
    if role != "worker":  # which tells nobody that something is kept
        store.connection.copies = values["replicas_to_wait"]
    lanes = [lane.name for lane in lanes_of(settings)]
    celery = create_celery(values["broker_url"], lanes, timeout=RECEIVER_TIMEOUT, retries=0)
    live = Connection(
        connect(values["redis_url"], timeout=LIVE_TIMEOUT, name=f"{role}-live", connections=MAX_CONNECTIONS)
    )
    if role != "cli":  # whose errors are its answers
        _tell_of_outages(store.connection, live)
    publisher = around(Publisher(celery, store.lanes.forget))
    return Gateway(settings, store, publisher, live=Messages(live, store.limits))


def _tell_of_outages(*connections: Connection) -> None:
    """Have the log say once for this process that Redis is away, and once that it is back."""
    where = {"redis": connections[0].place}
    outage = Outage(
        lambda error: LOG.error("store unavailable", **where, error=error, advice="waiting for it"),
        lambda seconds: LOG.warning("store is back", **where, after=round(seconds, 1)),
    )
    refusal = Outage(
        lambda error: LOG.error("store unavailable", **where, error=error), lambda _: None, again=REFUSAL_AGAIN
    )
    for connection in connections:
        connection.outage, connection.refusal = outage, refusal
