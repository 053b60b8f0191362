"""The configuration: every problem at once with its key, values from elsewhere, and no secret ever shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.schema import ConfigError, Settings, build_channel, build_destination, check, check_alone, load
from app.core.costs import ChannelPrices, PriceTable
from app.core.routing import Route
from app.core.sentinels import NO_NAME
from tests.support.gateway import ACCOUNT, SECRET, tables
from tests.support.values import THOROUGH, json_values, places, replaced

ENVIRON = {"BOT_TOKEN": "token-from-outside"}


def with_(raw: Mapping[str, Any], at: str, value: Any) -> dict[str, Any]:
    """The configuration with another value at a dotted path."""
    changed = deepcopy(dict(raw))
    *path, last = at.split(".")
    table = changed
    for part in path:
        table = table.setdefault(part, {})
    table[last] = value
    return changed


def without(raw: Mapping[str, Any], at: str) -> dict[str, Any]:
    changed = deepcopy(dict(raw))
    *path, last = at.split(".")
    table = changed
    for part in path:
        table = table[part]
    del table[last]
    return changed


def problems(raw: Any, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """The keys of everything that is wrong."""
    try:
        check(raw, environ)
    except ConfigError as error:
        return [key for key, rule in error.problems if rule]
    return []


def test_the_tables_of_the_tests_are_good() -> None:
    assert problems(tables()) == []


# What is changed in a good configuration (dotted path, value), and the keys that must be named.
SET: dict[str, tuple[str, Any, list[str]]] = {
    "an unknown table": ("lanes", {}, ["lanes"]),
    "gateway is a word": ("gateway", "x", ["gateway"]),
    "gateway is a list": ("gateway", [{}], ["gateway"]),
    "an unknown key of the gateway": ("gateway.port", 8000, ["gateway.port"]),
    "a window of no time": ("channels.shop.dedup_window", 0, ["channels.shop.dedup_window"]),
    "a window in words": ("destinations.desk.dedup_window", "8 days", ["destinations.desk.dedup_window"]),
    "a sentence that is none": ("destinations.desk.unavailable", 7, ["destinations.desk.unavailable"]),
    "a sentence without end": ("destinations.desk.unavailable", "x" * 1_001, ["destinations.desk.unavailable"]),
    "a sentence of a channel": ("channels.shop.unavailable", "Sorry.", ["channels.shop.unavailable"]),
    "a public url without a scheme": ("gateway.public_url", "gate.example.test", ["gateway.public_url"]),
    "a public url with credentials": ("gateway.public_url", "https://a:b@gate.example.test", ["gateway.public_url"]),
    "a public url with a query": ("gateway.public_url", "https://gate.example.test/?a=b", ["gateway.public_url"]),
    "a public url that is a number": ("gateway.public_url", 8000, ["gateway.public_url"]),
    "Redis by http": ("gateway.redis_url", "http://127.0.0.1", ["gateway.redis_url"]),
    "Redis without a url": ("gateway.redis_url", "", ["gateway.redis_url"]),
    "Redis on a port of words": ("gateway.redis_url", "redis://127.0.0.1:redis/0", ["gateway.redis_url"]),
    "Redis on a broken host": ("gateway.redis_url", "redis://[::1", ["gateway.redis_url"]),
    "a broker by http": ("gateway.broker_url", "http://127.0.0.1", ["gateway.broker_url"]),
    "a broker in memory": ("gateway.broker_url", "memory://", ["gateway.broker_url"]),
    "one of several brokers by http": (
        "gateway.broker_url",
        "sentinel://a:26379;http://b:26379",
        ["gateway.broker_url"],
    ),
    "sentinels that watch nobody": ("gateway.broker_url", "sentinel://a;sentinel://b", ["gateway.broker_url"]),
    "sentinels without a host": ("gateway.redis_url", "redis+sentinel:///mymaster", ["gateway.redis_url"]),
    "a Unix socket that Celery cannot use": ("gateway.redis_url", "unix:///run/redis.sock", ["gateway.broker_url"]),
    "a proxy by ftp": ("gateway.egress", {"proxy": "ftp://proxy:21"}, ["gateway.egress.proxy"]),
    "no such trust store": ("gateway.egress", {"trust_store": "/no/ca.pem"}, ["gateway.egress.trust_store"]),
    "an unknown key of the way out": ("gateway.egress", {"https": "http://proxy:1"}, ["gateway.egress.https"]),
    "no retention": ("gateway.retention", 0, ["gateway.retention"]),
    "retention without end": ("gateway.retention", 10**30, ["gateway.retention"]),
    "retention for ever": ("gateway.retention", float("inf"), ["gateway.retention"]),
    "no retention on a channel": ("channels.shop.retention", 0, ["channels.shop.retention"]),
    "retention without end on a channel": ("channels.shop.retention", 10**30, ["channels.shop.retention"]),
    "retention on a destination": ("destinations.desk.retention", 600, ["destinations.desk.retention"]),
    "a body too small": ("gateway.max_body", 10, ["gateway.max_body"]),
    "a mailbox of none": ("gateway.mailbox_limit", 0, ["gateway.mailbox_limit"]),
    "channels is a list": ("channels", [], ["channels"]),
    "no channels": ("channels", {}, ["channels"]),
    "a channel is a word": ("channels.shop", "webhook", ["channels.shop"]),
    "an unknown type": ("channels.shop.type", "fax", ["channels.shop.type"]),
    "a type that is a list": ("channels.shop.type", ["webhook"], ["channels.shop.type"]),
    "a destination's type on a channel": ("channels.shop.type", "autopilot", ["channels.shop.type"]),
    "an unknown key of a channel": ("channels.shop.colour", "red", ["channels.shop.colour"]),
    "an unknown destination": ("channels.shop.destination", "nobody", ["channels.shop.destination"]),
    "an unknown handoff": ("channels.shop.handoff", "nobody", ["channels.shop.handoff"]),
    "a handoff to the same one": ("channels.shop.handoff", "helper", ["channels.shop.handoff"]),
    "a secret that is none": ("channels.shop.secrets", ["whsec_x!"], ["channels.shop.secrets.0"]),
    "a secret that is a number": ("channels.shop.secrets", [5], ["channels.shop.secrets.0"]),
    "secrets that are a word": ("channels.shop.secrets", SECRET, ["channels.shop.secrets"]),
    "a chat's secret of 31 characters": ("channels.chat.secrets", ["x" * 31], ["channels.chat.secrets.0"]),
    "a chat's old secret beside a long one": (
        "channels.chat.secrets",
        ["x" * 32, "chat-secret-0001"],
        ["channels.chat.secrets.1"],
    ),
    "sessions forgotten before they end": ("gateway.session_keep", 4 * 3600, ["gateway.session_keep"]),
    "sessions that end after they are forgotten": (
        "destinations.desk.session_timeout",
        30 * 86_400 + 1,
        ["gateway.session_keep"],
    ),
    "sessions that end after they are forgotten, as a variable says it": (
        "destinations.desk.session_timeout",
        str(30 * 86_400 + 1),
        ["gateway.session_keep"],
    ),
    "a burst of half a minute and more": ("destinations.helper.burst", 30.5, ["destinations.helper.burst"]),
    "a burst of less than no time": ("destinations.helper.burst", -1, ["destinations.helper.burst"]),
    "a burst of people": ("destinations.desk.burst", 1.0, ["destinations.desk.burst"]),
    "no time before it expires": ("channels.shop.expire_after", 0.5, ["channels.shop.expire_after"]),
    "less than that": ("destinations.desk.expire_after", -1, ["destinations.desk.expire_after"]),
    "words for it": ("destinations.desk.expire_after", "1h", ["destinations.desk.expire_after"]),
    "no number": ("destinations.desk.expire_after", float("nan"), ["destinations.desk.expire_after"]),
    "late after less than a second": ("destinations.desk.late_after", 0.1, ["destinations.desk.late_after"]),
    "next to no messages for each": ("channels.shop.rate_each", 0.0001, ["channels.shop.rate_each"]),
    "fewer than none for each": ("channels.shop.rate_each", -1, ["channels.shop.rate_each"]),
    "endless many for each": ("channels.shop.rate_each", float("inf"), ["channels.shop.rate_each"]),
    "a late channel": ("channels.shop.late_after", 60, ["channels.shop.late_after"]),
    "a mark with another place": ("destinations.desk.late_text", "{who} wrote", ["destinations.desk.late_text"]),
    "a mark with a place inside": ("destinations.desk.late_text", "{age.real}", ["destinations.desk.late_text"]),
    "a mark with half a place": ("destinations.desk.late_text", "{age", ["destinations.desk.late_text"]),
    "a mark with a format": ("destinations.desk.late_text", "{age:>999999}", ["destinations.desk.late_text"]),
    "a mark of nothing": ("destinations.desk.late_text", "", ["destinations.desk.late_text"]),
    "a burst of a channel": ("channels.shop.burst", 1.0, ["channels.shop.burst"]),
    "sessions without end": (
        "destinations.desk.session_timeout",
        float("inf"),
        ["destinations.desk.session_timeout"],
    ),
    "sessions beyond all numbers": (
        "destinations.desk.session_timeout",
        10**400,
        ["destinations.desk.session_timeout"],
    ),
    "a send url that is none": ("channels.shop.send_url", "shop", ["channels.shop.send_url"]),
    "a port that there is not": ("channels.shop.send_url", "http://shop:99999/", ["channels.shop.send_url"]),
    "too many at once": ("channels.shop.concurrency", 4097, ["channels.shop.concurrency"]),
    "a name in capitals": ("channels.Shop", tables()["channels"]["shop"], ["channels.Shop"]),
    "a name with a slash": ("channels.shop/2", tables()["channels"]["shop"], ["channels.shop/2"]),
    "a name with a line break": ("channels.shop\n", tables()["channels"]["shop"], ["channels.shop\n"]),
    "a name too long": (f"channels.{'x' * 33}", tables()["channels"]["shop"], [f"channels.{'x' * 33}"]),
    "an empty name": ("channels.", tables()["channels"]["shop"], ["channels."]),
    "destinations is a word": (
        "destinations",
        "helper desk",
        ["destinations", *(f"channels.{c}.{k}" for c in ("shop", "chat") for k in ("destination", "handoff"))],
    ),
    "destinations is a number": (
        "destinations",
        5,
        ["destinations", *(f"channels.{c}.{k}" for c in ("shop", "chat") for k in ("destination", "handoff"))],
    ),
    "a sid that is none": ("destinations.helper.account_sid", "AC1", ["destinations.helper.account_sid"]),
    "a token too short": ("destinations.desk.api_token", "short", ["destinations.desk.api_token"]),
    "a channel's name": ("destinations.shop", tables()["destinations"]["desk"], ["destinations.shop"]),
    "an API token too short": ("gateway.api_tokens", ["short"], ["gateway.api_tokens.0"]),
    "API tokens that are a word": ("gateway.api_tokens", "api-token-0001", ["gateway.api_tokens"]),
    "an unset variable": ("destinations.helper.auth_token", "env:NOT_SET", ["destinations.helper.auth_token"]),
    "an unset variable in a list": ("channels.shop.secrets", [SECRET, "env:NOT_SET"], ["channels.shop.secrets.1"]),
    "an unset variable for a type": ("channels.shop.type", "env:NOT_SET", ["channels.shop.type"]),
    "an unset variable where anything goes": (
        "channels.shop.target_task",
        "env:NOT_SET",
        ["channels.shop.target_task"],
    ),
    "an unset variable for a destination": (
        "channels.shop.destination",
        "env:NOT_SET",
        ["channels.shop.destination"],
    ),
    "an unset variable for the public url": ("gateway.public_url", "env:NOT_SET", ["gateway.public_url"]),
    "a file that is not there": ("destinations.desk.api_token", "file:/not/there", ["destinations.desk.api_token"]),
    "a file that can be none": ("destinations.desk.api_token", "file:/a\0b", ["destinations.desk.api_token"]),
    "a folder for a file": ("destinations.desk.api_token", "file:/", ["destinations.desk.api_token"]),
    "a date for a word": ("channels.shop.destination", date(2026, 1, 1), [
        "channels.shop.destination"
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("at", "value", "keys"), SET.values(), ids=SET)
def test_what_is_wrong_is_named_by_its_key(at: str, value: Any, keys: list[str]) -> None:
    assert keys == problems(with_(tables(), at, value))


COSTS: dict[str, Any] = {"currency": "USD", "channels": {"shop": {"inbound": "0.005"}}}
PRICED: dict[str, tuple[str, Any, list[str]]] = {
    "nothing wrong": ("costs.currency", "EUR", []),
    "no channels": ("costs.channels", {}, []),
    "costs are a word": ("costs", "USD", ["costs"]),
    "no currency": ("costs", {}, ["costs.currency"]),
    "a currency in small letters": ("costs.currency", "usd", ["costs.currency"]),
    "a currency's sign": ("costs.currency", "$", ["costs.currency"]),
    "a currency with a line break": ("costs.currency", "USD\n", ["costs.currency"]),
    "an unset variable for the currency": ("costs.currency", "env:NOT_SET", ["costs.currency"]),
    "an unknown key": ("costs.turn", "0.001", ["costs.turn"]),
    "channels are a list": ("costs.channels", [], ["costs.channels"]),
    "destinations are a word": ("costs.destinations", "helper", ["costs.destinations"]),
    "an unknown channel": ("costs.channels.fax", {"inbound": "1"}, ["costs.channels.fax"]),
    "a destination among the channels": ("costs.channels.helper", {"inbound": "1"}, ["costs.channels.helper"]),
    "an unknown destination": ("costs.destinations.nobody", {"turn": "1"}, ["costs.destinations.nobody"]),
    "a channel's prices are a number": ("costs.channels.shop", 1, ["costs.channels.shop"]),
    "an unknown price of a channel": ("costs.channels.shop.turn", "1", ["costs.channels.shop.turn"]),
    "a price that is none": ("costs.channels.shop.inbound", "cheap", ["costs.channels.shop.inbound"]),
    "a price too high": ("costs.channels.shop.outbound", 1001, ["costs.channels.shop.outbound"]),
    "a price below nothing": ("costs.channels.shop.template", -0.1, ["costs.channels.shop.template"]),
    "a price too fine": ("costs.channels.shop.template", "0.0000000001", ["costs.channels.shop.template"]),
    "nobody tells a shop's prices": ("costs.channels.shop.reported", True, ["costs.channels.shop.reported"]),
    "nor if it is said in words": ("costs.channels.shop.reported", "yes", ["costs.channels.shop.reported"]),
    "a shop's table is good enough": ("costs.channels.shop.reported", False, []),
    "perhaps reported": ("costs.channels.shop.reported", "perhaps", ["costs.channels.shop.reported"]),
    "a turn of a destination": ("costs.destinations.helper.turn", 0.001, []),
    "a destination without a turn": ("costs.destinations.helper", {}, ["costs.destinations.helper.turn"]),
    "a turn that is none": ("costs.destinations.helper.turn", [], ["costs.destinations.helper.turn"]),
    "an unknown price of a destination": (
        "costs.destinations.helper",
        {"turn": "1", "inbound": "1"},
        ["costs.destinations.helper.inbound"],
    ),
}


@pytest.mark.parametrize(("at", "value", "keys"), PRICED.values(), ids=PRICED)
def test_what_is_wrong_with_the_prices_is_named_by_its_key(at: str, value: Any, keys: list[str]) -> None:
    assert keys == problems(with_({**tables(), "costs": COSTS}, at, value))


@pytest.mark.parametrize("type_", ["fax", 5, None])
def test_prices_of_a_channel_of_no_type_are_no_problem_of_their_own(type_: object) -> None:
    raw = tables(channels__shop={"type": type_}, costs=COSTS, costs__channels__shop={"reported": True})
    assert ["channels.shop.type"] == problems(raw)


def test_the_price_table() -> None:
    twilio = {"account_sid": ACCOUNT, "auth_tokens": ["twilio-token-0001"], "address": "+15551239998"}
    raw = tables(
        channels__sms={"type": "twilio", "destination": "helper", **twilio},
        costs={"currency": "USD"},
        costs__channels__sms={"inbound": 0.0075, "outbound": "0.008", "reported": True},
        costs__channels__shop={"outbound": "env:A_PRICE", "template": "0.0135"},
        costs__destinations__helper={"turn": "0.001"},
    )
    sms = ChannelPrices(7_500_000, 8_000_000, 8_000_000, reported=True)
    shop = ChannelPrices(0, 5_000_000, 13_500_000)
    expected = PriceTable("USD", {"sms": sms, "shop": shop}, {"helper": 1_000_000})
    assert expected == check(raw, {"A_PRICE": "0.005"}).costs
    assert PriceTable() == check(tables(), {}).costs


def test_prices_do_not_stand_in_the_way_of_a_destination_alone() -> None:
    raw = tables(
        costs={"currency": "USD"}, costs__channels__shop={"inbound": "1"}, costs__destinations__desk={"turn": 1}
    )
    assert PriceTable() == check_alone(raw, "destinations", "helper", {}).costs


LEFT_OUT = {
    "no gateway": ("gateway", ["gateway.public_url"]),
    "no public url": ("gateway.public_url", ["gateway.public_url"]),
    "no channels": ("channels", ["channels"]),
    "no type": ("channels.shop.type", ["channels.shop.type"]),
    "no destination": ("channels.shop.destination", ["channels.shop.destination"]),
    "no secrets": ("channels.shop.secrets", ["channels.shop.secrets"]),
    "no chat secrets": ("channels.chat.secrets", ["channels.chat.secrets"]),
    "no send url": ("channels.shop.send_url", ["channels.shop.send_url"]),
    "no token": ("destinations.helper.auth_token", ["destinations.helper.auth_token"]),
    "no assistant": ("destinations.helper.assistant_sid", ["destinations.helper.assistant_sid"]),
    "no webhook url": ("destinations.desk.webhook_url", ["destinations.desk.webhook_url"]),
    "no channel id": ("destinations.desk.channel_id", ["destinations.desk.channel_id"]),
}


@pytest.mark.parametrize(("at", "keys"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_missing_is_named_by_its_key(at: str, keys: list[str]) -> None:
    assert keys == problems(without(tables(), at))


def test_every_problem_is_named_at_once() -> None:
    raw = tables()
    raw["gateway"] = {"public_url": "nowhere", "retention": "long"}
    raw["channels"]["shop"] |= {"destination": "nobody", "handoff": "nobody"}
    raw["channels"]["Bad Name"] = {"type": "fax"}
    raw["destinations"]["helper"] |= {"auth_token": "env:NOT_SET", "version": "v9"}
    raw["destinations"]["desk"]["api_token"] = ""
    raw["unknown"] = 1
    assert {
        "gateway.public_url",
        "gateway.retention",
        "channels.shop.destination",
        "channels.shop.handoff",
        "channels.Bad Name",
        "channels.Bad Name.type",
        "destinations.helper.auth_token",
        "destinations.helper.version",
        "destinations.desk.api_token",
        "unknown",
    } == set(problems(raw))


NO_VERIFICATION = {
    "on loopback": ("http://127.0.0.1:8000", []),
    "on localhost": ("http://localhost:8000", []),
    "on IPv6 loopback": ("http://[::1]:8000", []),
    "on a public host": ("https://gate.example.test", ["channels.shop.verification"]),
    "on a host that only sounds like it": ("http://localhost.example.test", ["channels.shop.verification"]),
    "on a private network": ("http://10.0.0.1", ["channels.shop.verification"]),
    "where nobody knows": ("nowhere", ["gateway.public_url"]),
}


@pytest.mark.parametrize(("public_url", "keys"), NO_VERIFICATION.values(), ids=NO_VERIFICATION)
def test_a_channel_without_verification_stays_on_loopback(public_url: str, keys: list[str]) -> None:
    raw = with_(with_(tables(), "channels.shop.verification", "none"), "channels.shop.secrets", [])
    assert keys == problems(with_(raw, "gateway.public_url", public_url))


PHONES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "several channels and none named": ({}, ["destinations.desk.channel"]),
    "several channels and one named": ({"channel": "shop"}, []),
    "several channels and an unknown one named": ({"channel": "fax"}, ["destinations.desk.channel"]),
    "contact ids of our own": ({"id_type": "custom"}, []),
}


@pytest.mark.parametrize(("changes", "keys"), PHONES.values(), ids=PHONES)
def test_with_phone_numbers_it_must_be_clear_which_channel_an_agent_writes_on(
    changes: dict[str, Any], keys: list[str]
) -> None:
    assert keys == problems(tables(destinations__desk={"id_type": "phone", **changes}))


def test_with_phone_numbers_and_one_channel_it_is_clear() -> None:
    assert problems(without(tables(destinations__desk={"id_type": "phone"}), "channels.chat")) == []


FLEX: dict[str, Any] = {
    "type": "flex_conversations",
    "account_sid": ACCOUNT,
    "auth_tokens": ["twilio-token-0001"],
    "routing": {"type": "studio", "flow_sid": "FW" + "3" * 32},
}
SECOND = {"type": "webhook", "secrets": [SECRET], "send_url": "http://127.0.0.1:9/second", "destination": "helper"}
TO_PEOPLE = {"handoff": "people"}
TARGETS: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]] = {
    "one channel": ({}, {"shop": TO_PEOPLE}, []),
    "two channels of different types": ({}, {"shop": TO_PEOPLE, "chat": TO_PEOPLE}, []),
    "two channels of one type": (
        {},
        {"shop": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE}},
        ["destinations.people.target"],
    ),
    "two of one type, one of them for all messages": (
        {},
        {"shop": TO_PEOPLE, "second": {**SECOND, "destination": "people"}},
        ["destinations.people.target"],
    ),
    "two of one type, said to be by address": (
        {"target": "address"},
        {"shop": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE}},
        ["destinations.people.target"],
    ),
    "two of one type, by conversation": (
        {"target": "conversation"},
        {"shop": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE}},
        [],
    ),
    "two of one type with providers of their own": (
        {},
        {"shop": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE, "provider": "second"}},
        [],
    ),
    "two of one type with a provider that both name": (
        {},
        {"shop": {**TO_PEOPLE, "provider": "own"}, "second": {**SECOND, **TO_PEOPLE, "provider": "own"}},
        ["destinations.people.target"],
    ),
    "two types of one provider": (
        {},
        {"chat": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE, "provider": "webchat"}},
        ["destinations.people.target"],
    ),
    "two types of one provider, by conversation": (
        {"target": "conversation"},
        {"chat": TO_PEOPLE, "second": {**SECOND, **TO_PEOPLE, "provider": "webchat"}},
        [],
    ),
    "two of one type, one of them elsewhere": ({}, {"shop": TO_PEOPLE, "second": SECOND}, []),
    "a target that is a list": ({"target": ["address"]}, {"shop": TO_PEOPLE}, ["destinations.people.target"]),
}


@pytest.mark.parametrize(("changes", "channels", "keys"), TARGETS.values(), ids=TARGETS)
def test_customers_of_several_channels_must_not_become_one_in_flex(
    changes: dict[str, Any], channels: dict[str, dict[str, Any]], keys: list[str]
) -> None:
    raw = tables(
        destinations__people={**FLEX, **changes}, **{f"channels__{name}": value for name, value in channels.items()}
    )
    assert keys == problems(raw)


def test_the_rule_for_targets_names_the_channels_and_holds_for_flex_alone() -> None:
    raw = tables(destinations__people=FLEX, channels__shop=TO_PEOPLE, channels__second={**SECOND, **TO_PEOPLE})
    with pytest.raises(ConfigError, match=r"conversation, because channels of one provider share .*: shop, second"):
        check(raw, {})
    assert problems(tables(channels__second={**SECOND, "handoff": "desk"})) == []


def test_flex_knows_where_its_webhooks_reach_us_and_keeps_its_tokens_secret() -> None:
    raw = tables(destinations__people=FLEX, channels__shop=TO_PEOPLE, gateway={"public_url": "https://gate.test/"})
    settings = check(raw, {})
    assert settings.destinations["people"].values["callback"] == "https://gate.test/destinations/people"
    assert "twilio-token-0001" in settings.secrets
    assert build_destination(settings.destinations["people"]).poll_every == 15.0  # a Studio flow speaks


TWILIO: dict[str, Any] = {
    "type": "twilio",
    "account_sid": ACCOUNT,
    "auth_tokens": ["twilio-token-0001"],
    "address": "+15551239999",
    "destination": "helper",
}
SENDERS: dict[str, tuple[dict[str, dict[str, Any]], list[str]]] = {
    "one": ({"sms": {}}, []),
    "two": ({"sms": {}, "wa": {"address": "whatsapp:+15551239999"}}, []),
    "the same twice": ({"sms": {}, "more": {}}, ["channels.more.address"]),
    "the same in other words": ({"sms": {}, "more": {"address": "sms:+15551239999"}}, ["channels.more.address"]),
    "the same three times": ({"sms": {}, "b": {}, "c": {}}, ["channels.b.address", "channels.c.address"]),
    "an address that is a list": ({"sms": {"address": ["+1"]}}, ["channels.sms.address"]),
    "no sender": ({"sms": {"address": None}}, ["channels.sms.address"]),
    "an unknown way with files": ({"sms": {"media": "hide"}}, ["channels.sms.media"]),
    "a service that is none": ({"sms": {"messaging_service_sid": "MG1"}}, ["channels.sms.messaging_service_sid"]),
}


@pytest.mark.parametrize(("channels", "keys"), SENDERS.values(), ids=SENDERS)
def test_a_sender_of_twilio_is_one_channel(channels: dict[str, dict[str, Any]], keys: list[str]) -> None:
    made = {
        f"channels__{name}": {key: value for key, value in {**TWILIO, **changes}.items() if value is not None}
        for name, changes in channels.items()
    }
    assert keys == problems(tables(**made))


def test_an_address_of_another_type_is_no_sender_of_twilio() -> None:
    assert ["channels.shop.address"] == problems(
        tables(channels__sms=TWILIO, channels__shop={"address": "+15551239999"})
    )


CONSENT: dict[str, tuple[Any, list[str]]] = {
    "all defaults": ({}, []),
    "not a table": ("yes", ["channels.shop.consent"]),
    "none heard": ({"keywords": False}, []),
    "an unknown key": ({"words": []}, ["channels.shop.consent.words"]),
    "an unknown way to confirm": ({"confirm": "perhaps"}, ["channels.shop.consent.confirm"]),
    "English with another answer": ({"languages": {"en": {"stop_text": "Done."}}}, []),
    "a language with all that it needs": (
        {"languages": {"de": {"stop": ["STOPP"], "stop_text": "Gut.", "help_text": "Hilfe."}}},
        [],
    ),
    "keywords without an answer": (
        {"languages": {"de": {"stop": ["STOPP"]}}},
        ["channels.shop.consent.languages.de.stop_text"],
    ),
    "keywords that are never answered": ({"confirm": "never", "languages": {"de": {"stop": ["STOPP"]}}}, []),
    "a keyword with two meanings": (
        {"languages": {"de": {"stop": ["ja"], "start": [" JA "], "stop_text": "a", "start_text": "b"}}},
        ["channels.shop.consent.languages.de.start"],
    ),
    "an English keyword with two meanings": (
        {"languages": {"en": {"help": ["stop"]}}},
        ["channels.shop.consent.languages.en.help"],
    ),
    "a keyword that is none": (
        {"languages": {"en": {"stop": ["STOP", " . "]}}},
        ["channels.shop.consent.languages.en.stop.1"],
    ),
    "a language that is none": ({"languages": {"english!": {}}}, ["channels.shop.consent.languages.english!"]),
}


@pytest.mark.parametrize(("table", "keys"), CONSENT.values(), ids=CONSENT)
def test_the_words_of_consent_have_one_meaning_and_an_answer(table: Any, keys: list[str]) -> None:
    assert keys == problems(tables(channels__shop={"consent": table}))


TWIML: dict[str, Any] = {
    "type": "twiml",
    "account_sid": ACCOUNT,
    "auth_tokens": ["twilio-token-0001"],
    "address": "+15551239999",
    "callback_url": "https://app.example.test/in",
}
APPLICATIONS: dict[str, tuple[dict[str, dict[str, Any]], list[str]]] = {
    "one": ({"app": {}}, []),
    "two": ({"app": {}, "other": {"address": "whatsapp:+15551239999"}}, []),
    "two of one address": ({"app": {}, "other": {}}, ["destinations.other.address"]),
    "two of one address in other words": ({"app": {}, "other": {"address": "SMS:+15551239999"}}, [
        "destinations.other.address"
    ]),
    "two of one address and different accounts": ({"app": {}, "other": {"account_sid": "AC" + "2" * 32}}, []),
    "no address": ({"app": {"address": None}}, ["destinations.app.address"]),
    "an address of a word": ({"app": {"address": "shop"}}, ["destinations.app.address"]),
    "an address that is a list": ({"app": {"address": ["+1"]}}, ["destinations.app.address"]),
    "no callback": ({"app": {"callback_url": None}}, ["destinations.app.callback_url"]),
    "a callback with _": ({"app": {"callback_url": "https://an_app.test/"}}, ["destinations.app.callback_url"]),
    "a fallback with _": ({"app": {"fallback_url": "https://an_app.test/"}}, ["destinations.app.fallback_url"]),
    "a status callback with _": ({"app": {"status_callback_url": "https://an_app.test/"}}, [
        "destinations.app.status_callback_url"
    ]),
    "methods": ({"app": {f"{name}_method": "PUT" for name in ("callback", "fallback", "status_callback")}}, [
        f"destinations.app.{name}_method" for name in ("callback", "fallback", "status_callback")
    ]),
    "a service that is none": ({"app": {"messaging_service_sid": "MG1"}}, ["destinations.app.messaging_service_sid"]),
    "an unknown channel": ({"app": {"channel": "fax"}}, ["destinations.app.channel"]),
    "a channel that leads elsewhere": ({"app": {"channel": "shop"}}, ["destinations.app.channel"]),
}  # fmt: skip


@pytest.mark.parametrize(("destinations", "keys"), APPLICATIONS.values(), ids=APPLICATIONS)
def test_an_application_is_known_by_its_address(destinations: dict[str, dict[str, Any]], keys: list[str]) -> None:
    made = {
        f"destinations__{name}": {key: value for key, value in {**TWIML, **changes}.items() if value is not None}
        for name, changes in destinations.items()
    }
    assert keys == problems(tables(**made))


TO_APP = {"handoff": "app"}
SERVICE = {name: value for name, value in {**TWILIO, **TO_APP}.items() if name != "address"}
SHARED: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]] = {
    "channels of different providers": ({}, {"shop": TO_APP, "chat": TO_APP}, []),
    "two channels of one provider": (
        {}, {"shop": TO_APP, "second": {**SECOND, **TO_APP}}, ["destinations.app.channel"]
    ),
    "two channels of one provider, one of them meant": (
        {"channel": "second"}, {"shop": TO_APP, "second": {**SECOND, **TO_APP}}, []
    ),
    "two channels with providers of their own": (
        {}, {"shop": TO_APP, "second": {**SECOND, **TO_APP, "provider": "second"}}, []
    ),
    "two types of one provider": (
        {}, {"chat": TO_APP, "second": {**SECOND, **TO_APP, "provider": "webchat"}}, ["destinations.app.channel"]
    ),
    "senders of Twilio on different channels": (
        {}, {"sms": {**TWILIO, **TO_APP}, "wa": {**TWILIO, **TO_APP, "address": "whatsapp:+15551239999"}}, []
    ),
    "two senders of Twilio on one channel": (
        {}, {"sms": {**TWILIO, **TO_APP}, "more": {**TWILIO, **TO_APP, "address": "+15551239998"}},
        ["destinations.app.channel"],
    ),
    "a sender of Twilio and a shop that calls itself one": (
        {}, {"sms": {**TWILIO, **TO_APP}, "second": {**SECOND, **TO_APP, "provider": "sms"}},
        ["destinations.app.channel"],
    ),
    "two services of Twilio": (
        {}, {name: {**SERVICE, "messaging_service_sid": f"MG{n * 32}"} for name, n in (("sms", "1"), ("more", "2"))},
        ["destinations.app.channel"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "channels", "keys"), SHARED.values(), ids=SHARED)
def test_it_must_be_clear_on_which_channel_an_application_writes(
    changes: dict[str, Any], channels: dict[str, dict[str, Any]], keys: list[str]
) -> None:
    made = {f"channels__{name}": value for name, value in channels.items()}
    assert keys == problems(tables(destinations__app={**TWIML, **changes}, **made))


def test_the_rules_for_applications_say_what_they_mean() -> None:
    made = {"destinations__app": {**TWIML, "callback_url": "https://an_app.test/"}, "destinations__other": TWIML}
    with pytest.raises(ConfigError) as raised:
        check(tables(**made, channels__shop=TO_APP, channels__second={**SECOND, **TO_APP}), {})
    assert {
        "destinations.app.callback_url": "Must be an absolute http or https URL without credentials, with a valid host "
        "name, which has no _ in it.",
        "destinations.other.address": "The destination app has the same one.",
        "destinations.app.channel": "Required, because channels of one provider share this destination: shop, second.",
    } == dict(raised.value.problems)


def test_an_applications_addresses_are_trusted_and_its_tokens_secret() -> None:
    urls = {f"{name}_url": f"https://{name.replace('_', '-')}.example.test/" for name in ("callback", "fallback")}
    settings = check(tables(destinations__app={**TWIML, **urls}), {})
    assert {*urls.values()} <= settings.hosts
    assert "twilio-token-0001" in settings.secrets


UNDERSCORES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "in the host": ("https://the_gate.example.test", {}, ["channels.sms.status_callback"]),
    "in the host, without callbacks": ("https://the_gate.example.test", {"status_callback": False}, []),
    "in the path": ("https://gate.example.test/the_gate", {}, []),
}


@pytest.mark.parametrize(("public_url", "changes", "keys"), UNDERSCORES.values(), ids=UNDERSCORES)
def test_twilio_calls_no_host_with_an_underscore(public_url: str, changes: dict[str, Any], keys: list[str]) -> None:
    assert keys == problems(tables(channels__sms={**TWILIO, **changes}, gateway={"public_url": public_url}))


def test_a_channel_knows_where_its_webhooks_reach_us() -> None:
    settings = check(tables(channels__sms=TWILIO, gateway={"public_url": "https://gate.test/in/"}), {})
    assert "https://gate.test/in/channels/sms" == settings.channels["sms"].values["callback"]
    assert "twilio-token-0001" in settings.secrets


def test_recordings_go_to_a_trusted_host_with_a_token_that_is_secret() -> None:
    bot = {
        "record_calls": True,
        "recordings_url": "http://proxy.test:8080",
        "recordings_account_sid": ACCOUNT,
        "recordings_auth_token": "twilio-token-0001",
        "recording_status_callback": "https://crm.example.test/recorded",
    }
    settings = check(tables(destinations__helper=bot), {})
    assert "http://proxy.test:8080" in settings.hosts
    assert "https://crm.example.test/recorded" not in settings.hosts  # Twilio calls it, not we
    assert "twilio-token-0001" in settings.secrets


# --- values from elsewhere ---


def test_values_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token-from-a-file\r\n")
    raw = tables(
        destinations__helper={"auth_token": "env:BOT_TOKEN"}, destinations__desk={"api_token": f"file:{token}"}
    )
    values = check(raw, ENVIRON).destinations
    assert values["helper"].values["auth_token"] == "token-from-outside"
    assert values["desk"].values["api_token"] == "token-from-a-file"


def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe")
    assert problems(tables(destinations__desk={"api_token": f"file:{token}"})) == ["destinations.desk.api_token"]


def test_the_environment_overrides_the_gateways_urls() -> None:
    environ = {
        "PATCHBAY_PUBLIC_URL": "https://other.example.test/",
        "PATCHBAY_REDIS_URL": "rediss://other:6380/1",
        "PATCHBAY_BROKER_URL": "amqps://broker//",
    }
    gateway = check(tables(), environ).gateway
    assert (
        gateway["public_url"],
        gateway["redis_url"],
        gateway["broker_url"],
    ) == ("https://other.example.test", "rediss://other:6380/1", "amqps://broker//")


BROKERS = {
    "the store's by default": ({"redis_url": "redis://r:1/2"}, "redis://r:1/2"),
    "another Redis": ({"broker_url": "rediss://b:1/2"}, "rediss://b:1/2"),
    "RabbitMQ": ({"broker_url": "amqp://b/v"}, "amqp://b/v"),
    "sentinels": ({"broker_url": "sentinel://a:1,b:1/mymaster"}, "sentinel://a:1,b:1/mymaster"),
    "sentinels as kombu writes them": (
        {"broker_url": "sentinel://a:1;sentinel://b:1/0?master_name=mymaster"},
        "sentinel://a:1;sentinel://b:1/0?master_name=mymaster",
    ),
    "those of the store": ({"redis_url": "redis+sentinel://a:1/mymaster"}, "redis+sentinel://a:1/mymaster"),
    "a Unix socket": (
        {"redis_url": "unix:///r.sock", "broker_url": "redis+socket:///r.sock"},
        "redis+socket:///r.sock",
    ),
}


@pytest.mark.parametrize("key", ["redis_url", "broker_url"])
def test_sentinels_need_the_masters_name_and_it_says_so(key: str) -> None:
    scheme = "sentinel" if key == "broker_url" else "redis+sentinel"
    with pytest.raises(ConfigError) as raised:
        check(tables(gateway={key: f"{scheme}://a:26379,b:26379/0"}), {})
    assert [(f"gateway.{key}", NO_NAME)] == raised.value.problems


@pytest.mark.parametrize(("gateway", "broker_url"), BROKERS.values(), ids=BROKERS)
def test_the_broker(gateway: dict[str, str], broker_url: str) -> None:
    assert broker_url == check(tables(gateway=gateway), {}).gateway["broker_url"]


# --- files ---


def write(tmp_path: Path, text: bytes) -> Path:
    path = tmp_path / "patchbay.toml"
    path.write_bytes(text)
    return path


FILE = f"""
[gateway]
public_url = "http://127.0.0.1:8000/"

