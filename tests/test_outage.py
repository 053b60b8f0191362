"""What is away is told once, and once that it is back."""

from __future__ import annotations

import pytest

from app.outage import LONGEST, QUIET, Outage, Patience


class Watch:
    """A clock, and an outage that notes what it tells."""

    def __init__(self, again: float | None = None) -> None:
        self.now = 1_000.0
        self.told: list[str | float] = []
        self.outage = Outage(self.told.append, self.told.append, again=again, clock=lambda: self.now)

    def goes(self, *steps: str | float) -> list[str | float]:
        """`ok` works, a number lets seconds pass, anything else is an error."""
        for step in steps:
            if isinstance(step, float):
                self.now += step
            elif step == "ok":
                self.outage.worked()
            else:
                self.outage.failed(step)
        return self.told


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (("ok", "ok"), []),
        (("gone",), ["gone"]),
        (("gone", 0.5, "gone", 0.5, "other", 600.0, "gone"), ["gone"]),
        (("gone", 7.0, "ok", "ok"), ["gone", 7.0]),
        (("gone", 7.0, "gone", "ok", QUIET, "gone again", 2.0, "ok"), ["gone", 7.0, "gone again", 2.0]),
    ],
)
def test_each_outage_is_told_once_and_its_end_once(steps: tuple[str | float, ...], told: list[str | float]) -> None:
    assert Watch().goes(*steps) == told


def test_what_comes_and_goes_is_not_told_each_time() -> None:
    assert Watch().goes(*["gone", 0.1, "ok", 0.1] * 40) == ["gone", pytest.approx(0.1)]


def test_one_that_began_while_it_was_quiet_is_told_once_it_has_lasted() -> None:
    watch = Watch()
    watch.goes("gone", 1.0, "ok", 1.0)
    assert watch.goes("gone", 1.0, "gone") == ["gone", 1.0]
    assert watch.goes(QUIET, "gone", "gone", "ok") == ["gone", 1.0, "gone", QUIET + 1.0]


def test_what_never_hears_of_an_end_is_told_again_now_and_then() -> None:
    assert Watch(again=60.0).goes("full", 59.0, "full", 1.0, "full", "full") == ["full", "full"]


def test_patience_grows_and_is_as_short_as_at_first_once_something_worked() -> None:
    now = 0.0
    patience = Patience(LONGEST / 8, clock=lambda: now)
    waits = []
    for _ in range(6):
        patience.failed()
        waits.append(patience.left)
    assert waits == [LONGEST / 8, LONGEST / 4, LONGEST / 2, LONGEST, LONGEST, LONGEST]
    now = LONGEST
    assert patience.left == 0.0
    patience.worked()
    patience.failed()
    assert patience.left == LONGEST / 8
