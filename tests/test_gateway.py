"""The composition root: which hosts are exempt from the guard, and for what."""

from __future__ import annotations

import pytest

from app.gateway import file_hosts
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
