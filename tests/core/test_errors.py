"""The palette of failures and the texts of what goes wrong."""

from __future__ import annotations

import pytest

from app.core import errors
from app.core.errors import PALETTE, BadWebhook, Failure, Kind


@pytest.mark.parametrize("kind", PALETTE.values(), ids=PALETTE)
def test_every_kind_speaks_to_the_operator(kind: Kind) -> None:
    assert kind.sentence.endswith(".")
    assert kind.pause is None or kind.retry


def test_a_failure_names_its_kind_and_detail() -> None:
    assert str(Failure(errors.THROTTLED, "HTTP 429")) == "throttled: HTTP 429"


def test_a_bad_webhook_names_field_and_rule() -> None:
    assert str(BadWebhook("data.id", "Missing.")) == "data.id: Missing."
    assert str(BadWebhook("", "The body is empty.")) == "The body is empty."
