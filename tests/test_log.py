"""Logs: one JSON object a line, and no secret in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app import log
from app.log import REDACTED, redactor
from tests.support.values import QUICK

SECRETS = ["desk-token-0001", "desk-token-0001-longer", 'with"quote\\and backslash']


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def written(capsys: pytest.CaptureFixture[str], event: str, **values: Any) -> dict[str, Any]:
    log.configure(SECRETS)
    log.logger("test").info(event, **values)
    (line,) = capsys.readouterr().out.splitlines()
    read: dict[str, Any] = orjson.loads(line)
    return read


def test_a_line_is_written_whatever_stands_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "odd", said="a\ud83d", number=10**30)
    assert ("odd", "a\ufffd", 1e30) == (line["event"], line["said"], line["number"])


def test_a_line_is_a_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "attempt", lane="inbound:desk", ms=1.5)
    assert (
        line["event"],
        line["lane"],
        line["ms"],
        line["level"],
        line["part"],
    ) == ("attempt", "inbound:desk", 1.5, "info", "test")
    assert line["timestamp"].endswith("Z")


def as_text(capsys: pytest.CaptureFixture[str], event: str, **values: Any) -> str:
    log.configure(SECRETS, "text")
    log.logger("test").warning(event, **values)
    return capsys.readouterr().out


def test_text_is_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    line = as_text(capsys, "attempt", lane="inbound:desk", ms=1.5)
    assert re.fullmatch(r"\S+Z \[warning *\] attempt +lane='inbound:desk' ms=1.5 part='test'\n", line)


def test_text_obeys_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    line = as_text(capsys, "refused", reason="\x1b[2Jgone\n2026-01-01 a line of theirs\u202e")
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()


@pytest.mark.parametrize("value", [*SECRETS, [SECRETS], ValueError(SECRETS[0])])
def test_text_has_no_secret(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"exc_info": value} if isinstance(value, Exception) else {"value": value}
    line = as_text(capsys, "refused", **more)
    assert REDACTED in line
    assert not any(secret in line for secret in SECRETS)
    assert "and backslash" not in line


def test_what_is_logged_of_a_conversation_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with log.about("shop/webhook:ada"):
        line = written(capsys, "attempt")
    assert ("shop", "shop/webhook:ada") == (line["channel"], line["conversation"])
    assert "conversation" not in written(capsys, "attempt")


class Shown:
    def __repr__(self) -> str:
        return f"<Shown {SECRETS[0]}>"


PLACES: dict[str, Any] = {
    "a text": "token desk-token-0001 refused",
    "a list": [["desk-token-0001"]],
    "an object": {"a": {"b": "desk-token-0001"}},
    "a name within an object": {"desk-token-0001": 1},
    "anything with a repr": Shown(),
    "an exception": ValueError("desk-token-0001"),
    "a text that JSON escapes": SECRETS[2],
}


@pytest.mark.parametrize("value", PLACES.values(), ids=PLACES)
def test_a_secret_is_blotted_out_wherever_it_stands(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = written(capsys, "refused", value=value)
    assert "desk-token-0001" not in str(line)
    assert "and backslash" not in str(line)
    assert REDACTED in str(line["value"])


def test_a_traceback_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("desk-token-0001")
    except ValueError as error:
        line = written(capsys, "unexpected", exc_info=error)
    assert "ValueError: [redacted]" in line["exception"]


BLOTTED = {
    "none": ([], "a token", "a token"),
    "one": (["desk-token"], "my desk-token!", f"my {REDACTED}!"),
    "twice": (["desk-token"], "desk-token,desk-token", f"{REDACTED},{REDACTED}"),
    "the longer one first": (["desk", "desk-token"], "desk-token desk", f"{REDACTED} {REDACTED}"),
    "no pattern": (["a.*b"], "axxb a.*b", f"axxb {REDACTED}"),
    "too short to be told from words": (["abc", ""], "abc", "abc"),
}


@pytest.mark.parametrize(("secrets", "text", "expected"), BLOTTED.values(), ids=BLOTTED)
def test_blotting_out(secrets: list[str], text: str, expected: str) -> None:
    assert expected == redactor(secrets)(text)


@QUICK
@given(st.lists(st.from_regex(r"[!-~]{8,20}", fullmatch=True), min_size=1, max_size=5), st.text(max_size=20))
def test_no_secret_survives(secrets: list[str], between: str) -> None:
    text = between.join(["", *secrets, ""])
    assert not any(secret in redactor(secrets)(text).replace(REDACTED, "\0") for secret in secrets)
