"""URLs that name sentinels."""

from __future__ import annotations

import pytest

from app.core.sentinels import NO_DATABASE, NO_HOST, NO_NAME, Login, sentinels_of

HOSTS = [("one", 26379), ("two", 26380)]
SAME = [
    "redis+sentinel://one:26379,two:26380/mymaster/0",
    "redis+sentinel://one,two:26380/mymaster",
    "sentinel://one:26379,two:26380/mymaster/0",
    "sentinel://one:26379;sentinel://two:26380/0?master_name=mymaster",
    "sentinel://one:26379/mymaster/0;sentinel://two:26380",
]


@pytest.mark.parametrize("url", SAME)
def test_it_finds_hosts_name_and_database(url: str) -> None:
    found = sentinels_of(url)
    assert (HOSTS, "mymaster", 0, Login(), False) == (
        found.hosts,
        found.master,
        found.database,
        found.login,
        found.tls,
    )


def test_it_finds_users_passwords_and_the_options_of_tls() -> None:
    url = "rediss+sentinel://app:ge%40heim@one,[::1]:5/my%20master/3?sentinel_username=s&sentinel_password=g%26&ssl_ca_certs=/ca&ssl_check_hostname=no"
    found = sentinels_of(url)
    assert ([("one", 26379), ("::1", 5)], "my master", 3) == (found.hosts, found.master, found.database)
    assert (Login("app", "ge@heim"), Login("s", "g&")) == (found.login, found.own_login)
    assert (True, {"ssl_ca_certs": "/ca", "ssl_check_hostname": False}) == (found.tls, found.options)
    assert "heim" not in repr(found)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("sentinel://one:26379", NO_NAME),
        ("sentinel://one:26379/0", NO_NAME),
        ("sentinel://one:26379;sentinel://two:26379/0", NO_NAME),
        ("redis+sentinel:///mymaster/0", NO_HOST),
        ("redis+sentinel://one,,two/mymaster", NO_HOST),
        ("redis+sentinel://one:0/mymaster", NO_HOST),
        ("redis+sentinel://one/mymaster/first", NO_DATABASE),
        ("redis+sentinel://one/mymaster/0/1", NO_DATABASE),
        ("redis+sentinel://one/mymaster?timeout=3", "Unknown in its query: timeout."),
        ("redis+sentinel://one/mymaster?ssl_ca_certs=/ca", "Unknown in its query: ssl_ca_certs."),
    ],
)
def test_it_names_the_rule_that_is_broken(url: str, rule: str) -> None:
    with pytest.raises(ValueError, match="^" + rule.replace(".", r"\.").replace("+", r"\+") + "$"):
        sentinels_of(url)
