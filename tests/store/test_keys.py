"""The map of Redis: what the scripts touch, what the engine leaves behind and the page are as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace

from app.core.session import Session, to_fields
from app.store import Store
from app.store.key import Key
from app.store.keys import GROUPS, KEYS, PREFIX, key_of
from app.store.keys_page import as_markdown
from tests.store.steps import write
from tests.store.test_scripts import FILES
from tests.support.keymap import strays

ROOT = Path(__file__).parent.parent.parent
OF_CORE = {"destination", "mode", "handles", "context", "since", "refused", "late"}  # fields that Python flattens
GIVEN = {"mailbox", "item", "reason", "error", "webhook"}  # of a dead letter, from who keeps it
READING = {
    *("EXISTS", "GET", "MGET", "HGET", "HMGET", "HGETALL", "HKEYS", "HEXISTS", "HSTRLEN", "LINDEX", "LLEN", "LPOS"),
    *("LRANGE", "SMEMBERS", "TTL", "ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE", "ZSCORE"),
}
LATER_FIELDS = {"HDEL", "HMGET", "HSET"}  # commands with more fields than one
ONE_FIELD = {"HGET", "HINCRBY", "HEXISTS", "HSETNX", "HSTRLEN"}
KEY = r"P \.\. '([a-z]+(?::c)?):?'"


class Call:
    """One call of Redis in a script: `prefixes` are the kinds that its key may be of."""

    def __init__(self, command: str, prefixes: set[str], arguments: list[str]) -> None:
        self.command = command
        self.prefixes = prefixes
        self.arguments = arguments

    @property
    def fields(self) -> set[str]:
        """Those that it names as they are."""
        step = 2 if self.command == "HSET" else 1
        named = self.arguments[:1] if self.command in ONE_FIELD else self.arguments[::step]
        return {one.strip("'") for one in named if one.startswith("'")}


def calls(text: str) -> Iterator[Call]:
    variables = variables_of(text)
    flat = re.sub(r"\s+", " ", re.sub(r"--.*", "", text))
    for match in re.finditer(r"redis\.p?call\('([A-Z]+)', ", flat):
        key, *arguments = split(flat[match.end() :])
        every = [key, *arguments] if match[1] in ("DEL", "EXISTS", "MGET", "RENAME") else [key]
        found = {one for each in every for one in prefixes(each, variables)}
        yield Call(match[1], found, arguments)


def prefixes(expression: str, variables: dict[str, set[str]]) -> set[str]:
    return set(re.findall(KEY, expression)) or variables.get(expression.strip(), set())


def variables_of(text: str) -> dict[str, set[str]]:
    """The kinds of keys that a variable may stand for, wherever it is set; a function's `key`, wherever it is given."""
    found: dict[str, set[str]] = {}
    bare = re.sub(r"--.*", "", text)
    for names, values in re.findall(r"(?:^ *|then )(?:local )?([\w, ]+) =\s+(.*P \.\. .*)", bare, re.MULTILINE):
        for name, value in zip(names.split(","), split(values), strict=False):
            found.setdefault(name.strip(), set()).update(re.findall(KEY, value))
    for function in re.findall(r"function (\w+)\(key\b", bare):
        for given in re.findall(rf"{function}\(([^,]+),", bare):
            found.setdefault("key", set()).update(prefixes(given, found))
    return found


