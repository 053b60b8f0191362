"""Texts in units, and cuts that tear nothing a reader sees as one character."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from app.core.text import CLUSTER, Unit, cut, cut_name, length, split
from tests.support.values import THOROUGH

FAMILY, FLAG, SKIN, KEYCAP = "👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "1️⃣"
SCOTLAND = "🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct") + "\U000e007f"
ACCENT, THAI, JAMO, DEVANAGARI = "e\u0301\u0323", "กำ", "\u1100\u1161\u11a8", "क्षि"
CLUSTERS = [
    FAMILY,
    FLAG,
    SKIN,
    KEYCAP,
    SCOTLAND,
    ACCENT,
    THAI,
    JAMO,
    DEVANAGARI,
    "\r\n",
    "a",
    " ",
    ".",
    "\n",
    "ü",
    "漢",
]
LONGEST = {"characters": 7, "utf16": 14, "bytes": 28}

units = st.sampled_from(["characters", "utf16", "bytes"])
texts = st.lists(st.sampled_from(CLUSTERS), max_size=60).map("".join)
any_text = st.text(st.characters(), max_size=60)  # halves of surrogate pairs among them


def clusters(text: str) -> list[str]:
    return list(regex.findall(r"\X", text))


LENGTHS: dict[str, tuple[str, int, int, int]] = {
    "nothing": ("", 0, 0, 0),
    "plain": ("abc", 3, 3, 3),
    "an umlaut": ("ü", 1, 1, 2),
    "a family": (FAMILY, 7, 11, 25),
    "a flag": (FLAG, 2, 4, 8),
    "half a pair": ("\ud83d", 1, 1, 3),
}


@pytest.mark.parametrize(("text", "characters", "utf16", "octets"), LENGTHS.values(), ids=LENGTHS)
def test_a_text_has_a_length_in_each_unit(text: str, characters: int, utf16: int, octets: int) -> None:
    assert (characters, utf16, octets) == (length(text, "characters"), length(text, "utf16"), length(text, "bytes"))


CUTS: dict[str, tuple[str, int, Unit, str]] = {
    "short": ("abc", 3, "utf16", "abc"),
    "long": ("abcd", 3, "utf16", "abc"),
    "a family": ("ab" + FAMILY, 12, "utf16", "ab"),
    "a family that fits": ("ab" + FAMILY + "c", 13, "utf16", "ab" + FAMILY),
    "flags": (FLAG * 3, 11, "utf16", FLAG * 2),
    "a skin": ("a" + SKIN, 3, "characters", "a" + SKIN),
    "a skin that does not fit": ("a" + SKIN, 2, "characters", "a"),
    "an accent": ("abc" + ACCENT, 5, "utf16", "abc"),
    "Thai": ("ab" + THAI, 3, "utf16", "ab"),
    "Hangul": (JAMO * 2, 5, "utf16", JAMO),
    "a conjunct": ("क" + DEVANAGARI, 4, "utf16", "क"),
    "a line break": ("ab\r\n", 3, "utf16", "ab"),
    "bytes": ("üüü", 5, "bytes", "üü"),
    "a cluster longer than the limit": (FAMILY, 4, "utf16", "👨‍"),
}


@pytest.mark.parametrize(("text", "limit", "unit", "beginning"), CUTS.values(), ids=CUTS)
def test_a_text_is_cut_between_clusters(text: str, limit: int, unit: Unit, beginning: str) -> None:
    if text == FAMILY:
        beginning = "👨\u200d"
    assert beginning == cut(text, limit, unit)[: len(beginning)]
    assert length(cut(text, limit, unit), unit) <= limit


@THOROUGH
@given(texts, st.integers(28, 60), units)
def test_a_cut_tears_nothing_and_leaves_room_for_no_more(text: str, limit: int, unit: Unit) -> None:
    beginning = cut(text, limit, unit)
    whole = clusters(text)
    count = len(clusters(beginning))
    assert whole[:count] == clusters(beginning)
    assert length(beginning, unit) <= limit
    assert beginning == text or length("".join(whole[: count + 1]), unit) > limit
    assert beginning == cut(beginning, limit, unit)


@THOROUGH
@given(texts, st.integers(28, 60), units)
def test_pieces_tear_nothing_and_make_the_text_again(text: str, limit: int, unit: Unit) -> None:
    pieces = list(split(text, limit, unit))
    assert text == "".join(pieces)
    assert clusters(text) == [cluster for piece in pieces for cluster in clusters(piece)]
    assert all(0 < length(piece, unit) <= limit for piece in pieces)
    assert all([piece] == list(split(piece, limit, unit)) for piece in pieces)


@THOROUGH
@given(any_text, st.integers(4, 30), units)
def test_any_text_is_cut_and_split(text: str, limit: int, unit: Unit) -> None:
    pieces = list(split(text, limit, unit))
    assert text == "".join(pieces)
    assert all(0 < length(piece, unit) <= limit for piece in pieces)
    assert text.startswith(cut(text, limit, unit))
    assert length(cut(text, limit, unit), unit) <= limit


@THOROUGH
@given(
    st.lists(
        st.sampled_from(["word", "a", "🇩🇪", "\n", " ", "abcdefghijklmnopqrstuvwxyz"]), min_size=1, max_size=60
    ).map(" ".join)
)
def test_no_piece_is_blank_where_there_is_something_to_say(text: str) -> None:
    blank = max(map(len, regex.findall(r"\s+", text)), default=0)
    if text.strip() and blank < 20:
        assert all(piece.strip() for piece in split(text, 20, "utf16"))


SPLITS: dict[str, tuple[str, int, list[str]]] = {
    "a paragraph before a line": ("One.\n\nTwo\nthree", 13, ["One.\n\n", "Two\nthree"]),
    "a paragraph too early": ("A\n\nb and so on\nthree", 17, ["A\n\nb and so on\n", "three"]),
    "a line before a sentence": ("One two\nA. b c", 12, ["One two\n", "A. b c"]),
    "a sentence before a word": ("Come in. Sit down", 14, ["Come in. ", "Sit down"]),
    "a sentence in quotes": ('"Come in!" she said', 17, ['"Come in!" ', "she said"]),
    "a sentence without spaces": ("你好吗。我很好谢谢", 7, ["你好吗。", "我很好谢谢"]),
    "no sentence, but a number": ("It is 3.14159 long", 13, ["It is 3.14159", " long"]),
    "white space at the end": ("abcdefgh \n", 9, ["abcdefg", "h \n"]),
    "white space at the end of words": ("abcd efgh\n", 9, ["abcd ", "efgh\n"]),
    "white space at the beginning": ("      abcd efgh", 9, ["      abc", "d efgh"]),
}


@pytest.mark.parametrize(("text", "limit", "pieces"), SPLITS.values(), ids=SPLITS)
def test_a_text_is_split_where_a_reader_would(text: str, limit: int, pieces: list[str]) -> None:
    assert pieces == list(split(text, limit, "characters"))


NAMES: dict[str, tuple[str, int, str]] = {
    "short": ("a.png", 10, "a.png"),
    "long": ("abcdefghij.png", 10, "abcdef.png"),
    "an emoji at the cut": ("abcd" + FAMILY + ".png", 12, "abcd.png"),
    "no extension": ("abcdefghijkl", 10, "abcdefghij"),
    "what is no extension": ("a.bcdefghijklmnopqrstuvwxyz", 10, "a.bcdefghi"),
    "only an extension": (".abcdefghijkl", 10, ".abcdefghi"),
}


@pytest.mark.parametrize(("name", "limit", "shown"), NAMES.values(), ids=NAMES)
def test_a_files_name_keeps_its_extension(name: str, limit: int, shown: str) -> None:
    assert shown == cut_name(name, limit, "utf16")


ROWS: dict[str, str] = {
    "flags": FLAG * 10_000,
    "dots": "." * 150_000,
    "dots and quotes": "." * 75_000 + '"' * 75_000,
    "dots, each in quotes": '."' * 75_000,
    "quotes": '"' * 150_000,
    "brackets": "?" + ")" * 150_000,
    "stops of Chinese": "\u3002" * 150_000,
    "blanks": "." + " " * 150_000,
    "line breaks": "\n" * 150_000,
    "line breaks of Windows": "\r\n" * 75_000,
    "blank lines": "\n \t" * 50_000,
    "joiners": "\u200d" * 150_000,
    "a family without end": "👨\u200d" * 50_000,
    "an emoji with marks": "👨" + "\u0301" * 150_000,
    "accents": "\u0301" * 150_000,
    "vowels of Thai": "กำ" * 75_000,
    "Hangul": "\u1100" * 75_000 + "\u1161" * 75_000,
    "conjuncts": "क्" * 75_000,
    "tags": "\U000e0067" * 150_000,
    "halves of pairs": "\ud83d" * 150_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["characters", "utf16", "bytes"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_long_row_costs_no_more_than_other_texts(row: str, unit: Unit) -> None:
    """Many billions of steps if each character counted, or tried, those before or behind it."""
    pieces = list(split(row, length(row, unit) - 1, unit))
    assert len(pieces) > 1
    assert row == "".join(pieces)


def test_a_family_is_one_cluster_whatever_stands_around_it() -> None:
    text = f"a{FAMILY}\u0301{FAMILY}\u200d{SKIN}\u200d\u200d{FLAG}\u0600{FAMILY}{FLAG}\u0903"
    assert clusters(text) == [found[0] for found in CLUSTER.finditer(text)]
