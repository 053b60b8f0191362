"""Which words state a customer's consent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.consent import ANSWERS, KEYWORDS, Keywords, Word, plain, word_of

GERMAN: dict[Word, tuple[str, ...]] = {"STOP": ("STOPP", "Ende"), "START": ("Wieder",), "HELP": ("Hilfe", "INFO")}
ANTWORTEN: dict[Word, str] = {"STOP": "Sie hören nichts mehr.", "START": "Sie hören wieder.", "HELP": "Schreiben Sie."}
BOTH = Keywords({"en": (KEYWORDS, ANSWERS), "de": (GERMAN, ANTWORTEN)})

HEARD = {
    "as it stands": ("STOP", "STOP", ANSWERS["STOP"]),
    "in small letters": ("stopall", "STOP", ANSWERS["STOP"]),
    "with space around": ("  Stop \n", "STOP", ANSWERS["STOP"]),
    "with a full stop": ("Stop.", "STOP", ANSWERS["STOP"]),
    "in quotation marks": ('"STOP"', "STOP", ANSWERS["STOP"]),
    "in wide letters": ("\uff33\uff34\uff2f\uff30", "STOP", ANSWERS["STOP"]),
    "back again": ("unstop", "START", ANSWERS["START"]),
    "yes": ("Yes!", "START", ANSWERS["START"]),
    "help": ("help", "HELP", ANSWERS["HELP"]),
    "another language": ("ende", "STOP", ANTWORTEN["STOP"]),
    "another language's help": ("HILFE", "HELP", ANTWORTEN["HELP"]),
    "the first language's, where both have it": ("info", "HELP", ANSWERS["HELP"]),
}
UNHEARD = ["", " ", ".", "please stop", "STOP it", "STOP?", "S T O P", "stopping", "stop" * 100, "non-stop"]


@pytest.mark.parametrize(("text", "word", "answer"), HEARD.values(), ids=HEARD)
def test_a_keyword_is_heard(text: str, word: Word, answer: str) -> None:
    heard = BOTH.heard(text)
    assert heard is not None
    assert (word, answer) == (heard.word, heard.answer)


@pytest.mark.parametrize("text", UNHEARD)
def test_other_words_are_words(text: str) -> None:
    assert BOTH.heard(text) is None


@pytest.mark.parametrize(("word", "keyword"), [(w, k) for w, keywords in KEYWORDS.items() for k in keywords])
def test_every_keyword_of_the_contract_counts(word: Word, keyword: str) -> None:
    heard = Keywords({"en": (KEYWORDS, ANSWERS)}).heard(keyword.lower())
    assert heard is not None
    assert (word, keyword) == (heard.word, heard.keyword)


@given(st.text(max_size=200))
def test_only_what_is_plainly_a_keyword_counts(text: str) -> None:
    known = {plain(k) for table in (KEYWORDS, GERMAN) for keywords in table.values() for k in keywords}
    heard = BOTH.heard(text)
    assert (heard is not None) is (len(text) <= 128 and plain(text) in known)


@pytest.mark.parametrize(
    ("value", "word"),
    [("STOP", "STOP"), ("START", "START"), ("HELP", "HELP"), ("stop", None), ("", None), (None, None), (7, None)],
)
def test_a_platforms_word_is_one_of_three(value: object, word: Word | None) -> None:
    assert word_of(value) == word
