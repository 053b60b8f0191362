"""How Flex writes identities down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.platforms.flex.words import plain
from tests.platforms.flex.world import AGENT, CONVERSATION
from tests.support.values import THOROUGH

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@THOROUGH
@given(words, words)
def test_an_address_is_read_back_as_it_was_whether_escaped_or_not(provider: str, ident: str) -> None:
    address = f"{provider}:{ident}"
    # every special character of ASCII, the underscore first of all, as Twilio writes it
    escaped = "".join(f"_{ord(c):02X}" if c.isascii() and not c.isalnum() else c for c in address)
    assert address == plain(address) == plain(escaped)


PLAIN = {
    "an agent": (AGENT, "agent_kim"),
    "a conversation": ("shop_2Fwebchat_3Av81", CONVERSATION),
    "an address with what looks like an escape": ("webchat:a_3Ab", "webchat:a_3Ab"),
    "small letters are no escape": ("a_3ab", "a_3ab"),
    "system": ("system", "system"),
    "nobody": ("", ""),
}


@pytest.mark.parametrize(("identity", "expected"), PLAIN.values(), ids=PLAIN)
def test_an_identity_is_plain(identity: str, expected: str) -> None:
    assert expected == plain(identity)
