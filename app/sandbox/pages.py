"""What the pages share: their scripts and looks, how they are served, and who may act on them."""

from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template, request

from app.sandbox.answers import Answer, Problem
from app.sandbox.checks import Check, Json, Refused, as_object, read_json_body

# A page shows outside files but runs nothing from outside.
POLICY = "default-src 'self'; img-src http: https: data:; base-uri 'none'; frame-ancestors 'none'"

# Of the gateway's chat page: they look and work alike. Nothing is imported, the files are only served.
KIT = Path(__file__).parent.parent / "web" / "static" / "kit"


def create_kit() -> Blueprint:
    """The shared files, below the pages' own ones, and the icon for addresses that are no pages."""
    kit = Blueprint("kit", __name__, static_folder=KIT, static_url_path="/static/kit")
    kit.add_url_rule("/favicon.ico", "favicon", lambda: kit.send_static_file("favicon.svg"))
    return kit


def wants_page() -> bool:
    """A browser, rather than a program, which may say nothing of what it takes."""
    return request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"


def show(template: str, **values: object) -> Response:
    html = render_template(template, **values)
    return Response(html, headers={"Content-Security-Policy": POLICY, "Content-Type": "text/html"})


def read_body(check: Check) -> Json:
    body = as_object(read_json_body(request.mimetype, request.get_data()), "body")
    check(body, "")
    return body


def protect(blueprint: Blueprint) -> None:
    """A page of another site must not act here; refusals are JSON that names the field."""
    blueprint.before_request(_same_site)
    blueprint.register_error_handler(Refused, lambda problem: _error(problem.field, str(problem), problem.status))
    blueprint.register_error_handler(Problem, lambda problem: _error("path", str(problem), problem.status))


def _same_site() -> Answer | None:
    origin = request.headers.get("Origin")
    if origin is None or f"{origin}/" == request.host_url or request.method == "GET":
        return None
    return _error("Origin", "is another site", HTTPStatus.FORBIDDEN)


def _error(field: str, message: str, status: int) -> Answer:
    return jsonify(error={"field": field, "message": message}), status
