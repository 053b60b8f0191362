"""What is held stays level: how that is judged, and the soak in its short form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.soak import KINDS, Plan, soak
from tests.support.levels import MB, SETTLES, Sample, level_of

LEVELS: dict[str, tuple[str, Sequence[float], bool]] = {
    "it stays": ("descriptors", [50.0] * 90, True),
    "it grows": ("descriptors", [50.0 + n / 3 for n in range(90)], False),
    "it falls": ("descriptors", [80.0 - n / 3 for n in range(90)], True),
    "it grew by a little": ("descriptors", [50.0] * 45 + [55.0] * 45, True),
    "it grew at once": ("descriptors", [50.0] * 45 + [65.0] * 45, False),
    "a peak": ("descriptors", [50.0] * 70 + [500.0] * 10 + [50.0] * 10, True),
    "memory": ("memory, MB", [100.0 * MB] * 60 + [104.0 * MB] * 30, True),
    "more memory": ("memory, MB", [100.0 * MB] * 60 + [106.0 * MB] * 30, False),
    "much waits, and goes": ("keys that stay", [10.0] * 60 + [5000.0] * 26 + [10.0] * 4, True),
    "something stays for ever": ("keys that stay", [10.0 + n for n in range(90)], False),
}


@pytest.mark.parametrize(("what", "values", "holds"), LEVELS.values(), ids=LEVELS)
def test_growth_is_told_from_noise(what: str, values: Sequence[float], holds: bool) -> None:
    level = level_of("a worker", what, [Sample(n, value, 1) for n, value in enumerate(values)], since=0.0)
    assert level is not None
    assert level.holds is holds


def test_the_time_before_does_not_count() -> None:
    samples = [Sample(n, 10.0 if n < 50 else 90.0, 1) for n in range(100)]
    level = level_of("a worker", "threads", samples, since=50.0)
    assert level is not None
    assert level.thirds == (90.0, 90.0, 90.0)


def test_a_process_that_was_started_anew_is_given_time() -> None:
    before = [Sample(n, 90.0, 1) for n in range(30)]
    young = [Sample(30 + n, 20.0, 2) for n in range(int(SETTLES))]
    after = [Sample(30 + SETTLES + n, 90.0, 2) for n in range(30)]
    level = level_of("a worker", "threads", [*before, *young, *after], since=0.0)
    assert level is not None
    assert level.thirds == (90.0, 90.0, 90.0)


def test_of_what_was_hardly_seen_nothing_is_said() -> None:
    assert level_of("a worker", "threads", [Sample(0.0, 9.0, 1)] * 8, since=0.0) is None


@pytest.mark.long
def test_a_minute_of_faults_leaves_nothing_behind(tmp_path: Path) -> None:
    soaked = soak(Plan(seconds=60.0, every=10.0), tmp_path)
    assert soaked.complaints == []
    assert soaked.faults >= len(KINDS)
    assert {"Redis", "broker", "receiver 1, child", "receiver 2", "worker 1"} <= {level.who for level in soaked.levels}
