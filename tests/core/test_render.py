"""Rendering: whatever a platform cannot carry is said in what it can, and no word of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.message import Attachment, Card, Content, Image, Location, QuickReply, Text
from app.core.render import EVERYTHING, Capabilities, as_text, render
from app.core.text import Unit, length
from tests.support.values import QUICK, THOROUGH, contents

PLATE = "https://cdn.example.test/plate.png"
DOOR = "https://cdn.example.test/door.png"
ONLY_TEXT = Capabilities()
NO_CARDS = Capabilities(contents=EVERYTHING - {"card"})

AS_TEXT: dict[str, tuple[Content, str]] = {
    "text": (Text("Hi"), "Hi"),
    "attachment": (Attachment("image", PLATE), PLATE),
    "attachment with a description": (Attachment("image", PLATE, description="A plate"), f"A plate: {PLATE}"),
    "attachment with a name": (Attachment("file", PLATE, file_name="plate.png"), f"plate.png: {PLATE}"),
    "attachment with both": (
        Attachment("image", PLATE, file_name="plate.png", description="A plate"),
        f"A plate - plate.png: {PLATE}",
    ),
    "location": (Location(52.520008, 13.404954), "52.520008, 13.404954"),
    "location on whole degrees": (Location(10, -20), "10, -20"),
    "location at the origin": (Location(0.0, -0.00000001), "0, 0"),
    "location with an address": (Location(52.5, 13.4, "Alexanderplatz"), "Alexanderplatz (52.5, 13.4)"),
    "quick reply": (QuickReply("Which one?", ("Red", "Blue")), "Which one?\n1. Red\n2. Blue"),
    "card": (Card("Plates", (Image(PLATE, "A plate"), Image(DOOR))), f"Plates\nA plate: {PLATE}\n{DOOR}"),
    "card without a text": (Card("", (Image(DOOR),)), DOOR),
}


@pytest.mark.parametrize(("content", "words"), AS_TEXT.values(), ids=AS_TEXT)
def test_a_content_in_words(content: Content, words: str) -> None:
    assert words == as_text(content)
    if not isinstance(content, Card):
        assert (Text(words),) == render(content, ONLY_TEXT)


@QUICK
@given(contents)
def test_a_platform_that_carries_everything_gets_the_content_itself(content: Content) -> None:
    assert (content,) == render(content, Capabilities(contents=EVERYTHING))


def test_a_card_becomes_its_text_and_its_images() -> None:
    card = Card("Plates", (Image(PLATE, "A plate"), Image(DOOR)))
    assert (
        Text("Plates"),
        Attachment("image", PLATE, description="A plate"),
        Attachment("image", DOOR),
    ) == render(card, NO_CARDS)


def test_a_card_becomes_one_text_where_images_cannot_go() -> None:
    card = Card("Plates", (Image(PLATE, "A plate"), Image(DOOR)))
    assert (Text(f"Plates\nA plate: {PLATE}\n{DOOR}"),) == render(card, ONLY_TEXT)


def test_a_card_without_a_text_is_its_images() -> None:
    assert (Attachment("image", DOOR),) == render(Card("", (Image(DOOR),)), NO_CARDS)


def test_a_description_that_the_platform_does_not_show_follows_as_a_text() -> None:
    only_images = Capabilities(contents=EVERYTHING, described=frozenset({"image"}))
    video = Attachment("video", DOOR, description="The door squeaks")
    assert (Attachment("video", DOOR), Text("The door squeaks")) == render(video, only_images)
    assert (Attachment("image", DOOR, description="x"),) == render(
        Attachment("image", DOOR, description="x"), only_images
    )


SPLITS = {
    "fits exactly": ("abcde", 5, ["abcde"]),
    "cut behind the last space that fits": ("aa bb cc", 6, ["aa bb ", "cc"]),
    "cut at a space that stands right at the limit": ("abcde fg", 5, ["abcde", " fg"]),
    "cut behind a line break": ("abc\nde fghi", 6, ["abc\n", "de ", "fghi"]),
    "cut at a tab": ("abcd\tefgh", 6, ["abcd\t", "efgh"]),
    "no space in the second half": ("a bcdefgh", 6, ["a bcde", "fgh"]),
    "a word longer than the limit": ("abcdefgh", 3, ["abc", "def", "gh"]),
    "a limit of one": ("a b", 1, ["a", " ", "b"]),
    "several spaces at the cut": ("abcdef   gh", 7, ["abcdef ", "  gh"]),
}


@pytest.mark.parametrize(("text", "limit", "pieces"), SPLITS.values(), ids=SPLITS)
def test_a_long_text_is_cut_where_a_reader_would(text: str, limit: int, pieces: list[str]) -> None:
    assert [Text(piece) for piece in pieces] == list(render(Text(text), Capabilities(text_limit=limit)))


@THOROUGH
@given(st.text(st.sampled_from("ab \n\té👍"), min_size=1, max_size=200), st.integers(2, 40))
@example("a" * 100, 7)
def test_pieces_keep_the_limit_and_make_the_text_again(text: str, limit: int) -> None:
    pieces = [as_text(piece) for piece in render(Text(text), Capabilities(text_limit=limit))]
    assert all(1 <= len(piece.encode("utf-16-le")) // 2 <= limit for piece in pieces)
    assert text == "".join(pieces)


def test_a_link_is_not_torn_where_it_fits_alone() -> None:
    file = Attachment("file", PLATE, description="A plate that is shown from both of its sides")
    assert [Text("A plate that is shown from both of "), Text("its sides: "), Text(PLATE)] == list(
        render(file, Capabilities(text_limit=35))
    )


UNITS: dict[Unit, list[str]] = {"characters": ["👍👍", "👍"], "utf16": ["👍", "👍", "👍"], "bytes": ["👍", "👍", "👍"]}


@pytest.mark.parametrize("unit", UNITS)
def test_a_limit_counts_in_the_platforms_unit(unit: Unit) -> None:
    limit = {"characters": 2, "utf16": 3, "bytes": 7}[unit]
    pieces = render(Text("👍👍👍"), Capabilities(text_limit=limit, text_unit=unit))
    assert UNITS[unit] == [as_text(piece) for piece in pieces]


@THOROUGH
@given(st.lists(st.text("abé", min_size=1, max_size=10), min_size=1, max_size=60), st.sampled_from([" ", "\n", "\t"]))
def test_words_that_fit_into_half_a_piece_stay_whole(words: list[str], space: str) -> None:
    pieces = render(Text(space.join(words)), Capabilities(text_limit=20))
    assert words == [word for piece in pieces for word in as_text(piece).split()]


@THOROUGH
@given(contents, st.sets(st.sampled_from(sorted(EVERYTHING))), st.none() | st.integers(5, 60))
def test_nothing_is_dropped(content: Content, carried: set[str], limit: int | None) -> None:
    parts = render(content, Capabilities(contents=frozenset(carried), text_limit=limit))
    said = "".join("".join(as_text(part) for part in parts).split())
    assert "".join(as_text(content).split()) == said
    assert all(part.type == "text" or part.type in carried for part in parts)
    if limit and content.type not in carried:
        assert all(length(part.text, "utf16") <= limit for part in parts if isinstance(part, Text))
