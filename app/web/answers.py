"""The shapes of answers that are no success: JSON that names the field and the rule, never a trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from flask import Response
from werkzeug.http import HTTP_STATUS_CODES

from app.core.events import Reply

STATUS_LINES = {code: f"{code} {name.upper()}" for code, name in HTTP_STATUS_CODES.items()}  # as werkzeug writes them
JSON = "application/json"
KEPT_HEADERS = ("Allow", "Content-Range", "Retry-After", "WWW-Authenticate")


def problem(status: int, message: str, field: str = "", headers: Mapping[str, str] | None = None) -> Response:
    error = {"field": field, "message": message} if field else {"message": message}
    response = _json({"error": error}, status)
    for name, value in (headers or {}).items():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def try_again(status: int, message: str, seconds: int) -> Response:
    return problem(status, message, headers={"Retry-After": str(seconds)})


def reply(answer: Reply) -> Response:
    """An adapter's answer as Flask's."""
    if answer.body is None:
        response = Response(status=answer.status)
    elif isinstance(answer.body, str):
        response = Response(answer.body, answer.status, mimetype="text/plain")
    elif isinstance(answer.body, bytes):
        response = Response(answer.body, answer.status, mimetype="application/octet-stream")
    else:
        response = _json(answer.body, answer.status)
    if answer.headers:
        response.headers.update(answer.headers)
    return response


def written(answer: Reply, environ: Any, start_response: Any) -> Iterable[bytes]:
    """An adapter's answer as WSGI's: the same as Flask's, but plain JSON is not made an object of Flask's before."""
    is_json = answer.body is not None and not isinstance(answer.body, str | bytes)
    if answer.headers or not is_json or answer.status not in STATUS_LINES:
        return reply(answer)(environ, start_response)
    body = orjson.dumps(answer.body)
    start_response(STATUS_LINES[answer.status], [("Content-Type", JSON), ("Content-Length", str(len(body)))])
    return [body]


class Whole(Response):
    """An answer whose body is all there, as the server wants it: none of what streams and redirects need is made."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        body = self.get_data()  # its length already stands among the headers
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _json(body: Any, status: int) -> Response:
    return Whole(orjson.dumps(body), status, content_type=JSON)
