"""The receiver: a thin Flask application in front of the store."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException

from app.config.file import ACCESS_LOG_VARIABLE
from app.core.errors import StoreUnavailable
from app.gateway import RECEIVER_TIMEOUT, Gateway, build, settings_from_environment
from app.inbox import NotTaken
from app.local.child import die_with_parent
from app.log import logger
from app.web import accesses, api, chat, files, health, home, receive, rest, spooling
from app.web.answers import problem, try_again
from app.web.bodies import announce_lengths
from app.web.shortcut import answer_webhooks
from app.web.slashes import merge_slashes

log = logger("web")

NOTHING = "The store cannot be reached; nothing was recorded."
UNKNOWN = (
    "The store did not answer in time; all or some of this may have been recorded. "
    "Send it again: with the same ids it counts once."
)


class Receiver(Flask):
    """Refuses a body that is too large, whether anybody reads it or not. A hook would cost more than the look does."""

    def preprocess_request(self) -> Any:
        if (request.content_length or 0) > self.config["MAX_CONTENT_LENGTH"]:
            abort(413)
        return super().preprocess_request()


def create_app(gateway: Gateway | None = None) -> Flask:
    """The WSGI application. Without a gateway, one is built from the environment (see `app.gateway`)."""
    if gateway is None:
        die_with_parent()  # granian's children must not outlive it
        gateway = build(settings_from_environment(), role="receiver", timeout=RECEIVER_TIMEOUT)
        log.info("started", **gateway.summary())
    app = Receiver("app.web")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.config["MAX_CONTENT_LENGTH"] = gateway.settings.gateway["max_body"]
    app.extensions["patchbay"] = gateway
    spool = app.extensions["patchbay-spool"] = spooling.start(gateway)
    answering = answer_webhooks(app.wsgi_app, gateway, spool, _failed)
    if os.environ.get(ACCESS_LOG_VARIABLE) == "1":
        accesses.log_all(app)
        answering = app.wsgi_app  # which calls the log's hooks
    layered = announce_lengths(merge_slashes(answering), gateway.settings.gateway["max_body"])
    app.wsgi_app = layered  # type: ignore[method-assign,assignment]  # as Flask's manual does it
    for face in (health, home, files, receive, rest, chat, api):
        app.register_blueprint(face.blueprint)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(StoreUnavailable, _unavailable)
    app.register_error_handler(NotTaken, _not_taken)
    app.register_error_handler(Exception, _bug)
    return app


def _refused(error: HTTPException) -> Any:
    return problem(error.code or 500, error.description or error.name, headers=dict(error.get_headers()))


def _failed(error: Exception) -> Any:
    return _unavailable(error) if isinstance(error, StoreUnavailable) else _bug(error)


def _unavailable(error: StoreUnavailable) -> Any:
    return try_again(503, UNKNOWN if error.maybe_done else NOTHING, error.again)


def _not_taken(error: NotTaken) -> Any:
    if error.retry_after is None:
        return problem(error.status, str(error))
    return try_again(error.status, str(error), error.retry_after)


def _bug(error: Exception) -> Any:
    log.error("unexpected", exc_info=error)
    return problem(500, "An unexpected error; it has been logged.")
