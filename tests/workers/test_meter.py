"""What a worker has seen of a lane's calls."""

from __future__ import annotations

import pytest

from app.core.lane import Seen
from workers.meter import Meter


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def meter(watch: Watch) -> Meter:
    return Meter(watch)


def test_it_knows_what_a_call_takes_on_average(meter: Meter) -> None:
    for took in (0.1, 0.3):
        meter.note(0, took)
    assert meter.seen == Seen(0, 2, pytest.approx(200.0))
    assert meter.usual == pytest.approx(0.2)


def test_a_call_that_timed_out_says_nothing_of_the_others(meter: Meter) -> None:
    meter.note(0, 0.2)
    meter.note(0, 10.0, late=True)
    assert meter.seen == Seen(0, 2, pytest.approx(200.0), 0.5)


def test_what_began_at_another_pace_says_nothing(meter: Meter) -> None:
    meter.note(2, 0.2)
    meter.note(1, 5.0)
    assert meter.seen.calls == 1


def test_quick_calls_right_after_a_change_are_not_counted(meter: Meter, watch: Watch) -> None:
    meter.note(1, 0.2)
    watch.now += 0.05
    meter.note(2, 0.05)  # the turn began 0.05 s ago
    assert meter.seen == Seen(2, 0, pytest.approx(200.0))
    watch.now += 0.34
    meter.note(2, 0.2)
    assert meter.seen.calls == 0
    watch.now += 0.02
    meter.note(2, 0.2)
    assert meter.seen.calls == 1


def test_after_very_slow_calls_it_does_not_wait_for_ever(meter: Meter, watch: Watch) -> None:
    meter.note(1, 60.0)
    meter.note(2, 0.0)
    watch.now += 5.0
    meter.note(2, 1.0)
    assert meter.seen == Seen(2, 1, pytest.approx(1_000.0))
