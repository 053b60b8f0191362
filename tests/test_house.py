"""What the design promises of the house, counted.

Each rule has a list of what broke it when the rule was written. It only gets shorter: what is not on it fails, and so
does what is on it and keeps the rule by now.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from app.platforms.registry import BUILT_IN

ROOT = Path(__file__).parent.parent
CODE = {".py", ".lua", ".js", ".css", ".html"}
LINES, LINES_OF_A_FUNCTION = 350, 40
SANDBOX = "app/sandbox/"

Function = ast.FunctionDef | ast.AsyncFunctionDef

LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def test_no_file_is_long() -> None:
    only(LONG_FILES, (name_of(path) for path in files("app", "workers") if len(text_of(path).splitlines()) > LINES))


def test_no_function_is_long() -> None:
    found = (
        f"{name}: {node.name}"
        for name, tree in trees("app", "workers")
        for node in nodes_of(tree)
        if isinstance(node, Function) and lines_of(node) > LINES_OF_A_FUNCTION
    )
    only(LONG_FUNCTIONS, found)


# --- platforms: nothing outside of their folder names one; the sandbox stands in for them, so it does ---

PLACES = ("app/platforms/", SANDBOX)
ALSO_A_WORD = {"webhook"}  # every platform sends them
NAME_PLATFORMS: set[str] = {
    "app/web/rest/__init__.py",
    "app/web/rest/creating.py",
    "app/web/rest/listing.py",
    "app/web/rest/repeating.py",
    "app/web/rest/resource.py",
}


def test_only_platforms_name_platforms() -> None:
    outside = ((name, tree) for name, tree in trees("app", "workers") if not name.startswith(PLACES))
    only(NAME_PLATFORMS, (name for name, tree in outside if any(map(is_a_platform, words_in(tree)))))


@cache
def platforms() -> set[str]:
    """One name for all types of a family: `flex` of `flex_chat`."""
    return {entry.partition(".")[2].partition("_")[0] for entry in BUILT_IN} - ALSO_A_WORD


def is_a_platform(word: str) -> bool:
    """In names of any style, and as people write it: `TwilioChannel`, `flex_chat`, `respond.io`."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower().replace("respond.io", "respondio")
    return not platforms().isdisjoint(re.split(r"[^a-z]", parts))


def words_in(tree: ast.Module) -> Iterator[str]:
    """All names and texts but for docstrings, in which examples may stand."""
    described = {node.body[0].value for node in nodes_of(tree) if has_docstring(node)}
    for node in nodes_of(tree):
        if node not in described:
            for _, value in ast.iter_fields(node):
                yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node, clean=False) is not None


# --- items: what waits in a mailbox is written and read in one place ---

ITEMS = "app/core/work.py"
KINDS = ("message", "handoff", "lost", "check", "ended", "typing", "status", "close", "record", "price")
WRITTEN = re.compile(rf"({'|'.join(KINDS)}) (@|\w+ )?|lost handoff|handoff again|ended silence")
SPLITTERS = {"partition", "removeprefix", "split", "startswith"}
SPEAK_OF_ITEMS: set[str] = set()


def test_items_are_written_and_read_in_one_place() -> None:
    """The scripts of the store, which speak of some, are held to the same table by a test of its own."""
    others = ((name, tree) for name, tree in trees("app", "workers") if not name.startswith((ITEMS, SANDBOX)))
    only(SPEAK_OF_ITEMS, (name for name, tree in others if any(map(speaks_of_an_item, nodes_of(tree)))))


def speaks_of_an_item(node: ast.AST) -> bool:
    """Writes one, takes one apart, or asks for the kind of a claim by its word."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) | ast.Constant(value=str(text)):
            return WRITTEN.fullmatch(text) is not None
        case ast.Call(func=ast.Attribute(attr=verb), args=[ast.Constant(value=str(text))]):
            return verb in SPLITTERS and text.strip() in KINDS
        case ast.Compare(left=ast.Attribute(attr="kind"), comparators=[ast.Constant(value=str(text))]):
            return text in KINDS
    return False


# --- one thing, one word: a limit is a `MAX_...` ---


def test_limits_have_one_word() -> None:
    names = ((file, name) for file, tree in trees("app", "workers") for node in nodes_of(tree) for name in given(node))
    only(set(), (f"{file}: {name}" for file, name in names if name.isupper() and "MOST" in name.split("_")))


# --- tests reach no private names of ours ---

THEIRS = {"_content", "_from"}  # also names of libraries that tests speak to
PRIVATE = r"\b_[A-Za-z]"
REACH_PRIVATE_NAMES: set[str] = set()


def test_tests_reach_no_private_names() -> None:
    found = (f"{name}: {word}" for name, tree in trees("tests", saying=PRIVATE) for word in reached(tree))
    only(REACH_PRIVATE_NAMES, found)


def reached(tree: ast.Module) -> Iterator[str]:
    """Private names of `app` and `workers` that are asked of something else than `self`, imported, or patched."""
    for node in nodes_of(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if name in ours():
                yield name
            case ast.ImportFrom(module=str(module)) if module.startswith(("app", "workers")):
                yield from (alias.name for alias in node.names if is_private(alias.name))
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr")):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                yield from ours().intersection(text.rpartition(".")[2] for text in texts)


@cache
def ours() -> set[str]:
    """Every private name that is given something in the house."""
    found = {name for _, tree in trees("app", "workers") for node in nodes_of(tree) for name in given(node)}
    return {name for name in found if is_private(name)} - THEIRS


def given(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


# --- reading ---


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in CODE)


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def nodes_of(tree: ast.Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree))


def trees(*folders: str, saying: str = "") -> Iterator[tuple[str, ast.Module]]:
    """Of each Python file its name and what stands in it. Reading one takes long, so only those that match `saying`."""
    found = (path for path in files(*folders) if path.suffix == ".py" and re.search(saying, text_of(path)))
    return ((name_of(path), tree_of(path)) for path in found)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_of(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def only(allowed: Iterable[str], found: Iterable[str]) -> None:
    allowed, found = set(allowed), set(found)
    new, over = sorted(found - allowed), sorted(allowed - found)
    assert not new, f"these break the rule: {new}"
    assert not over, f"these keep the rule by now, take them off the list: {over}"
