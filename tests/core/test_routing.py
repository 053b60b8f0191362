"""Who gets a customer's message."""

from __future__ import annotations

import pytest

from app.core import errors
from app.core.errors import Kind
from app.core.routing import Route, after_death, current, fresh, handed_over, silent
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
    session = Session("helper", "bot", {"dialogue": "d1"}, {}, "m-1", NOW - 5, 2, refused=1)
    expected = Session("desk", "human", {}, {"plate": "M-PB 1"}, "m-1", NOW, 2)
    assert expected == handed_over(session, ROUTE, {"plate": "M-PB 1"}, NOW)


NOBODY = {"no handoff configured": Route("helper"), "already there": Route("desk", "helper")}


@pytest.mark.parametrize("route", NOBODY.values(), ids=NOBODY)
def test_a_handoff_to_nobody_is_none(route: Route) -> None:
    assert handed_over(Session("helper"), route, {}, NOW) is None


def at(destination: str, refused: int = 0, **handles: str) -> Session:
    return Session(destination, "human", handles, {"plate": "x"}, "m-1", NOW - 5, 3, refused)


BACK = Session("helper", "bot", {}, {"plate": "x"}, "m-1", NOW, 3)  # with what people would need to know
AFTER_DEATH: dict[str, tuple[Session, bool, Kind, Session | None]] = {
    "a handoff that is refused": (at("desk"), True, errors.REJECTED, BACK),
    "a handoff that nobody took in time": (at("desk"), True, errors.UNAVAILABLE, BACK),
    "a handoff to who left the configuration": (at("gone"), True, errors.MISCONFIGURED, BACK),
    "a handoff that was led back before": (at("helper", dialogue="d1"), True, errors.MISCONFIGURED, None),
    "a thread that is gone": (at("desk", chat="c1"), False, errors.GONE, BACK),
    "an address that is gone": (at("desk", contact="c1"), False, errors.MISCONFIGURED, BACK),
    "a platform that did not come back": (at("desk", chat="c1"), False, errors.UNAVAILABLE, BACK),
    "a message that is refused": (at("desk"), False, errors.REJECTED, at("desk", 1)),
    "a second one in a row": (at("desk", 1), False, errors.REJECTED, BACK),
    "messages that an open chat refuses": (at("desk", 1, chat="c1"), False, errors.REJECTED, None),
    "what nobody there can carry": (at("desk", 1), False, errors.UNSUPPORTED, None),
    "a bug of ours": (at("desk"), False, errors.UNEXPECTED, at("desk", 1)),
    "a bot's dialogue that is gone": (at("helper", dialogue="d1"), False, errors.GONE, BACK),
    "a bot that refuses a dialogue": (at("helper", 1, dialogue="d1"), False, errors.REJECTED, BACK),
    "a bot that keeps nothing": (at("helper", 1), False, errors.GONE, None),
    "a bot that did not come back": (at("helper", dialogue="d1"), False, errors.TIMED_OUT, None),
}


@pytest.mark.parametrize(("session", "handoff", "kind", "expected"), AFTER_DEATH.values(), ids=AFTER_DEATH)
def test_a_dead_end_leads_back(session: Session, handoff: bool, kind: Kind, expected: Session | None) -> None:
    assert expected == after_death(session, ROUTE, kind, NOW, handoff=handoff)
