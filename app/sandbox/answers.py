"""The answers that views give."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from flask import Response, jsonify

from app.sandbox.checks import Json

Answer: TypeAlias = Response | tuple[Response, int]
View: TypeAlias = Callable[..., Answer | None]  # one that says nothing has done what it was asked


class Problem(Exception):  # an answer, not an error of ours
    """A refusal: HTTP status, a sentence, and the platform's code if it has one."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def created(body: Json) -> Answer:
    return jsonify(body), HTTPStatus.CREATED


def done() -> Answer:
    """There is nothing to say."""
    return Response(status=HTTPStatus.NO_CONTENT)


def plain(message: str, status: int) -> Response:
    return Response(message, status, content_type="text/plain")
