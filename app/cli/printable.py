"""Text that others wrote, as a terminal may show it."""

from __future__ import annotations

JOINERS = "\u200c\u200d"  # that Persian, Hindi and emoji are written with


def printable(text: str) -> str:
    """The text with escapes for what a terminal would obey: control characters, turns of the writing direction. It has
    no line breaks then, so that nobody writes lines of ours."""
    return "".join(one if one.isprintable() or one in JOINERS else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
