"""What the scripts are made of: each gets the parts whose names it uses, no more and no fewer, in small functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources

import pytest

from app.store.limits import POLL_AGAIN
from app.store.scripting import BASE, SCRIPTS, text_of, texts_of, uses

FOLDER = resources.files("app.store") / "scripts"
TEXTS = {name: (FOLDER / f"{name}.lua").read_text() for name in SCRIPTS}
PARTS = {
    file.name.removesuffix(".lua"): file.read_text()
    for file in (FOLDER / "parts").iterdir()
    if file.name.endswith(".lua")
}
FILES = {**TEXTS, **{f"parts/{name}": text for name, text in PARTS.items()}}
DOES = {"even_if_full"}  # the parts that are used for what they do, and define nothing

BUILT_IN = {
    "ipairs",
    "next",
    "pairs",
    "select",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "and",
    "function",
    "if",
    "not",
    "or",
}
OF_THE_FORM = {"each_call", "begin"}  # what `app.store.scripting` puts between the base and the parts
MAX_LINES = 40


def code(text: str) -> str:
    """Without comments, and what stands in strings."""
    return re.sub(r"'[^'\n]*'", "''", re.sub(r"--.*", "", text))


def names(text: str) -> set[str]:
    """What is read or called in a text, but for what is a field of something."""
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", code(text)))


def public(text: str) -> set[str]:
    """What a part gives to those who use it."""
    functions = re.findall(r"^local function (\w+)", text, re.MULTILINE)
    values = re.findall(r"^local (?!function)([\w, ]+)", code(text), re.MULTILINE)
    return {*functions, *(name.strip() for row in values for name in row.split(","))}


def defined(text: str) -> set[str]:
    """Everything that has a name in a text, wherever it does."""
    rows = re.findall(r"\blocal (?!function)([\w, ]+)|\bfunction \w*\(([^)]*)\)|\bfor ([\w, ]+) (?:in|=)", code(text))
    functions = set(re.findall(r"\bfunction (\w+)", code(text)))
    return functions | {name.strip() for row in rows for part in row for name in part.split(",") if name.strip()}


def functions(text: str) -> dict[str, int]:
    """Each function, and its number of lines."""
    lines = text.splitlines()
    found = {}
    for start, line in enumerate(lines):
        if match := re.match(r"( *)(?:local )?function (\w+)\(", line):
            ends = (n for n, other in enumerate(lines[start:], 1) if other == f"{match[1]}end")
            found[match[2]] = 1 if line.endswith(" end") else next(ends)
    return found


OWNERS = {name: part for part, text in PARTS.items() for name in public(text)}


def test_no_two_parts_give_the_same_name() -> None:
    assert len(OWNERS) == sum(len(public(text)) for text in PARTS.values())


def test_every_file_is_a_script_or_a_part_that_one_uses() -> None:
    files = {file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.name.endswith(".lua")}
    assert files == set(SCRIPTS)
    used = {file.removeprefix("parts/") for script in SCRIPTS for file in texts_of(script)} - set(SCRIPTS)
    assert used == set(PARTS)


@pytest.mark.parametrize("file", FILES)
def test_a_file_names_just_the_parts_that_it_uses(file: str) -> None:
    text = FILES[file]
    mine = {OWNERS[name] for name in names(text) if name in OWNERS}
    wanted = mine - {BASE, file.removeprefix("parts/")}
    named = uses(text)
    assert len(named) == len(set(named))
    assert set(named) - DOES == wanted


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_defines_all_that_it_calls_before_it_does(script: str) -> None:
    known = BUILT_IN | OF_THE_FORM
    for file, text in texts_of(script).items():
        known |= defined(text)
        called = set(re.findall(r"(?<![\w.:])([A-Za-z_]\w*)\s*\(", code(text)))
        assert called <= known, file


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_calls_every_function_that_it_gets(script: str) -> None:
    """Redis makes each of them anew with each call."""
    text = code(text_of(script))
    assert [name for name in functions(text) if len(re.findall(rf"(?<![\w.]){name}\b", text)) < 2] in (
        [],
        ["each_call"],
    )


def outside_functions(text: str) -> Iterator[str]:
    """Its lines, but for the bodies of its functions."""
    body = None
    for line in code(text).splitlines():
        if (
            body is None
            and (begins := re.match(r"( *)(?:local )?function ", line))
            and not line.rstrip().endswith(" end")
        ):
            body = begins[1]
        elif body is None:
            yield line
        elif line == f"{body}end":
            body = None


@pytest.mark.parametrize("part", sorted(PARTS.keys() - {BASE}))
def test_a_part_makes_anew_for_each_call_what_it_keeps(part: str) -> None:
    """As functions, parts are made once for many calls: one would find what another one left behind."""
    lines = list(outside_functions(PARTS[part]))
    kept, made = set[str](), set[str]()
    for line in lines:
        if row := re.match(r" *local ([\w, ]+?) *(=|$)", line):
            named = {name.strip() for name in row[1].split(",")}
            assert row[2] == "" or all(map(str.isupper, named)), f"{named} is no constant"
            kept |= {name for name in named if not name.isupper()}
        if row := re.match(r" *each_call\(function\(\) ([\w, ]+) = ", line):
            made |= {name.strip() for name in row[1].split(",")}
    assert kept - functions(PARTS[part]).keys() == made


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_short_and_so_are_its_functions(file: str) -> None:
    text = FILES[file]
    assert [name for name, lines in functions(text).items() if lines > MAX_LINES] == []
    assert len(text.splitlines()) <= 200
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("file", FILES)
def test_a_file_begins_with_what_it_is_for(file: str) -> None:
    lines = FILES[file].splitlines()[1 if uses(FILES[file]) else 0 :]
    assert re.match(r"-- [A-Z]", lines[0])


def test_a_poll_that_comes_to_nothing_is_made_up_for_when_the_store_says() -> None:
    (found,) = re.findall(r"^local POLL_AGAIN_MS = (\d+)", TEXTS["sweep"], re.MULTILINE)
    assert int(found) == POLL_AGAIN * 1_000
