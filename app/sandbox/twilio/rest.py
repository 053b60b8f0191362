"""What all REST resources of Twilio share: who may call, how refusals read, what each method does to a resource."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias, TypeVar

from flask import Blueprint, Response, jsonify, request

from app.sandbox.answers import Answer, Problem, View, created, done
from app.sandbox.checks import Json, Refused
from app.sandbox.faults import Faults, expose
from app.sandbox.twilio.form import Param, read_params
from app.sandbox.twilio.memory import Memory
from app.sandbox.twilio.paging import PAGING, Page, cut, own_path
from app.sandbox.twilio.records import Dated, Form, iso

# Twilio's codes by HTTP status, where no better one is known; 20409 follows the pattern.
CODES = {400: 20001, 401: 20003, 403: 20403, 404: 20404, 409: 20409, 429: 20429, 500: 20500, 503: 20503}
FORM_TYPE = "application/x-www-form-urlencoded"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Params: TypeAlias = Mapping[str, Param]
Thing = TypeVar("Thing")


def not_found() -> Problem:
    return Problem(404, f"The requested resource {request.path} was not found")


def found(thing: Thing | None) -> Thing:
    if thing is None:
        raise not_found()
    return thing


def check_known(given: str | None, ours: str) -> None:
    """There is one account, one service and one workspace."""
    if given != ours:
        raise not_found()


def error_answer(status: int, message: str, code: int | None = None) -> Response:
    code = code or CODES.get(status, 20000 + status)
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    response = jsonify(code=code, message=message, more_info=more_info, status=status)
    response.status_code = status
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return response


def knows_password(account_sid: str, auth_token: str) -> bool:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    try:
        given = b64decode(credentials, validate=True)
    except ValueError:
        return False
    return scheme.lower() == "basic" and given == f"{account_sid}:{auth_token}".encode()


def guard(blueprint: Blueprint, target: str, faults: Faults, memory: Memory, account: tuple[str, str]) -> None:
    """Let every request meet the faults, ask it for the password of `account`, and refuse in Twilio's form."""

    def refuse(status: int, message: str, code: int | None = None) -> Response:
        memory.keep("refused", {"status": status, "method": request.method, "path": request.path, "message": message})
        return error_answer(status, message, code)

    def unknown(rest: str) -> Answer:
        raise not_found()

    expose(blueprint, target, faults, error_answer)
    blueprint.before_request(lambda: None if knows_password(*account) else refuse(401, "Authenticate"))
    blueprint.register_error_handler(Problem, lambda problem: refuse(problem.status, str(problem), problem.code))
    blueprint.register_error_handler(Refused, lambda problem: refuse(400, f"Invalid parameter {problem}"))
    blueprint.add_url_rule("/<path:rest>", "unknown", unknown, methods=METHODS)


def read_form(params: Params) -> Form:
    if request.query_string:
        raise Refused("query", "must be empty, parameters go into the form")
    if request.get_data() and request.mimetype != FORM_TYPE:
        raise Refused("Content-Type", f"must be {FORM_TYPE}")
    return read_params(params, request.form)


def own_url(path: str) -> str:
    """The address of something of ours, as the caller would reach it."""
    return f"{request.host_url}twilio{path}"


def stamp(account_sid: str, record: Dated, moment: Callable[[datetime], str | None] = iso) -> Json:
    """What every resource says of itself."""
    dates = {"date_created": moment(record.created), "date_updated": moment(record.updated)}
    return {"sid": record.sid, "account_sid": account_sid, **dates}


def picked(record: object, names: str) -> Json:
    """The fields that answers call by the names that they have here."""
    return {name: getattr(record, name) for name in names.split()}


class Resource:
    """One kind of thing: the list at each of `paths`, and each one behind it. It can what it has methods for.

    `owner(**parts)` takes the parts of the path and finds whose things these are, or refuses. `find(owner, name)`,
    `all(owner, query)` and `create(owner)` go by it, `update`, `delete` and `show` take the thing. A list has a `key`
    for its records, and `query` are its parameters beside those for pages.
    """

    paths: ClassVar[tuple[str, ...]] = ()
    name: ClassVar[str] = "<name>"
    key: ClassVar[str] = ""
    query: ClassVar[Params] = {}

    def add_others(self, routes: "Routes") -> None:
        """Views that are no such method."""


class OfAccount(Resource):
    """What belongs to the account itself."""

    def owner(self) -> None: ...


class Routes:
    """Adds views to the blueprint; each runs alone, so that what it looks up is still true when it writes."""

    base, suffix, max_page_size = "", "", 100

    def __init__(self, blueprint: Blueprint, memory: Memory) -> None:
        self._blueprint = blueprint
        self._memory = memory

    def add(self, method: str, rule: str, view: View) -> None:
        def alone(**parts: str) -> Answer:
            with self._memory.lock:
                answer = self.call(view, parts)
            return done() if answer is None else answer

        rule = self.base + rule
        endpoint = f"{method} {rule}".replace(".", "_")  # Flask wants no dots
        self._blueprint.add_url_rule(rule, endpoint, alone, methods=[method])

    def call(self, view: View, parts: dict[str, str]) -> Answer | None:
        return view(**parts)

    def add_resource(self, one: Any) -> None:
        """`one` is a `Resource`."""
        for path in one.paths:
            every, single = path + self.suffix, f"{path}/{one.name}{self.suffix}"
            views: list[tuple[str, str, str, View]] = [
                ("all", "GET", every, self._list),
                ("create", "POST", every, _create),
                ("find", "GET", single, _fetch),
                ("update", "POST", single, _update),
                ("delete", "DELETE", single, _delete),
            ]
            for verb, method, rule, view in views:
                if hasattr(one, verb):
                    self.add(method, rule, partial(view, one))
        one.add_others(self)

    def _list(self, one: Any, **parts: str) -> Answer:
        owner = one.owner(**parts)
        query = read_params({**one.query, **PAGING}, request.args)
        page = cut(one.all(owner, query), query, self.max_page_size)
        return jsonify(self.show_page(one.key, [one.show(record) for record in page.records], page))

    def show_page(self, key: str, records: list[Json], page: Page[Any]) -> Json:
        urls = page.links("url", "{}_page_url", request.host_url.rstrip("/") + own_path())
        return {key: records, "meta": {"key": key, "page": page.number, "page_size": page.size, **urls}}


def _create(one: Any, **parts: str) -> Answer:
    return created(one.show(one.create(one.owner(**parts))))


def _fetch(one: Any, **parts: str) -> Answer:
    return jsonify(one.show(_find(one, **parts)))


def _update(one: Any, **parts: str) -> Answer:
    return jsonify(one.show(one.update(_find(one, **parts))))


def _delete(one: Any, **parts: str) -> None:
    one.delete(_find(one, **parts))


def _find(one: Any, name: str, **parts: str) -> Any:
    return found(one.find(one.owner(**parts), name))