[channels.shop]
type = "webhook"
secrets = ["{SECRET}"]
send_url = "https://shop.example.test/größe"
destination = "helper"

[destinations.helper]
type = "autopilot"
account_sid = "{ACCOUNT}"
auth_token = "env:BOT_TOKEN"
assistant_sid = "UA{"2" * 32}"
"""


def test_a_file_becomes_settings_and_adapters(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FILE.encode()), ENVIRON)
    assert settings.gateway["public_url"] == "http://127.0.0.1:8000"
    assert Route("helper", None) == settings.route("shop")
    assert frozenset({"https://shop.example.test/größe"}) == settings.hosts
    assert build_channel(settings.channels["shop"]).name == "shop"
    assert build_destination(settings.destinations["helper"]).name == "helper"


BROKEN = {
    "no TOML": b"[gateway\npublic_url = ",
    "twice the same key": b"[gateway]\na = 1\na = 2",
    "not UTF-8": b'[gateway]\npublic_url = "\xff"',
    "nested without end": b"a = " + b"[" * 10_000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_read_is_one_problem(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"patchbay\.toml is not TOML"):
        load(write(tmp_path, text), {})


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nowhere.toml", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_sessions_may_be_kept_for_just_as_long_as_they_last() -> None:
    tight = tables(gateway={"session_keep": 3_600}, destinations__helper={"session_timeout": 3_600})
    check(with_(tight, "destinations.desk.session_timeout", 60.5), {})
    with pytest.raises(ConfigError) as raised:
        check(with_(tight, "destinations.desk.session_timeout", 3_600.5), {})
    ((key, rule),) = raised.value.problems
    assert "gateway.session_keep" == key
    assert rule.startswith("Must be at least 3601, the session_timeout of destinations.desk.")


def test_people_have_no_bursts_and_hear_why() -> None:
    check(with_(tables(), "destinations.desk.burst", 0), {})
    assert 2.5 == check(with_(tables(), "destinations.helper.burst", 2.5), {}).destinations["helper"].values["burst"]
    with pytest.raises(ConfigError, match="Must be 0 or left out: each message is brought there by itself"):
        check(with_(tables(), "destinations.desk.burst", 2.5), {})


def test_a_question_that_waits_for_more_does_not_expire_of_that() -> None:
    bursts = tables(destinations__helper={"burst": 1.0})
    for allowed in (0, 30.5, 3600):
        check(with_(bursts, "destinations.helper.expire_after", allowed), {})
    check(with_(tables(), "destinations.helper.expire_after", 5), {})
    with pytest.raises(ConfigError, match=r"destinations\.helper\.expire_after: Must be 0 or more than 30"):
        check(with_(bursts, "destinations.helper.expire_after", 30), {})


def test_a_chats_secret_that_is_too_short_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError) as raised:
        check(with_(tables(), "channels.chat.secrets", ["chat-secret-0001"]), {})
    assert "openssl rand -hex 32" in str(raised.value)
    check(with_(tables(), "channels.chat.secrets", ["x" * 32, "y" * 64]), {})


# --- secrets ---

OTHER = "whsec_" + base64.b64encode(b"another-secret-of-32-bytes-long!").decode()


def everything_secret() -> Settings:
    raw = tables(
        channels__shop={"secrets": [SECRET, OTHER]},
        channels__chat={"secrets": ["chat-secret-0001-32-characters-x", "chat-secret-0002-32-characters-x"]},
        gateway={
            "redis_url": "redis://user:redis%2Fpassword@127.0.0.1:6379/0",
            "broker_url": "sentinel://:first-sentinel@a:1;sentinel://:second-sentinel@b:1/mymaster"
            "?password=in-the-query&sentinel_password=sentinels-own",
            "api_tokens": ["api-token-0001", "api-token-0002"],
            "egress": {"proxy": "http://patchbay:proxy%2Fpassword@proxy.example.test:3128"},
        },
    )
    return check(raw, {})


def test_the_set_of_secrets_is_complete() -> None:
    assert {
        SECRET,
        OTHER,
        "chat-secret-0001-32-characters-x",
        "chat-secret-0002-32-characters-x",
        "bot-token-0001",
        "desk-token-0001",
        "redis%2Fpassword",
        "redis/password",
        "first-sentinel",
        "second-sentinel",
        "in-the-query",
        "sentinels-own",
        "proxy%2Fpassword",
        "proxy/password",
        "api-token-0001",
        "api-token-0002",
    } == everything_secret().secrets


def test_settings_and_adapters_do_not_show_their_secrets() -> None:
    settings = everything_secret()
    adapters = [build_channel(p) for p in settings.channels.values()]
    shown = repr([settings, *settings.channels.values(), *settings.destinations.values(), *adapters])
    assert [secret for secret in settings.secrets if secret in shown] == []


def test_no_problem_shows_the_value_of_a_secret() -> None:
    """Each secret spoiled, and everything else that can go wrong beside it."""
    secrets = {"channels.shop.secrets": ["secret-1\n"], "channels.chat.secrets": ["secret-2\u00e9"]} | {
        "destinations.helper.auth_token": "secret-3\t",
        "destinations.desk.api_token": "secret-4 ",
        "gateway.redis_url": "http://:secret-5@host",
        "gateway.broker_url": "http://:secret-6@host",
    }
    raw = tables()
    for at, value in secrets.items():
        raw = with_(raw, at, value)
    with pytest.raises(ConfigError) as raised:
        check(raw, {})
    assert len(secrets) == len(raised.value.problems)
    assert "secret-" not in str(raised.value)
    assert "secret-" not in repr(raised.value.problems)
    for at, value in (("api_tokens", ["secret-7\n"]), ("egress", {"proxy": "ftp://:secret-8@host:1"})):
        with pytest.raises(ConfigError) as raised:
            check(with_(tables(), f"gateway.{at}", value), {})
        assert "secret-" not in str(raised.value)


# --- anything ---

wrong = json_values | st.sampled_from(["env:NOT_SET", "file:/not/there", "file:\0", "redis://[", 10**30, "helper"])


@THOROUGH
@given(st.sampled_from(places({**tables(), "costs": COSTS})), wrong)
def test_wrong_types_anywhere_are_problems_and_never_a_crash(at: tuple[Any, ...], value: Any) -> None:
    raw = replaced({**tables(), "costs": COSTS}, at, value)
    if isinstance(raw, dict):
        assert isinstance(problems(raw), list)


@THOROUGH
@given(st.dictionaries(st.sampled_from(["gateway", "channels", "destinations", "costs", "x"]), json_values))
def test_any_tables_are_problems_and_never_a_crash(raw: dict[str, Any]) -> None:
    assert problems(raw)
