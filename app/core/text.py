"""How long a text is in the unit that a platform counts, and where it may be cut: never inside of what a reader sees as
one character (a grapheme cluster: an emoji family, a flag, a letter with its accents).

A cluster that alone is longer than the limit is the one thing that is torn, between two code points.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal

import regex

Unit = Literal["characters", "utf16", "bytes"]
"""`characters` are code points, `utf16` the units of JavaScript, Java and .NET, `bytes` those of UTF-8."""

# Flags and families come first: `\X` looks back to the beginning of a row of them for each one.
FAMILY = r"\p{ExtPict}(?:\p{GCB=Extend}*+\p{GCB=ZWJ}\p{ExtPict})++"
CLUSTER = regex.compile(rf"(?:\p{{RI}}{{2}}|{FAMILY})[\p{{GCB=Extend}}\p{{GCB=ZWJ}}\p{{GCB=SpacingMark}}]*+|\X")
# Where a reader would cut, the best first; a piece ends behind the match. Strangers write these texts, so each pattern
# passes a character once: nothing is given back, and a row is only tried from where it begins.
PARAGRAPH, LINE = r"\n[^\S\n]*+\n\s*+", r"[\r\n]++"
# Behind a sentence may stand quotes and brackets that close; Chinese and Japanese put no space there.
STOP = r"[.!?\u2026]"
SENTENCE = rf"(?<!{STOP}){STOP}++[\p{{Pe}}\p{{Pf}}\"']*+\s++|[\u3002\uff01\uff1f]++"
WORD = r"\S(?=\s)|\s"
ENDS = tuple(map(regex.compile, (PARAGRAPH, LINE, SENTENCE, WORD)))
MAX_UNITS = {"characters": 1, "utf16": 2, "bytes": 4}  # units that one code point takes
LONGEST_EXTENSION = 16  # characters, the dot included


def length(text: str, unit: Unit) -> int:
    if unit == "characters" or text.isascii():
        return len(text)
    if unit == "utf16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def cut(text: str, limit: int, unit: Unit) -> str:
    """The beginning of a text, at most `limit` units long."""
    return text if _fits(text, limit, unit) else text[: _last_border(text, _fitting(text, limit, unit))]


def cut_name(name: str, limit: int, unit: Unit) -> str:
    """A file's name of at most `limit` units, which keeps its extension."""
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension
    if _fits(name, limit, unit) or not stem or len(ending) > LONGEST_EXTENSION or length(ending, unit) >= limit:
        return cut(name, limit, unit)
    return cut(stem, limit - length(ending, unit), unit) + ending


def split(text: str, limit: int, unit: Unit) -> Iterator[str]:
    """Pieces of at most `limit` units that make the text again when they are joined. They end behind a paragraph, a
    line, a sentence or a word, if that leaves a piece at least half full."""
    while not _fits(text, limit, unit):
        at = _where(text, _fitting(text, limit, unit))
        yield text[:at]
        text = text[at:]
    if text:
        yield text


def _fits(text: str, limit: int, unit: Unit) -> bool:
    """Nearly every text does by far, or by far does not, and is not counted: a code point takes at least one unit."""
    return len(text) * MAX_UNITS[unit] <= limit or (len(text) <= limit and length(text, unit) <= limit)


def _fitting(text: str, limit: int, unit: Unit) -> int:
    """How many code points of a text that is too long fit; at least one, or nothing would ever be said."""
    return max(1, bisect_right(range(limit + 1), limit, key=lambda size: length(text[:size], unit)) - 1)


def _borders(text: str, at: int) -> set[int]:
    """Where clusters end, up to a place. Whether one ends depends on the character behind it, too."""
    return {end for found in CLUSTER.finditer(text[: at + 1]) if (end := found.end()) <= at}


def _last_border(text: str, at: int) -> int:
    """The last border between clusters up to a place; the place itself, where the first cluster reaches over it."""
    return max(_borders(text, at), default=at)


def _where(text: str, at: int) -> int:
    """Where a piece ends that has room for `at` code points. No piece is blank if that can be helped: some platforms
    refuse those."""
    borders = _borders(text, at) or {at}
    blank, end = len(text) - len(text.lstrip()), len(text.rstrip())
    telling = {border for border in borders if blank < border < end} or borders
    good = {border for border in telling if border >= at // 2}
    for pattern in ENDS:
        found = good.intersection(match.end() for match in pattern.finditer(text[: at + 1]))
        if found:
            return max(found)
    return max(telling)
