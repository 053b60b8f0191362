"""The address that callers are counted by."""

from __future__ import annotations

import pytest
from flask import Flask

from app.config.file import BEHIND_PROXY_VARIABLE
from app.web.caller import address_of_caller

ALONE: dict[str, tuple[str, str, str]] = {
    "IPv4": ("192.0.2.7", "", "192.0.2.7"),
    "IPv6: its network": ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
    "the same network": ("2001:db8:1:2::1", "", "2001:db8:1:2::/64"),
    "IPv4 as IPv6": ("::ffff:192.0.2.7", "", "192.0.2.7"),
    "what callers say is not believed": ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
    "a socket": ("", "", "unknown"),
}
BEHIND: dict[str, tuple[str, str, str]] = {
    "what the proxy saw": ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
    "it stands last": ("127.0.0.1", "10.0.0.1, 192.0.2.9, 198.51.100.1", "198.51.100.1"),
    "IPv6": ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    "the proxy says nothing": ("127.0.0.1", "", "127.0.0.1"),
    "what is no address": ("127.0.0.1", "198.51.100.1, <script>", "127.0.0.1"),
    "a socket": ("", "198.51.100.1", "198.51.100.1"),
}


def counted(remote: str, forwarded: str) -> str:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with Flask(__name__).test_request_context("/", headers=headers, environ_overrides={"REMOTE_ADDR": remote}):
        return address_of_caller()


@pytest.mark.parametrize(("remote", "forwarded", "expected"), ALONE.values(), ids=ALONE)
def test_without_a_proxy_it_is_the_peers(
    monkeypatch: pytest.MonkeyPatch, remote: str, forwarded: str, expected: str
) -> None:
    monkeypatch.delenv(BEHIND_PROXY_VARIABLE, raising=False)
    assert counted(remote, forwarded) == expected


@pytest.mark.parametrize(("remote", "forwarded", "expected"), BEHIND.values(), ids=BEHIND)
def test_behind_a_proxy_it_is_what_that_says(
    monkeypatch: pytest.MonkeyPatch, remote: str, forwarded: str, expected: str
) -> None:
    monkeypatch.setenv(BEHIND_PROXY_VARIABLE, "1")
    assert counted(remote, forwarded) == expected
