"""When a failed attempt is tried again: bounds, full jitter, the platform's own wish, and when it is given up."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import errors
from app.core.errors import PALETTE, Failure, Kind
from app.core.retry import RetryPolicy, delay, next_try
from tests.support.values import QUICK

POLICY = RetryPolicy(attempts=5, base=2.0, cap=60.0, give_up_after=3600.0)
CEILINGS = {1: 2.0, 2: 4.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 60.0, 7: 60.0, 100: 60.0, 100_000: 60.0}


class Highest(Random):
    """Draws the upper end of every range."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(("attempt", "ceiling"), CEILINGS.items())
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    assert ceiling == delay(POLICY, attempt, Highest())


@QUICK
@given(st.integers(1, 10_000), st.floats(0.01, 60), st.floats(1, 600), st.integers())
def test_a_delay_lies_between_nothing_and_its_ceiling(attempt: int, base: float, cap: float, seed: int) -> None:
    policy = RetryPolicy(base=base, cap=cap)
    assert 0 <= delay(policy, attempt, Random(seed)) <= delay(policy, attempt, Highest()) <= cap


def test_jitter_is_full_even_at_the_cap() -> None:
    random = Random(1)
    delays = [delay(POLICY, 50, random) for _ in range(2000)]
    tenths = {int(seconds / POLICY.cap * 10) for seconds in delays}
    assert set(range(10)) == tenths
    assert 27.0 < sum(delays) / len(delays) < 33.0


@pytest.mark.parametrize("kind", [kind for kind in PALETTE.values() if not kind.retry], ids=lambda kind: kind.code)
def test_what_is_permanent_is_not_tried_again(kind: Kind) -> None:
    assert next_try(POLICY, Failure(kind, "no", retry_after=3.0), 1, 0.0) is None


@pytest.mark.parametrize("kind", [kind for kind in PALETTE.values() if kind.retry], ids=lambda kind: kind.code)
def test_the_platforms_own_wish_comes_first(kind: Kind) -> None:
    assert next_try(POLICY, Failure(kind, "later", retry_after=17.0), 1, 0.0) == 17.0
    assert next_try(POLICY, Failure(kind, "at once", retry_after=0.0), 1, 0.0) == 0.0


PAUSED = {"throttled": (errors.THROTTLED, 1.0), "unauthorised": (errors.UNAUTHORISED, 60.0)}


@pytest.mark.parametrize(("kind", "pause"), PAUSED.values(), ids=PAUSED)
def test_a_kind_that_rests_the_lane_waits_for_its_pause(kind: Kind, pause: float) -> None:
    assert pause == next_try(POLICY, Failure(kind, "later"), 1, 0.0)


GIVEN_UP = {
    "the last attempt but one": (errors.UNAVAILABLE, 4, 0.0, False),
    "the last attempt": (errors.UNAVAILABLE, 5, 0.0, True),
    "an attempt beyond the last": (errors.UNAVAILABLE, 6, 0.0, True),
    "just young enough": (errors.UNAVAILABLE, 1, 3599.9, False),
    "too old": (errors.UNAVAILABLE, 1, 3600.0, True),
    "a pause spends no attempt": (errors.THROTTLED, 500, 0.0, False),
    "nor does it grow old": (errors.THROTTLED, 1, 10**6, False),
    "wrong credentials spend no attempt": (errors.UNAUTHORISED, 500, 0.0, False),
}


@pytest.mark.parametrize(("kind", "attempt", "age", "given_up"), GIVEN_UP.values(), ids=GIVEN_UP)
def test_a_message_is_given_up_after_its_attempts_or_its_time(
    kind: Kind, attempt: int, age: float, given_up: bool
) -> None:
    assert given_up == (next_try(POLICY, Failure(kind, "no"), attempt, age) is None)


def test_backing_off_is_jittered() -> None:
    assert next_try(POLICY, Failure(errors.UNAVAILABLE, "no"), 3, 0.0, Highest()) == 8.0
