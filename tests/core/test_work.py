"""Items: one table of how each stands in its mailbox, which running systems hold; and what outcomes cannot be."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.work import (
    TAGS,
    AskPrice,
    Claim,
    Close,
    Dead,
    Deliver,
    Done,
    End,
    Handoff,
    Item,
    LostHandoff,
    Poll,
    Record,
    Report,
    Reroute,
    Retry,
    TellEnd,
    Typing,
    Unknown,
    item_of,
    item_text,
)
from tests.support.values import QUICK, json_objects, words

ID = "0f" * 16
STORED: dict[str, tuple[str, Item]] = {
    "a message": (f"message {ID}", Deliver(ID)),
    "a handoff": ("handoff", Handoff()),
    "a handoff that was a dead letter": ("handoff again", Handoff(again=True)),
    "a handoff that was given up": ("lost handoff", LostHandoff()),
    "a poll": ("check", Poll()),
    "an end by the customer": ("ended", End("customer")),
    "an end for silence": ("ended silence", End("silence")),
    "an end by the platform": ("ended platform", End("platform")),
    "an end of a thread": ("ended platform CH1", End("platform", "CH1")),
    "an end of a thread of several words": ("ended platform CH 1", End("platform", "CH 1")),
    "an end to be told": (f"ended {ID}", TellEnd(ID)),
    "typing": ("typing @1767225600000", Typing(1_767_225_600_000)),
    "a report": (f"status {ID} delivered", Report(ID, "delivered")),
    "a closing": ('close dead_end {"chat":"CH1","n":[1,null]}', Close("dead_end", {"chat": "CH1", "n": [1, None]})),
    "a recording": ("record CA1", Record("CA1")),
    "a price": (f"price {ID}", AskPrice(ID)),
}
UNKNOWN = [
    "",
    "dance",
    "message",
    "handoff once",
    "ended platform ",
    "typing",
    "typing @soon",
    "status x",
    f"status {ID} exploded",
    "close it",
    "close x [1]",
]


@pytest.mark.parametrize(("text", "item"), STORED.values(), ids=STORED)
def test_items_stand_in_their_mailboxes_as_they_ever_did(text: str, item: Item) -> None:
    assert (text, item) == (item_text(item), item_of(text))


def test_every_kind_is_in_the_table() -> None:
    kinds = set(get_args(Item)) - {Unknown}
    assert kinds == set(TAGS) == {type(item) for _, item in STORED.values()}


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_another_version_wrote_is_left_as_it_is(text: str) -> None:
    assert item_of(text) == Unknown(text)


beginnings = st.sampled_from(["", *(f"{tag} " for tag in TAGS.values()), "ended platform ", "close customer {"])


@QUICK
@given(st.builds(str.__add__, beginnings, st.text()))
def test_whatever_is_read_is_written_again_as_it_was(text: str) -> None:
    assert item_text(item_of(text)) == text


@QUICK
@given(st.builds(Close, st.sampled_from(["customer", "dead_end"]), json_objects) | st.builds(Record, words))
def test_what_is_written_is_read_again(item: Item) -> None:
    assert item_of(item_text(item)) in (item, Unknown(item_text(item)))
    assert item_text(item_of(item_text(item))) == item_text(item)


CLAIM = Claim("mailbox", "owner", Poll(), "shop/webhook:ada", 0)
NONSENSE = {
    "a retry with replies": lambda: Retry(CLAIM, append=()),
    "a retry of something else": lambda: Retry(CLAIM, to="inbound:desk"),
    "done and due": lambda: Done(CLAIM, due=1.0),
    "dead without a reason": lambda: Dead(CLAIM),
    "dead and paid for": lambda: Dead(CLAIM, reason="rejected", cost=None),
    "rerouted to nowhere": lambda: Reroute(CLAIM),
}


@pytest.mark.parametrize("made", NONSENSE.values(), ids=NONSENSE)
def test_an_outcome_cannot_hold_what_it_does_not_have(made: object) -> None:
    with pytest.raises(TypeError):
        made()  # type: ignore[operator]  # as listed