def split(text: str) -> list[str]:
    """At the commas that stand in no bracket and no string, up to the bracket that closes them."""
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == "'"
        depth += 0 if quoted else {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if depth < 0:
            break
        if letter == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


CALLS = {file.removeprefix("parts/"): list(calls(text)) for file, text in FILES.items()}
BY_PREFIX = {(key.prefix, bool(key.of)): key for key in KEYS}


def test_no_two_keys_have_a_name() -> None:
    for what in ("full", "pattern"):
        assert len({getattr(key, what) for key in KEYS}) == len(KEYS)


def test_every_key_that_a_script_names_is_on_the_map() -> None:
    named = {match for text in FILES.values() for match in re.findall(r"P \.\. '([^']*)'", text)}
    assert named <= {key.prefix + (":" if key.of else "") for key in KEYS}
    assert all(re.fullmatch(KEY, f"P .. '{one}'") for one in named)


@pytest.mark.parametrize("file", CALLS)
def test_a_script_touches_only_fields_that_are_on_the_map(file: str) -> None:
    for call in CALLS[file]:
        if call.command in LATER_FIELDS | ONE_FIELD:
            known = {f.name for key in KEYS if key.prefix in call.prefixes for f in key.fields}
            assert call.prefixes, (file, call.command, call.arguments)
            assert call.fields <= known or any(name.startswith("<") for name in known), (file, call.fields - known)


def test_every_field_on_the_map_is_one_that_is_written() -> None:
    written = {
        (prefix, field)
        for found in CALLS.values()
        for call in found
        for prefix in call.prefixes
        for field in call.fields
        if call.command in ("HSET", "HSETNX", "HINCRBY")
    }
    written |= {("s", name) for name in OF_CORE} | {("d", name) for name in GIVEN}
    for key in KEYS:
        if key.type == "hash":
            exact = {field.name for field in key.fields if not field.name.startswith("<")}
            assert exact <= {field for prefix, field in written if prefix == key.prefix}, key.prefix


def test_a_sessions_fields_are_those_of_core() -> None:
    assert set(to_fields(Session("bot"))) == OF_CORE


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.pattern)
def test_the_map_knows_which_scripts_write_a_key(key: Key) -> None:
    """Of one with members and one without (`letters:` and `letters`), the texts tell only both."""
    alike = [one for one in KEYS if one.prefix == key.prefix]
    writing = {
        file
        for file, found in CALLS.items()
        if any(call.command not in READING and key.prefix in call.prefixes for call in found)
    }
    assert {name for one in alike for name in one.writers if "." not in name} == writing


def test_the_page_shows_the_map() -> None:
    assert as_markdown().strip() in (ROOT / "docs" / "redis.md").read_text()


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("m:1", "message"),
        ("cost:20000", "costs of a day"),
        ("cost:c:shop/webchat:ann", "costs of a conversation"),
        ("letters", "bytes of dead letters"),
        ("letters:inbound:bot", "dead letters of a lane"),
        ("lanes", "lanes"),
        ("lanes:", None),
        ("lane", None),
        ("z:1", None),
    ],
)
def test_a_key_is_known_by_its_name(name: str, full: str | None) -> None:
    found = key_of(name)
    assert (found and found.full) == full


class TestStrays:
    """What the tests of the store look for when they end."""

    @pytest.fixture
    def held(self, store: Store, client: redis.Redis) -> redis.Redis:
        write(store, 1, live=True, show=True)
        assert strays(client) == []
        return client

    def test_a_key_that_is_not_on_the_map(self, held: redis.Redis) -> None:
        keys = [key for key in KEYS if key.full != "timeline"]
        assert [f"{PREFIX}t:shop/webchat:ann: is not on the map"] == strays(held, keys)

    def test_a_field_that_is_not_on_the_map(self, held: redis.Redis) -> None:
        keys = [replace(key, fields=key.fields[1:]) if key.full == "message" else key for key in KEYS]
        assert [f"{PREFIX}m:{1:032x}: has a field body that is not on the map"] == strays(held, keys)

    def test_a_field_of_a_stream_that_is_not_on_the_map(self, held: redis.Redis) -> None:
        keys = [replace(key, fields=key.fields[1:]) if key.full == "live stream" else key for key in KEYS]
        assert [f"{PREFIX}e:shop/webchat:ann: has a field kind that is not on the map"] == strays(held, keys)

    def test_a_key_of_another_type(self, held: redis.Redis) -> None:
        keys = [replace(key, type="set") if key.full == "timeline" else key for key in KEYS]
        assert [f"{PREFIX}t:shop/webchat:ann: is a list, not a set"] == strays(held, keys)

    def test_a_key_that_should_go_and_does_not(self, held: redis.Redis) -> None:
        held.persist(f"{PREFIX}t:shop/webchat:ann")
        assert [f"{PREFIX}t:shop/webchat:ann: stays for ever"] == strays(held)

    def test_a_key_that_should_stay_and_does_not(self, held: redis.Redis) -> None:
        held.expire(f"{PREFIX}m:{1:032x}", 100)
        assert [f"{PREFIX}m:{1:032x}: goes by itself"] == strays(held)
        held.persist(f"{PREFIX}m:{1:032x}")

    @pytest.fixture(autouse=True)
    def _mended(self, held: redis.Redis) -> Iterator[None]:
        yield
        held.flushall()


def test_every_group_has_keys() -> None:
    assert all(GROUPS.values())
