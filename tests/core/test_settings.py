"""The configuration keys that every platform has."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import Schema, ValidationError

from app.core.settings import PlatformSchema, secret_field

RANGES: dict[str, tuple[str, Any, Any]] = {
    "concurrency, least": ("concurrency", 1, 0),
    "concurrency, most": ("concurrency", 4096, 4097),
    "rate, least": ("rate", 0.0, -0.1),
    "timeout, least": ("timeout", 0.1, 0.09),
    "timeout, most": ("timeout", 300.0, 300.1),
    "attempts, least": ("attempts", 1, 0),
    "attempts, most": ("attempts", 100, 101),
    "retry_base, least": ("retry_base", 0.01, 0.009),
    "retry_base, most": ("retry_base", 60.0, 61.0),
    "give_up_after, least": ("give_up_after", 1.0, 0.9),
    "no infinity": ("give_up_after", 1e12, float("inf")),
}


@pytest.mark.parametrize(("key", "good", "bad"), RANGES.values(), ids=RANGES)
def test_every_limit_has_its_edge(key: str, good: Any, bad: Any) -> None:
    assert good == PlatformSchema().load({"type": "x", key: good})[key]
    with pytest.raises(ValidationError) as raised:
        PlatformSchema().load({"type": "x", key: bad})
    assert [key] == list(raised.value.messages_dict)


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(ValidationError, match="Unknown field"):
        PlatformSchema().load({"type": "x", "concurency": 4})


BAD_SECRETS = {
    "too short to be blotted out": "abcdefg",
    "no character of a header": "tokentoken\n",
    "beyond ASCII": "schlüssel-123",
    "blank at its end": "token-0001 ",
    "blank": " " * 12,
}


@pytest.mark.parametrize("secret", BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_secret_can_travel_in_a_header_and_be_told_from_other_text(secret: str) -> None:
    schema = Schema.from_dict({"token": secret_field(required=True)})()
    assert schema.load({"token": "a passphrase with blanks"}) == {"token": "a passphrase with blanks"}
    with pytest.raises(ValidationError) as raised:
        schema.load({"token": secret})
    assert secret not in str(raised.value)
