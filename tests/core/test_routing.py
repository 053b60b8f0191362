"""Who gets a customer's message."""

from __future__ import annotations

import pytest

from app.core.routing import Route, current, fresh, handed_over, silent
from app.core.session import Session

ROUTE = Route("helper", "desk")
TIMEOUTS = {"helper": 60.0, "desk": 600.0}
NOW = 1_800_000_000_000
NEW = Session("helper", last_at=NOW)


def held(destination: str = "desk", seconds_ago: float = 1.0, version: int = 3) -> Session:
    return Session(destination, "human", {"chat": "c1"}, {"plate": "x"}, "m-1", NOW - int(seconds_ago * 1000), version)


CURRENT = {
    "nobody yet": (None, NEW),
    "held by people": (held(), held()),
    "silent for just as long as allowed": (held(seconds_ago=600), held(seconds_ago=600)),
    "silent for too long": (
        held(seconds_ago=600.001),
        Session("helper", last_at=NOW, version=3),
    ),
    "each destination has its own patience": (
        held("helper", seconds_ago=61),
        Session("helper", last_at=NOW, version=3),
    ),
    "its destination is gone": (held("gone"), Session("helper", last_at=NOW, version=3)),
}


@pytest.mark.parametrize(("stored", "expected"), CURRENT.values(), ids=CURRENT)
def test_the_session_decides_when_the_message_is_worked(stored: Session | None, expected: Session) -> None:
    assert expected == current(stored, ROUTE, TIMEOUTS, NOW)


SILENT = {"just as long as allowed": (600.0, False), "a moment longer": (600.001, True), "not at all": (0.0, False)}


@pytest.mark.parametrize(("seconds", "expected"), SILENT.values(), ids=SILENT)
def test_silence_is_longer_than_the_destination_waits(seconds: float, expected: bool) -> None:
    assert expected is silent(held(seconds_ago=seconds), TIMEOUTS, NOW)


def test_a_new_session_keeps_the_count_of_hands() -> None:
    assert Session("helper", last_at=NOW, version=3) == fresh(held(), ROUTE, NOW)


def test_a_handoff_moves_the_session_to_people_with_what_the_bot_knew() -> None:
    session = Session("helper", "bot", {"dialogue": "d1"}, {}, "m-1", NOW - 5, 2)
    expected = Session("desk", "human", {}, {"plate": "M-PB 1"}, "m-1", NOW, 2)
    assert expected == handed_over(session, ROUTE, {"plate": "M-PB 1"}, NOW)


NOBODY = {"no handoff configured": Route("helper"), "already there": Route("desk", "helper")}


@pytest.mark.parametrize("route", NOBODY.values(), ids=NOBODY)
def test_a_handoff_to_nobody_is_none(route: Route) -> None:
    assert handed_over(Session("helper"), route, {}, NOW) is None
