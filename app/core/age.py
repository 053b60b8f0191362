"""How long ago something was written, in words: the mark of a message that comes late."""

from __future__ import annotations

from datetime import UTC, datetime
from string import Formatter

from marshmallow import ValidationError

LATE_TEXT = "(written {age} ago)"
UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
PLACES = ("age", "days", "hours", "minutes", "time")


def in_words(seconds: float) -> str:
    """`3 hours`: in the greatest unit of which there is a whole one, rounded down."""
    unit, size = next((one for one in UNITS if seconds >= one[1]), UNITS[-1])
    count = max(0, int(seconds // size))
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def mark(text: str, written: int, now: int) -> str:
    """The `text` with what stands in its places; both times are in Unix ms."""
    seconds = max(0.0, (now - written) / 1000)
    whole = {unit: int(seconds // size) for unit, size in UNITS}
    return text.format(
        age=in_words(seconds), days=whole["day"], hours=whole["hour"], minutes=whole["minute"], time=moment(written)
    )


def moment(at: int) -> str:
    """`2026-11-28 13:05 UTC`."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def check_text(text: str) -> None:
    """Raises: ValidationError, it cannot be a mark's text."""
    rule = f"Must have none but these places: {', '.join(f'{{{place}}}' for place in PLACES)}."
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise ValidationError(rule) from None
    if any(name is not None and (name not in PLACES or form or how) for _, name, form, how in found):
        raise ValidationError(rule)
