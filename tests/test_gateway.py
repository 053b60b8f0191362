"""The composition root: which hosts are exempt from the guard, and for what; how long ids are remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.gateway import file_hosts, limits_of
from tests.support.gateway import settings

BOT = "https://bot.example.test"
FILES = {
    "in the open": ("https://gw.example.test", {"https://gw.example.test"}),
    "in a trial": ("http://127.0.0.1:8000", {"http://127.0.0.1:8000", BOT}),
}


@pytest.mark.parametrize(("public_url", "expected"), FILES.values(), ids=FILES)
def test_a_customers_file_may_lie_behind_a_link_of_ours_but_not_at_a_platform(
    public_url: str, expected: set[str]
) -> None:
    chosen = settings(bot_url=BOT, gateway={"public_url": public_url})
    assert BOT in chosen.hosts
    assert public_url not in chosen.hosts
    assert file_hosts(chosen) & {BOT, public_url} == expected


DAY = 86_400
WINDOWS: dict[str, tuple[Mapping[str, Any], dict[str, int]]] = {
    "as long as the platform repeats, and a day": ({}, {"shop": 8 * DAY, "chat": 3 * DAY, "desk": 3 * DAY}),
    "the gateway's": ({"gateway": {"dedup_window": DAY}}, {"shop": 8 * DAY, "chat": DAY, "desk": DAY}),
    "the gateway's, if it is longer": ({"gateway": {"dedup_window": 9 * DAY}}, {"shop": 9 * DAY, "chat": 9 * DAY}),
    "a channel's own": ({"channels__shop": {"dedup_window": 60}}, {"shop": 60, "chat": 3 * DAY}),
    "a destination's own": ({"destinations__desk": {"dedup_window": 60}}, {"desk": 60, "helper": 3 * DAY}),
}


@pytest.mark.parametrize(("changes", "expected"), WINDOWS.values(), ids=WINDOWS)
def test_an_id_is_remembered_for(changes: Mapping[str, Any], expected: dict[str, int]) -> None:
    limits = limits_of(settings(**changes))
    assert expected == {name: limits.window_ms(f"{name}:inbound:1") // 1000 for name in expected}


def test_a_message_is_kept_as_long_as_its_channel_says_or_the_gateway() -> None:
    limits = limits_of(settings(gateway={"retention": 5_000}, channels__shop={"retention": 600}))
    assert (600, 5_000) == (limits.retention_of("shop"), limits.retention_of("chat"))
    assert limits.longest_retention == 5_000
