"""The shapes of answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import create_environ, run_wsgi_app

from app.core.events import Reply
from app.web.answers import problem, reply, try_again


@pytest.fixture(autouse=True)
def _application() -> Iterator[None]:
    with Flask("tests").app_context():
        yield


REPLIES: dict[str, tuple[Reply, tuple[int, str, str]]] = {
    "JSON": (Reply(200, {"mId": "m1"}), (200, "application/json", '{"mId":"m1"}')),
    "an empty object": (Reply(202, {}), (202, "application/json", "{}")),
    "a text is plain": (Reply(200, "<b>challenge</b>"), (200, "text/plain", "<b>challenge</b>")),
    "nothing": (Reply(204), (204, "text/html", "")),
    "bytes": (Reply(200, b"x"), (200, "application/octet-stream", "x")),
    "bytes of a type": (Reply(200, b"x", {"Content-Type": "image/png"}), (200, "image/png", "x")),
    "a type of its own": (
        Reply(200, "<Response/>", {"Content-Type": "application/xml"}),
        (200, "application/xml", "<Response/>"),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), REPLIES.values(), ids=REPLIES)
def test_an_adapters_reply(answer: Reply, expected: tuple[int, str, str]) -> None:
    response = reply(answer)
    assert expected == (response.status_code, response.mimetype, response.get_data(as_text=True))


@pytest.mark.parametrize(("method", "expected"), [("POST", b'{"a":"\xc3\xbc"}'), ("HEAD", b"")])
def test_an_answer_says_its_length_and_is_sent_in_one_piece(method: str, expected: bytes) -> None:
    body, status, headers = run_wsgi_app(
        reply(Reply(202, {"a": "ü"}, {"X-Kind": "test"})), create_environ(method=method)
    )
    assert (expected, "202 ACCEPTED") == (b"".join(body), status)
    assert {"Content-Type": "application/json", "Content-Length": "10", "X-Kind": "test"} == dict(headers)


PROBLEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "with a field": ("data.id", {"error": {"field": "data.id", "message": "No."}}),
    "without one": ("", {"error": {"message": "No."}}),
}


@pytest.mark.parametrize(("field", "body"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_names_the_field_if_there_is_one(field: str, body: dict[str, Any]) -> None:
    response = problem(400, "No.", field)
    assert (400, body) == (response.status_code, response.get_json())


def test_only_headers_that_help_are_kept() -> None:
    headers = problem(405, "No.", headers={"Allow": "POST", "X-Debug": "1"}).headers
    assert (headers["Allow"], "X-Debug" in headers) == ("POST", False)


def test_try_again_says_when() -> None:
    response = try_again(503, "Later.", 7)
    assert (
        response.status_code,
        response.headers["Retry-After"],
        response.get_json(),
    ) == (503, "7", {"error": {"message": "Later."}})
