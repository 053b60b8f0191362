"""Sessions in the store's form and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.core.session import Session, from_fields, to_fields
from tests.support.values import QUICK, json_objects, some_words

sessions = st.builds(
    Session,
    destination=some_words,
    mode=st.sampled_from(["bot", "human"]),
    handles=json_objects,
    context=json_objects,
    since=some_words,
    last_at=st.integers(0, 2**53),
    version=st.integers(0, 2**31),
    refused=st.integers(0, 2),
    late=some_words,
)


@QUICK
@given(sessions)
def test_a_session_survives_its_fields_and_the_store_counts_its_version(session: Session) -> None:
    fields = to_fields(session)
    assert not {"version", "last_at"} & fields.keys()
    assert replace(session, version=0, last_at=0) == from_fields(fields)
    theirs = {"version": str(session.version), "last_at": str(session.last_at)}
    assert session == from_fields({**fields, **theirs})


MISSING = {
    "nothing": ({}, None),
    "no destination": ({"mode": "human", "since": "5"}, None),
    "only a destination": ({"destination": "helper"}, Session("helper")),
    "an unknown mode": ({"destination": "helper", "mode": "robot"}, Session("helper")),
}


@pytest.mark.parametrize(("fields", "expected"), MISSING.values(), ids=MISSING)
def test_missing_fields_have_defaults(fields: dict[str, str], expected: Session | None) -> None:
    assert expected == from_fields(fields)


THREADS: dict[str, tuple[dict[str, object], str]] = {
    "nothing open": ({}, ""),
    "a dialogue": ({"dialogue": "UK1"}, ""),
    "a thread": ({"chat": "CH1", "ready": True}, "CH1"),
}


@pytest.mark.parametrize(("handles", "thread"), THREADS.values(), ids=THREADS)
def test_a_session_knows_its_thread(handles: dict[str, object], thread: str) -> None:
    assert thread == Session("desk", handles=handles).thread
