"""The palette of failures and the texts of what goes wrong."""

from __future__ import annotations

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


def test_a_failure_in_other_words_keeps_the_rest() -> None:
    failure = Failure(errors.TIMED_OUT, "late", retry_after=5.0, maybe_done=True)
    told = [failure.but(errors.GONE), failure.but(detail="too late"), failure.but(maybe_done=False), failure.but()]
    assert [
        (errors.GONE, "late", 5.0, True),
        (errors.TIMED_OUT, "too late", 5.0, True),
        (errors.TIMED_OUT, "late", 5.0, False),
        (errors.TIMED_OUT, "late", 5.0, True),
    ] == [(one.kind, one.detail, one.retry_after, one.maybe_done) for one in told]


def test_a_failure_with_details_is_the_failure_that_it_tells_of() -> None:
    told = DetailedFailure(Failure(errors.GONE, "moved away", retry_after=5.0, maybe_done=True))
    assert (str(told), told.retry_after, told.maybe_done) == ("gone: moved away", 5.0, True)
