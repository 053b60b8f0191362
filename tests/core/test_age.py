"""How long ago something was, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.core.age import LATE_TEXT, check_text, in_words, mark

NOON = 1_800_000_000_000  # 15 January 2027, 08:00 UTC

WORDS = {
    "before it was": (-5, "0 seconds"),
    "now": (0, "0 seconds"),
    "a second": (1.9, "1 second"),
    "most of a minute": (59.9, "59 seconds"),
    "a minute": (60, "1 minute"),
    "most of an hour": (3_599, "59 minutes"),
    "three hours": (3 * 3_600 + 3_599, "3 hours"),
    "a day": (86_400, "1 day"),
    "many days": (40 * 86_400, "40 days"),
}


@pytest.mark.parametrize(("seconds", "words"), WORDS.values(), ids=WORDS)
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


MARKS = {
    "as it comes": (LATE_TEXT, "(written 1 day ago)"),
    "in numbers": ("{days} d, {hours} h, {minutes} min", "1 d, 25 h, 1501 min"),
    "when": ("am {time}:", "am 2027-01-15 08:00 UTC:"),
    "braces": ("{{{age}}}", "{1 day}"),
    "no place": ("late", "late"),
}


@pytest.mark.parametrize(("text", "said"), MARKS.values(), ids=MARKS)
def test_a_mark_says_it(text: str, said: str) -> None:
    assert mark(text, NOON, NOON + 25 * 3_600_000 + 60_000) == said


@given(st.text(alphabet="{}age:!.[]0 xtimdyshours", max_size=20), st.integers(0, 2**41))
def test_what_is_allowed_can_be_said(text: str, later: int) -> None:
    try:
        check_text(text)
    except ValidationError:
        return
    assert len(mark(text, NOON, NOON + later)) <= len(text) + 20 * text.count("{")
