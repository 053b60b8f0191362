"""A line in the log for each request, where an operator wants that: by the route, since paths hold customers' addresses
and tokens of links."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from app.log import logger
from app.web.caller import address_of_caller

MAX_PATH = 200  # characters of one that nobody serves

log = logger("access")


def log_all(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_tell)


def _begin() -> None:
    g.began = time.monotonic()


def _tell(response: Response) -> Response:
    """What is streamed is told of when it begins."""
    route, names = request.url_rule, request.view_args or {}
    log.info(
        "request",
        method=request.method,
        route=route.rule if route else request.path[:MAX_PATH],
        **{key: names[key] for key in ("name", "channel") if key in names},
        status=response.status_code,
        bytes=request.content_length or 0,
        ms=round((time.monotonic() - g.began) * 1000, 1) if "began" in g else 0.0,
        caller=address_of_caller(),
    )
    return response
