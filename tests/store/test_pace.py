"""The rule by which a lane finds its pace, tried against model platforms in simulated time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.lane import Seen
from tests.store.paces import Pace
from tests.support.lua import functions
from workers.meter import Meter

fall, look = functions("paces", "fall", "look")

START = {"pace": 4, "usual": 0, "top": 0, "top_until": 0, "before": 0, "slow": 0, "look_at": 0}
MINUTE = 60_000.0  # ms
WORKERS = 2


@dataclass
class Platform:
    """Takes `ms` for a call; so many at once (`places`): what comes beyond waits there, or is refused (`refuses`)."""

    ms: Callable[[], float] = lambda: 200.0
    places: int = 1_000_000
    refuses: bool = False
    free_at: list[float] = field(default_factory=list)  # of the places that are taken

    def call(self, now: float) -> tuple[float, bool]:
        """When it ends, and whether it was refused."""
        while self.free_at and self.free_at[0] <= now:
            heapq.heappop(self.free_at)
        if self.refuses and len(self.free_at) >= self.places:
            return now + 5, True
        begins = now
        if len(self.free_at) >= self.places:
            begins = heapq.nsmallest(len(self.free_at) - self.places + 1, self.free_at)[-1]
        ends = begins + self.ms()
        heapq.heappush(self.free_at, ends)
        return ends, False


@dataclass
class Lane:
    """A lane with more heads than can be worked, its pace, and what its workers see. `calls` are the ends of calls in
    flight, with the worker and the turn of each. `paces` is the pace over time."""

    platform: Platform
    cap: int = 400
    timeout: float = 10_000.0
    now: float = 0.0
    pace: dict[str, Any] = field(default_factory=lambda: dict(START))
    turn: int = 1
    rests_until: float = 0.0
    calls: list[tuple[float, int, int, float, str]] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    paces: list[tuple[float, int]] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.meters = [Meter(lambda: self.now / 1000) for _ in range(WORKERS)]

    def run(self, until: float) -> None:
        while self.now < until:
            self._fill()
            if not self.calls:
                self.now = self.rests_until
                continue
            self.now, worker, turn, began, fate = heapq.heappop(self.calls)
            self._settled(worker, turn, self.now - began, fate)

    def rate(self, since: float) -> float:
        """Calls a second."""
        return sum(one >= since for one in self.done) / (self.now - since) * 1000

    def share_refused(self, since: float = 0.0) -> float:
        refused = sum(one >= since for one in self.refused)
        return refused / (refused + sum(one >= since for one in self.done))

    def _fill(self) -> None:
        while self.now >= self.rests_until and len(self.calls) < self.pace["pace"]:
            ends, refused = self.platform.call(self.now)
            late = ends - self.now > self.timeout
            fate = "throttled" if refused else "timed_out" if late else ""
            self.made += 1
            heapq.heappush(
                self.calls, (min(ends, self.now + self.timeout), self.made % WORKERS, self.turn, self.now, fate)
            )

    def _settled(self, worker: int, turn: int, took: float, fate: str) -> None:
        meter, at_once = self.meters[worker], len(self.calls) + 1
        if fate == "throttled":
            self.refused.append(self.now)
            self.rests_until = max(self.rests_until, self.now + 1000)
        else:
            meter.note(turn, took / 1000, late=bool(fate))
        if fate and turn == self.turn and (fate == "throttled" or meter.seen.late >= 0.1):
            self._becomes(fall(self.pace, fate, at_once, self.now))
        elif not fate:
            self.done.append(self.now)
            seen = meter.seen
            enough = seen.turn == self.turn and seen.calls >= min(8, ceil(self.pace["pace"] / 2))
            if enough and self.now >= self.pace["look_at"] and at_once >= self.pace["pace"]:
                self._becomes(look(self.pace, seen.mean, seen.calls, self.now, self.cap))

    def _becomes(self, found: Any) -> None:
        found = found[0] if isinstance(found, tuple) else found
        self.turn += found["pace"] != self.pace["pace"]
        self.pace = found
        self.paces.append((self.now, found["pace"]))


def lane(seconds: float, platform: Platform) -> Lane:
    made = Lane(platform)
    made.run(seconds * 1000)
    return made


@pytest.fixture(params=[0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)])
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


def test_a_platform_that_takes_200_ms_gets_a_thousand_a_second_within_ten_seconds() -> None:
    found = lane(10, Platform())
    assert found.rate(since=8_000) >= 1_000


def test_a_platform_that_allows_20_at_once_is_asked_10_to_20_at_once_and_refuses_few() -> None:
    found = lane(120, Platform(places=20, refuses=True))
    lately = [pace for at, pace in found.paces if at > MINUTE]
    assert 10 <= min(lately)
    assert sum(pace <= 20 for pace in lately) / len(lately) > 0.9
    assert max(lately) <= 24
    assert found.share_refused() < 0.05
    assert found.rate(since=MINUTE) > 70, "of the hundred that it can do"


def test_what_only_waits_at_the_platform_is_not_sent_there(chance: random.Random) -> None:
    """A queue before 20 places, calls of any length."""
    found = lane(180, Platform(ms=lambda: chance.expovariate(1 / 200), places=20))
    lately = [pace for at, pace in found.paces if at > MINUTE]
    assert max(lately) <= 80
    assert found.rate(since=MINUTE) > 75


def test_calls_of_any_length_are_no_reason_to_be_slow(chance: random.Random) -> None:
    found = lane(60, Platform(ms=lambda: chance.expovariate(1 / 200)))
    assert found.rate(since=30_000) > 1_000


def test_a_platform_that_gets_slower_for_another_reason_is_asked_as_many_at_once_again() -> None:
    platform = Platform(places=200)
    found = Lane(platform)
    found.run(15_000)
    platform.ms = lambda: 1_000.0
    found.run(75_000)
    assert found.rate(since=55_000) > 125, "of the two hundred that it can do"


def test_a_few_calls_that_time_out_are_no_reason_to_be_slow(chance: random.Random) -> None:
    found = lane(30, Platform(ms=lambda: 20_000.0 if chance.random() < 0.01 else 200.0))
    assert found.rate(since=20_000) > 500


def test_a_platform_that_hangs_is_asked_fewer_at_once_and_as_many_again_when_it_recovers() -> None:
    platform = Platform()
    found = Lane(platform)
    found.run(10_000)
    before = found.pace["pace"]
    platform.ms = lambda: 60_000.0
    found.run(22_000)
    assert found.pace["pace"] < before
    platform.ms = lambda: 200.0
    found.run(50_000)
    assert found.rate(since=45_000) > 1_000


@pytest.mark.parametrize("why", ["throttled", "timed_out", "no thread", "sick"])
@pytest.mark.parametrize("at_once", [0, 1, 2, 50, 5_000])
def test_a_fall_leaves_at_least_one_and_never_more_than_there_were(why: str, at_once: int) -> None:
    found = fall({**START, "pace": 100}, why, at_once, 1_000)
    assert 1 <= found["pace"] <= max(1, min(100, at_once))
    assert found["pace"] <= found["top"] or why == "sick"


def test_it_never_exceeds_its_cap() -> None:
    assert look({**START, "pace": 30}, 200.0, 8, 1_000, 40)["pace"] == 40


LOOKS: dict[str, tuple[dict[str, float], tuple[float, int], int, str]] = {
    "calls take as long as usual": ({"pace": 16}, (200, 8), 32, ""),
    "they take a little longer, and too few to prove it": ({"pace": 16}, (350, 8), 16, ""),
    "they wait there": ({"pace": 100}, (1_000, 64), 50, "slower"),
    "they wait there a little": ({"pace": 100}, (380, 64), 50, "slower"),
    "less at once made them quicker": ({"pace": 50, "top": 50, "before": 100, "slow": 1_000}, (500, 64), 25, "slower"),
    "less at once made nothing quicker": ({"pace": 50, "top": 50, "before": 100, "slow": 1_000}, (990, 64), 100, ""),
    "it is known to be good up to there": ({"pace": 20, "top": 30}, (200, 8), 30, ""),
    "more was too much a moment ago": ({"pace": 30, "top": 30, "top_until": 2_000}, (200, 8), 30, ""),
    "more is tried after a while": ({"pace": 30, "top": 30}, (200, 8), 31, ""),
    "and then more than that": ({"pace": 34, "top": 30}, (200, 8), 38, ""),
}


@pytest.mark.parametrize(("before", "seen", "pace", "why"), LOOKS.values(), ids=LOOKS)
def test_what_a_look_makes_of_it(before: dict[str, float], seen: tuple[float, int], pace: int, why: str) -> None:
    found = look({**START, "usual": 200, **before}, *seen, 1_000, 4_096)
    found, said = found if isinstance(found, tuple) else (found, "")
    assert (found["pace"], said) == (pace, why)


times = st.integers(0, 200_000)
durations = st.floats(0.01, 60_000)
paces = st.builds(
    Pace,
    cap=st.integers(1, 4_096),
    pace=st.integers(1, 4_096),
    turn=st.just(7),
    usual=st.just(0.0) | durations,
    top=st.integers(0, 4_096),
    top_until=times,
    before=st.integers(0, 4_096),
    slow=durations,
)


@given(paces, durations, st.integers(1, 200), times)
def test_both_writings_of_the_rule_look_alike(pace: Pace, mean: float, calls: int, now: int) -> None:
    found = look(as_table(pace), mean, calls, now, pace.cap)
    found, said = found if isinstance(found, tuple) else (found, "")
    expected = pace.looked(Seen(7, calls, mean), now)
    assert found == pytest.approx(as_table(expected), abs=0.51)
    assert (found["pace"], said) == (expected.pace, expected.fell_why)


@given(paces, st.sampled_from(["throttled", "timed_out", "no thread", "sick"]), st.integers(0, 5_000), times)
def test_both_writings_of_the_rule_fall_alike(pace: Pace, why: str, at_once: int, now: int) -> None:
    assume(why != "no thread" or at_once < pace.limit)  # the caller asks that
    assert fall(as_table(pace), why, at_once, now) == pytest.approx(as_table(pace.fallen(why, at_once, now)), abs=0.01)


def as_table(pace: Pace) -> dict[str, float]:
    """As the scripts read it."""
    return {name: getattr(pace, name) for name in START} | {"pace": pace.limit}
