"""The gateway's front door: for people who open its address, and the icon that browsers ask every address for."""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, abort, current_app, make_response, redirect, render_template, request

SANDBOX = "SANDBOX_PUBLIC_URL"  # set where `patchbay up --sandbox` runs; its home page shows every door

blueprint = Blueprint("home", __name__)


@blueprint.route("/", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def page() -> Any:
    """Leads to the sandbox where there is one; else browsers are told what this is. Programs find nothing here."""
    takes = request.accept_mimetypes
    sandbox = os.environ.get(SANDBOX)
    if request.method not in ("GET", "HEAD"):
        abort(404)
    if sandbox and takes.best_match(("text/html", "application/json")) == "text/html":
        response = redirect(f"{sandbox.rstrip('/')}/")
    elif takes.best_match(("application/json", "text/html")) == "text/html":
        response = make_response(render_template("home.html"))
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
    else:
        abort(404)
    response.headers["Vary"] = "Accept"
    return response


@blueprint.get("/favicon.ico")
def favicon() -> Any:
    return current_app.send_static_file("kit/favicon.svg")
