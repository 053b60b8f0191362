"""What all REST resources of Twilio share: who may call, how refusals read, how lists are paged."""

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Protocol, TypeAlias, TypeVar

from flask import Blueprint, Response, jsonify, request

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.form import Param, read_params
from app.sandbox.flex.paging import PAGING, cut, own_path
from app.sandbox.flex.records import Dated, Form
from app.sandbox.settings import SandboxSettings

# Twilio's codes by HTTP status, where no better one is known.
CODES = {400: 20001, 401: 20003, 403: 20403, 404: 20404, 409: 20409, 429: 20429, 500: 20500, 503: 20503}
FORM_TYPE = "application/x-www-form-urlencoded"
WEBHOOK_HEADER = "X-Twilio-Webhook-Enabled"
PAGE_SIZE_MOST = 100

Answer: TypeAlias = Response | tuple[Response, int]
View: TypeAlias = Callable[..., Answer]
Record = TypeVar("Record", bound=Dated)


class Keeper(Protocol):
    """A memory that can be locked and that keeps what was refused."""

    @property
    def lock(self) -> AbstractContextManager[object]: ...

    def keep(self, name: str, entry: Json) -> None: ...


class Problem(Exception):  # an answer, not an error of ours
    """A refusal: HTTP status, a sentence, and Twilio's code."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def not_found() -> Problem:
    return Problem(404, f"The requested resource {request.path} was not found")


def error_answer(status: int, message: str, code: int | None = None) -> Response:
    code = code or CODES.get(status, 20000 + status)
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    response = jsonify(code=code, message=message, more_info=more_info, status=status)
    response.status_code = status
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return response


class Routes:
    """Adds views to the blueprint; each runs alone, so that what it looks up is still true when it writes."""

    def __init__(self, blueprint: Blueprint, memory: Keeper) -> None:
        self._blueprint = blueprint
        self._memory = memory

    def add(self, method: str, rule: str, view: View) -> None:
        def alone(**parts: str) -> Answer:
            with self._memory.lock:
                return view(**parts)

        endpoint = f"{method} {rule}".replace(".", "_")  # Flask wants no dots
        self._blueprint.add_url_rule(rule, endpoint, alone, methods=[method])


def guard(blueprint: Blueprint, settings: SandboxSettings, memory: Keeper) -> None:
    """Ask every request for the password, and answer refusals in Twilio's form."""

    def refuse(status: int, message: str, code: int | None = None) -> Response:
        memory.keep("refused", {"status": status, "method": request.method, "path": request.path, "message": message})
        return error_answer(status, message, code)

    def before() -> Response | None:
        return None if _knows_password(settings) else refuse(401, "Authenticate")

    blueprint.before_request(before)
    blueprint.register_error_handler(Problem, lambda problem: refuse(problem.status, str(problem), problem.code))
    blueprint.register_error_handler(Refused, lambda problem: refuse(400, f"Invalid parameter {problem}"))


def _knows_password(settings: SandboxSettings) -> bool:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    expected = f"{settings.twilio_account_sid}:{settings.twilio_auth_token}"
    try:
        return scheme.lower() == "basic" and b64decode(credentials, validate=True) == expected.encode()
    except ValueError:
        return False


def read_form(params: Mapping[str, Param]) -> Form:
    if request.query_string:
        raise Refused("query", "must be empty, parameters go into the form")
    if request.get_data() and request.mimetype != FORM_TYPE:
        raise Refused("Content-Type", f"must be {FORM_TYPE}")
    return read_params(params, request.form)


def read_query(params: Mapping[str, Param]) -> Form:
    return read_params({**params, **PAGING}, request.args)


def fires_webhooks() -> bool:
    """Whether this call is to fire webhooks; the enumeration is lower case and the default is no."""
    value = request.headers.get(WEBHOOK_HEADER, "false")
    if value not in ("true", "false"):
        raise Refused(WEBHOOK_HEADER, "must be true or false")
    return value == "true"


def own_url(path: str) -> str:
    """The address of something of ours, as the caller would reach it."""
    return f"{request.host_url}twilio{path}"


def created(body: Json) -> Answer:
    return jsonify(body), HTTPStatus.CREATED


def deleted() -> Answer:
    return Response(status=HTTPStatus.NO_CONTENT)


def page(key: str, records: Sequence[Record], show: Callable[[Record], Json], query: Form) -> Answer:
    """One page of a list."""
    found = cut(records, query, PAGE_SIZE_MOST)
    meta = {
        "page": found.number,
        "page_size": found.size,
        "first_page_url": _page_url(found.first),
        "previous_page_url": _page_url(found.previous),
        "url": _page_url(found.asked),
        "next_page_url": _page_url(found.next),
        "key": key,
    }
    return jsonify({key: [show(record) for record in found.records], "meta": meta})


def _page_url(query: str | None) -> str | None:
    return None if query is None else f"{request.host_url.rstrip('/')}{own_path()}?{query}"
