"""Consent: who wants no messages on a channel, and the words with which customers say so.

Keywords are those that carriers in North America expect. Consent is one channel's: an opt-out on one says nothing about
another. The store keeps and enforces it (`store/scripts`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Word = Literal["STOP", "START", "HELP"]
State = Literal["in", "out"]
STATES: dict[Word, State] = {"STOP": "out", "START": "in"}  # HELP only asks
WORDS: tuple[Word, ...] = ("STOP", "START", "HELP")

KEYWORDS: dict[Word, tuple[str, ...]] = {
    "STOP": ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"),
    "START": ("START", "UNSTOP", "YES"),
    "HELP": ("HELP", "INFO"),
}
ANSWERS: dict[Word, str] = {
    "STOP": "You will get no more messages here. Write START to get them again.",
    "START": "You will get messages here again. Write STOP to end them.",
    "HELP": "Write STOP to get no more messages, START to get them again.",
}
AROUND = " \t\r\n.!\"'"  # what people put around a keyword


class Consent(Struct, frozen=True):
    """What is known of one customer on one channel: `at` in Unix ms, `by` says who or what set it."""

    state: State
    at: int
    by: str


class Heard(Struct, frozen=True):
    """A keyword that a customer wrote: what it means, and the answer in its language."""

    word: Word
    keyword: str
    answer: str


class Keywords:
    """The keywords of a channel. The whole text must be one, in capitals or not.

    Args:
        languages: by a language's code, what counts as which word there and the answer to each: {"en": ({"STOP":
            ["STOP", ...]}, {"STOP": "You will ..."})}. Of a keyword in several languages the first one counts.
    """

    def __init__(self, languages: Mapping[str, tuple[Mapping[Word, tuple[str, ...]], Mapping[Word, str]]]) -> None:
        self._heard: dict[str, Heard] = {}
        for keywords, answers in languages.values():
            for word, spellings in keywords.items():
                for keyword in spellings:
                    self._heard.setdefault(plain(keyword), Heard(word, keyword, answers.get(word, "")))

    def heard(self, text: str) -> Heard | None:
        return self._heard.get(plain(text)) if len(text) <= 128 else None


def plain(text: str) -> str:
    """A keyword without what makes no difference."""
    return unicodedata.normalize("NFKC", text).strip(AROUND).casefold()


def word_of(value: object) -> Word | None:
    """The word that a platform names by itself; None if it is none."""
    return next((word for word in WORDS if word == value), None)
