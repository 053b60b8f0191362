"""What servers that speak OpenAI's API say when something is wrong, by the palette.

The API names a form, `{"error": {"message", "type", "param", "code"}}`. Others put a text in place of the object, or
the object's fields without it, or all of it into a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.core import errors
from app.core.errors import DetailedFailure, Failure, Kind
from app.core.reading import Unreadable, parsed
from app.http import MAX_WAIT, Response, kind_of

LONGEST_DETAIL = 500  # characters of what a server says
SHORTENABLE = (None, 400, 413, 422)  # statuses with which a server says that a question is too long
TOO_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error")
TOO_LONG = re.compile(r"context.{0,12}(length|size|window)|prompt is too long", re.IGNORECASE)

# By `code` or `type`, whatever the status. No money is nothing that passes by itself, though its status is 429.
KINDS: Mapping[str, Kind] = {
    "insufficient_quota": errors.UNAUTHORISED,
    "billing_hard_limit_reached": errors.UNAUTHORISED,
    "billing_not_active": errors.UNAUTHORISED,
    "account_deactivated": errors.UNAUTHORISED,
    "invalid_api_key": errors.UNAUTHORISED,
    "model_not_found": errors.MISCONFIGURED,
    "rate_limit_exceeded": errors.THROTTLED,
    "server_error": errors.UNAVAILABLE,
    "invalid_prompt": errors.REJECTED,
    "invalid_request_error": errors.REJECTED,
}
WEAK = ("server_error", "invalid_request_error")  # they say less than a status does
STATUSES: Mapping[int, Kind] = {
    402: errors.UNAUTHORISED,  # no money, too
    403: errors.UNAUTHORISED,
    409: errors.UNAVAILABLE,
}


class TooLong(DetailedFailure):
    """The question is longer than the model can read."""


class Problem(Struct, frozen=True):
    """What a server says is wrong, each '' where it does not say."""

    code: str = ""
    type: str = ""
    message: str = ""

    @property
    def words(self) -> str:
        name = self.code or self.type
        return f"{name}: {self.message}" if name and self.message else name or self.message

    @property
    def status(self) -> int | None:
        """Some servers put a status of HTTP into an answer that began with 200."""
        return int(self.code) if re.fullmatch(r"[45][0-9]{2}", self.code) else None

    def kind(self, status: int | None, otherwise: Kind) -> Kind:
        """`status` of HTTP, if it speaks of this; `otherwise`: where nothing says what it is."""
        status = status or self.status
        for name in (self.code, self.type):
            if name in KINDS and not (status and name in WEAK):
                return KINDS[name]
        return STATUSES.get(status) or kind_of(status) if status else otherwise


def problem_in(value: Any) -> Problem | None:
    """The problem that an object tells of, if it tells of one by the name `error`."""
    error = value.get("error") if isinstance(value, Mapping) else None
    return _problem(error) if error else None


def checked(response: Response) -> Response:
    """The response if it is a success. Raises: Failure; TooLong."""
    problem = Problem() if response.ok else _told(response.body)
    try:
        return response.check(problem.words)
    except Failure as failure:
        kind = problem.kind(response.status, failure.kind)
        wait = None if kind is errors.UNAUTHORISED else _milliseconds(response) or failure.retry_after
        said = Failure(kind, failure.detail, retry_after=wait, maybe_done=failure.maybe_done)
        raise _perhaps_too_long(problem, response.status, said) from None


def failure_of(problem: Problem, otherwise: Kind) -> Failure:
    """A problem that came in an answer whose status was a success."""
    kind = problem.kind(None, otherwise)
    return _perhaps_too_long(problem, problem.status, Failure(kind, problem.words or "an error without words"))


def _perhaps_too_long(problem: Problem, status: int | None, failure: Failure) -> Failure:
    named = problem.code in TOO_LONG_CODES or problem.type in TOO_LONG_CODES
    if status in SHORTENABLE and (named or TOO_LONG.search(problem.message)):
        return TooLong(failure.restated(errors.REJECTED))
    return failure


def _told(body: bytes) -> Problem:
    try:
        value = parsed(body)
    except Unreadable:
        return Problem()
    value = value[0] if isinstance(value, list) and value else value
    return problem_in(value) or _problem(value if isinstance(value, Mapping) else None)


def _problem(error: Any) -> Problem:
    if isinstance(error, str):
        return Problem(message=error)
    if not isinstance(error, Mapping):
        return Problem()
    return Problem(_name(error.get("code")), _name(error.get("type")), _name(error.get("message")))


def _name(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _milliseconds(response: Response) -> float | None:
    """The header that says it in thousandths, which is the more exact one."""
    value = response.headers.get("retry-after-ms", "").strip()
    return min(int(value) / 1000, MAX_WAIT) if re.fullmatch(r"[0-9]{1,18}", value, re.ASCII) else None
