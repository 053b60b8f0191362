"""The shapes of answers that are no success: JSON that names the field and the rule, never a trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, make_response

from app.core.events import Reply

KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")


def problem(status: int, message: str, field: str = "", headers: Mapping[str, str] | None = None) -> Response:
    error = {"field": field, "message": message} if field else {"message": message}
    response = make_response(jsonify(error=error), status)
    for name, value in (headers or {}).items():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def try_again(status: int, message: str, seconds: int) -> Response:
    return problem(status, message, headers={"Retry-After": str(seconds)})


def reply(answer: Reply) -> Response:
    """An adapter's answer as Flask's."""
    body: Any = answer.body
    if body is None:
        response = make_response("", answer.status)
    elif isinstance(body, str):
        response = make_response(body, answer.status)
        response.mimetype = "text/plain"
    else:
        response = make_response(jsonify(body), answer.status)
    response.headers.update(answer.headers)
    return response
