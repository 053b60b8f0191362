"""The palette of failures and the texts of what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.core import errors
from app.core.errors import PALETTE, BadWebhook, DetailedFailure, Failure, Kind


@pytest.mark.parametrize("kind", PALETTE.values(), ids=PALETTE)
def test_every_kind_speaks_to_the_operator(kind: Kind) -> None:
    assert kind.sentence.endswith(".")
    assert kind.pause is None or kind.retry


def test_a_failure_names_its_kind_and_detail() -> None:
    assert str(Failure(errors.THROTTLED, "HTTP 429")) == "throttled: HTTP 429"


def test_a_bad_webhook_names_field_and_rule() -> None:
    assert str(BadWebhook("data.id", "Missing.")) == "data.id: Missing."
    assert str(BadWebhook("", "The body is empty.")) == "The body is empty."


RESTATED = {
    "as it was": ({}, (errors.THROTTLED, "HTTP 429", 7.0, False)),
    "of another kind": ({"kind": errors.GONE}, (errors.GONE, "HTTP 429", 7.0, False)),
    "in other words": ({"detail": ""}, (errors.THROTTLED, "", 7.0, False)),
    "with more in doubt": ({"maybe_done": True}, (errors.THROTTLED, "HTTP 429", 7.0, True)),
}


@pytest.mark.parametrize(("changes", "expected"), RESTATED.values(), ids=RESTATED)
def test_a_failure_can_be_restated(changes: dict[str, Any], expected: tuple[object, ...]) -> None:
    found = Failure(errors.THROTTLED, "HTTP 429", retry_after=7.0).restated(**changes)
    assert expected == (found.kind, found.detail, found.retry_after, found.maybe_done)


def test_what_was_in_doubt_stays_in_doubt() -> None:
    assert Failure(errors.TIMED_OUT, "no answer", maybe_done=True).restated(detail="late").maybe_done


def test_a_failure_with_details_is_the_failure_that_it_tells_of() -> None:
    told = DetailedFailure(Failure(errors.GONE, "moved away", retry_after=5.0, maybe_done=True))
    assert (str(told), told.retry_after, told.maybe_done) == ("gone: moved away", 5.0, True)
