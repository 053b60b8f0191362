"""Made-up values for property tests: contents, messages, any JSON, and valid JSON with one thing spoiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.core.message import ATTACHMENT_KINDS, Attachment, Card, Image, Location, Message, Profile, QuickReply, Text
from tests.support.examples import examples

QUICK = settings(deadline=None, max_examples=examples(100))
THOROUGH = settings(deadline=None, max_examples=examples(300))

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
some_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
maybe_words = st.none() | words
urls = st.sampled_from(["https://cdn.example.test/a.png", "http://files.example.test:8080/b?c=d&e=ü"])
degrees = st.floats(allow_nan=False, allow_infinity=False)

texts = st.builds(Text, some_words)
attachments = st.builds(Attachment, st.sampled_from(ATTACHMENT_KINDS), urls, maybe_words, maybe_words, maybe_words)
locations = st.builds(Location, st.floats(-90, 90), st.floats(-180, 180), maybe_words)
quick_replies = st.builds(QuickReply, some_words, st.lists(some_words, min_size=1, max_size=10).map(tuple))
images = st.builds(Image, urls, maybe_words)
cards = st.builds(Card, some_words, st.lists(images, max_size=4).map(tuple)) | st.builds(
    Card, words, st.lists(images, min_size=1, max_size=4).map(tuple)
)
contents = texts | attachments | locations | quick_replies | cards

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | degrees | words
json_values: SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)
json_objects = st.dictionaries(words, json_values, max_size=4)

profiles = st.builds(Profile, *[maybe_words] * 6)
messages = st.builds(
    Message,
    id=some_words,
    direction=st.sampled_from(["inbound", "outbound"]),
    channel=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True),
    customer=st.builds("{}:{}".format, st.sampled_from(["webhook", "webchat"]), words),
    content=contents,
    author=st.sampled_from(["customer", "bot", "agent", "system"]),
    source=some_words,
    at=st.integers(0, 2**53),
    external_id=maybe_words,
    profile=st.none() | profiles,
    metadata=json_objects,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside of a JSON value."""
    found = [at]
    if isinstance(value, Mapping):
        for name, inner in value.items():
            found += places(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += places(inner, (*at, number))
    return found


def replaced(value: Any, at: Sequence[Any], new: Any) -> Any:
    """A copy with another value at that path."""
    if not at:
        return new
    copy = deepcopy(value)
    inner = copy
    for part in at[:-1]:
        inner = inner[part]
    inner[at[-1]] = new
    return copy


def spoiled(valid: Sequence[Any]) -> SearchStrategy[Any]:
    """One of the valid values with some JSON in one place; or any JSON at all."""

    def spoil(value: Any) -> SearchStrategy[Any]:
        return st.builds(replaced, st.just(value), st.sampled_from(places(value)), json_values)

    return st.sampled_from(valid).flatmap(spoil) | json_values


def _as_others_write(value: Any) -> bytes:
    """JSON with what Python's own library lets through: NaN, halves of surrogate pairs."""
    return json.dumps(value).encode()


def _scratched(body: bytes, at: int, scratch: bytes, over: int) -> bytes:
    """The body with some bytes in place of `over` others."""
    at %= len(body) + 1
    return body[:at] + scratch + body[at + over :]


ODD_TEXTS = [
    "\ud83d",
    "\ude00x",
    "\0",
    "\ufeff",
    "\x1b[2J",
    "é" * 300,
    "NaN",
    "\r\n",
    "\U0001f468\u200d\U0001f469" * 99,
]
ODD_NUMBERS = [float("nan"), float("inf"), 1e308, 2**53, 2**64, 10**30, -1, True]
SCRATCHES = [
    b"\xff",
    b"\xed\xa0\xbd",
    b"\\ud83d",
    b"\\u0000",
    b"\0",
    b"NaN",
    b"1e999",
    b"[" * 2_000,
    b"9" * 5_000,
    b"%ED%A0",
]
MARKS = [b"", b"\xef\xbb\xbf", b"\xff\xfe"]


def odd_bodies(valid: Sequence[Any]) -> SearchStrategy[bytes]:
    """What may come in place of these JSON values: one of them spoiled or scratched, or any bytes."""
    odd = st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS]) | json_values

    def spoil(value: Any) -> SearchStrategy[bytes]:
        new = st.builds(replaced, st.just(value), st.sampled_from(places(value)), odd)
        return new.map(_as_others_write)

    bodies = st.sampled_from(valid).flatmap(spoil)
    scratches = st.sampled_from(SCRATCHES) | st.binary(max_size=4)
    scratched = st.builds(_scratched, bodies, st.integers(0, 2_000), scratches, st.integers(0, 3))
    return st.binary(max_size=60) | bodies | scratched | st.builds(bytes.__add__, st.sampled_from(MARKS), bodies)
