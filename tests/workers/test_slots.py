"""The threads of a worker are shared between its lanes."""

from __future__ import annotations

import pytest

from workers.slots import Slots


def taken(slots: Slots, *lanes: str) -> dict[str, int]:
    """What each gets, if all want as many as they can get."""
    got = dict.fromkeys(lanes, 0)
    while any(more := [lane for lane in lanes if slots.take(lane)]):
        for lane in more:
            got[lane] += 1
    return got


@pytest.mark.parametrize("threads", [1, 2, 4, 64, 256])
def test_a_lane_alone_may_use_most_of_them(threads: int) -> None:
    assert taken(Slots(threads), "one")["one"] >= threads * 2 // 3


def test_twenty_slow_lanes_leave_threads_for_a_quick_one() -> None:
    slots = Slots(256, lambda lane: 0.05 if lane == "quick" else 9.0)
    slow = taken(slots, *(f"slow {number}" for number in range(20)))
    assert max(slow.values()) - min(slow.values()) <= 1
    assert taken(slots, "quick")["quick"] >= 16


def test_who_has_more_than_their_share_gives_it_back() -> None:
    slots = Slots(256)
    taken(slots, "flood")
    assert slots.keeps("flood")
    taken(slots, "other")
    assert not slots.keeps("flood")
