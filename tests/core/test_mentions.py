"""Whose webhook it is: told by whole values, wherever they stand."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.mentions import mentions, names_in

NAMES = frozenset({"webchat:ann", "ann", "whatsapp:+15551230001", "12345", "CH77", "webchat:é"})


def webhook(body: str = "", **parts: Any) -> dict[str, Any]:
    kept = {"method": "POST", "url": "https://gw/channels/shop", "path": "", "headers": {}}
    return {**kept, "body": body.encode().decode("latin-1"), **parts}


THEIRS: dict[str, dict[str, Any]] = {
    "a value of JSON": webhook('{"data": {"from": [{"id": "webchat:ann"}]}}'),
    "a number of JSON": webhook('{"chat": {"id": 12345}}'),
    "a value of a form": webhook("Body=hello&From=whatsapp%3A%2B15551230001"),
    "JSON in a form": webhook("Attributes=%7B%22who%22%3A%22ann%22%7D&Sid=1"),
    "JSON in JSON": webhook('{"attributes": "{\\"chat\\": \\"CH77\\"}"}'),
    "beyond ASCII": webhook('{"from": "webchat:é"}'),
    "a query": webhook(url="https://gw/destinations/desk?thread=CH77"),
    "a part of the path": webhook(path="/Chats/CH77/end"),
    "an escaped part of the path": webhook(url="https://gw/c/whatsapp%3A%2B15551230001"),
    "a header": webhook(headers={"x-customer": "webchat:ann"}),
    "a word of something else": webhook("<from>webchat:ann</from>"),
    "an attribute": webhook('<message from="webchat:ann">'),
    "JSON that looks like a form": webhook('{"from": "ann", "text": "a=1&b=2"}'),
    "a word of JSON that is torn": webhook('{"from": "webchat:ann", "te'),
}
OTHERS: dict[str, dict[str, Any]] = {
    "a longer name": webhook('{"from": "webchat:annabel"}'),
    "a part of a text": webhook('{"from": "webchat:ben", "text": "ann is 12345 days old"}'),
    "a part of a form's text": webhook("From=webchat%3Aben&Body=webchat%3Aann+is+late"),
    "a name of a field": webhook('{"ann": 1}'),
    "a longer number": webhook('{"id": 123456}'),
    "a longer word of something else": webhook("<from>webchat:annabel</from>"),
    "nothing": {},
    "odd parts": {"url": "x", "path": None, "headers": [], "body": 5},
    "too deep": webhook("[" * 5_000),
}


@pytest.mark.parametrize("kept", THEIRS.values(), ids=THEIRS)
def test_a_webhook_is_theirs(kept: dict[str, Any]) -> None:
    assert mentions(kept, NAMES)


@pytest.mark.parametrize("kept", OTHERS.values(), ids=OTHERS)
def test_a_webhook_is_anothers(kept: dict[str, Any]) -> None:
    assert not mentions(kept, NAMES)


@pytest.mark.parametrize(
    ("text", "theirs"), [('x 1 {"from":"webchat:ann","te', True), ('x 1 {"from":"webchat:annabel"', False), ("", False)]
)
def test_a_text_of_which_nothing_is_known_is_taken_apart_into_words(text: str, *, theirs: bool) -> None:
    assert names_in(text, NAMES) is theirs


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(value=VALUES, name=st.text(min_size=1), at=st.sampled_from(["list", "field", "written"]))
def test_a_name_is_found_wherever_it_stands(value: Any, name: str, at: str) -> None:
    placed = {
        "list": [value, name],
        "field": {"a": value, "b": {"c": name}},
        "written": {"a": orjson.dumps([name]).decode()},
    }
    assert mentions(webhook(orjson.dumps(placed[at]).decode()), {name})


@given(body=st.text(), headers=st.dictionaries(st.text(), st.text()), path=st.text(), url=st.text())
def test_whatever_was_kept_is_looked_through(body: str, headers: dict[str, str], path: str, url: str) -> None:
    assert not mentions({**webhook(), "headers": headers, "path": path, "url": url, "body": body}, {"\0nobody\0"})
