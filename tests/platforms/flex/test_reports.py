"""What becomes of the messages of people: they see what was read, and what could not be brought."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.core.events import StatusReport
from app.core.message import derived_id
from tests.platforms.flex.world import CH, MESSAGE, NONE, REPLY, Place


def test_what_the_customer_read_moves_their_horizon_and_never_back(place: Place) -> None:
    place.deliver()
    place.accept()
    for text in "abc":
        place.agent_says(text)
    assert place.horizon() is None
    for index, expected in ((0, 0), (0, 0), (2, 2), (1, 2), (2, 2), (3, 3), (0, 3)):
        place.report("read", index)
        assert expected == place.horizon()
    moved = [call for call in place.line.posts if "/Members/" in call or "/Participants/" in call]
    assert 3 == len(moved)


def test_a_failure_is_told_to_the_agent_once(place: Place) -> None:
    place.deliver()
    for uncertain in (False, True):
        place.report("failed", 0, "63016: too late", uncertain=uncertain)
    assert ("system", "The customer could not be reached: 63016: too late") == place.said()[-1]
    assert [MESSAGE.id, derived_id(REPLY.id, "failed")] == place.marks()
    assert place.poll(0).written == ()


def test_a_failure_without_a_reason_and_one_that_is_long(place: Place) -> None:
    place.deliver()
    place.report("failed")
    assert ("system", "The customer could not be reached: no reason was given") == place.said()[-1]
    place.kept.handles["chat"] = place.chat
    other = replace(REPLY, id="8" * 32, metadata={"chat": place.chat, "index": 0})
    place.desk.report(StatusReport(other, "failed", "x" * 3_000, 1, place.kept.handles), place.line)
    assert 1_600 == len(place.said()[-1][1] or "")
    last = replace(REPLY, id="7" * 32, metadata={"chat": place.chat, "index": 0})
    place.desk.report(StatusReport(last, "failed", "x" * 1_562 + "🇩🇪", 1, place.kept.handles), place.line)
    assert "The customer could not be reached: " + "x" * 1_562 == place.said()[-1][1]


SILENT: dict[str, dict[str, Any]] = {
    "sent": {"status": "sent"},
    "delivered": {"status": "delivered"},
    "read in another chat": {"status": "read", "chat": NONE},
    "failed in another chat": {"status": "failed", "chat": NONE},
    "failed after the session": {"status": "failed", "handles": {}},
    "read while a new chat is half open": {"status": "read", "handles": {"chat": CH}, "chat": CH},
    "read, but no number is known": {"status": "read", "index": None},
}


@pytest.mark.parametrize("report", SILENT.values(), ids=SILENT)
def test_no_call_is_made_for(report: dict[str, Any], place: Place) -> None:
    place.deliver()
    number = len(place.line.calls)
    place.report(**report)
    assert number == len(place.line.calls)


def test_a_report_for_a_chat_that_vanished_is_nobodys(place: Place) -> None:
    place.deliver()
    place.delete()
    place.report("read", 0)
    place.report("failed", 0)
    assert place.chats == []
