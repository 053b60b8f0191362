"""A gateway for tests without processes: a recording publisher, and drains that run until all is quiet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis

from app.config.schema import Settings, check
from app.core.work import Wake
from app.gateway import Gateway, limits_of, lists_of
from app.store import Store
from workers.drain import Drainer

SECRET = "whsec_Z2F0ZXdheS10ZXN0LXNlY3JldC0yNGJ5"
DESK_TOKEN = "desk-token-0001"
CHAT_SECRET = "chat-secret-0001-32-characters-x"
ACCOUNT = "AC" + "1" * 32
ASSISTANT = "UA" + "2" * 32


class Recorder:
    """A publisher that keeps the wake-ups; `lost` ones are forgotten, as a broker might, a `full` one takes none."""

    def __init__(self) -> None:
        self.wakes: list[Wake] = []
        self.lost = False
        self.full = False

    def publish(self, wakes: Sequence[Wake]) -> Sequence[Wake]:
        if self.full:
            return wakes
        self.wakes += [] if self.lost else wakes
        return ()


class Clock:
    """Unix milliseconds that stand still until they are moved."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def tables(
    *,
    send_url: str = "http://127.0.0.1:9/shop",
    bot_url: str = "http://127.0.0.1:9",
    desk_url: str = "http://127.0.0.1:9/desk",
    without: Sequence[str] = (),
    **changes: Mapping[str, Any],
) -> dict[str, Any]:
    """A configuration with every platform, as it stands in a file. `changes` by dotted key with `__` for the dot;
    `without` names destinations that are left out."""
    raw: dict[str, Any] = {
        "gateway": {"public_url": "http://127.0.0.1:8000"},
        "channels": {
            "shop": {
                "type": "webhook",
                "secrets": [SECRET],
                "send_url": send_url,
                "destination": "helper",
                "handoff": "desk",
            },
            "chat": {"type": "webchat", "secrets": [CHAT_SECRET], "destination": "helper", "handoff": "desk"},
        },
        "destinations": {
            "helper": {
                "type": "autopilot",
                "base_url": bot_url,
                "account_sid": ACCOUNT,
                "auth_token": "bot-token-0001",
                "assistant_sid": ASSISTANT,
                "channel_name": "webchat",
                "handoff_tasks": ["talk_to_human"],
            },
            "desk": {
                "type": "respondio",
                "webhook_url": desk_url,
                "channel_id": "ch_1",
                "api_token": DESK_TOKEN,
            },
        },
    }
    for name in without:
        del raw["destinations"][name]
    for key, values in changes.items():
        table = raw
        for part in key.split("__"):
            table = table.setdefault(part, {})
        table.update(values)
    return raw


def settings(**options: Any) -> Settings:
    return check(tables(**options), {})


def gateway(client: redis.Redis, clock: Callable[[], int] | None = None, **options: Any) -> Gateway:
    """A gateway on that Redis with the configuration of `tables`."""
    chosen = settings(**options)
    built = Gateway(chosen, Store(client, limits_of(chosen), clock, lists_of(chosen)), Recorder())
    built.declare()
    return built


def recorder(built: Gateway) -> Recorder:
    assert isinstance(built.publisher, Recorder)
    return built.publisher


def run_until_quiet(built: Gateway) -> int:
    """Drain whatever is owed until nothing is; how many heads were worked. Sweeps in the end, as the tick would."""
    drainer, heads = Drainer(built), 0
    published = recorder(built).wakes
    while True:
        if not published:
            published += built.store.mailboxes.sweep()
            if not published:
                return heads
        wake = published.pop(0)
        heads += drainer.drain(wake.lane, wake.token)
