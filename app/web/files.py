"""Links to files: what customers sent and what agents show, for a while and for whoever has the link."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from typing import Any, BinaryIO

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from app.config.file import THREADS_VARIABLE
from app.core.errors import Unverified
from app.core.events import Reply
from app.gateway import Gateway
from app.log import logger
from app.web.answers import Whole, problem, reply, try_again
from app.web.shelf import Crowded, Found, Shelf, pieces
from app.web.stalled import end_stalled_writes

blueprint = Blueprint("files", __name__)
log = logger("files")

THREADS = int(os.environ.get(THREADS_VARIABLE) or 64)  # of one process
AT_ONCE = 256 * 1024  # bytes of an answer that the server takes from a thread at once
GONE = "This link is not valid, or not any more."
MIME_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,128}")
SHOWN = ("image", "audio", "video")
WITH_SCRIPTS = ("image/svg+xml",)
CAREFUL = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=60",
}


@blueprint.record
def _make_shelf(state: BlueprintSetupState) -> None:
    """Each application has its own; most threads are left for webhooks."""
    few = max(1, THREADS // 16)
    state.app.extensions["patchbay-files"] = Shelf(calls=few, waiting=max(1, THREADS // 8), sending=few)


@blueprint.get("/channels/<name>/media/<token>")
def customers_file(name: str, token: str) -> Response:
    """A file that a customer sent."""
    return _file(name, _gateway().channels, token)


@blueprint.get("/destinations/<name>/media/<token>")
def agents_file(name: str, token: str) -> Response:
    """A file that a destination's message shows."""
    return _file(name, _gateway().destinations, token)


def _file(name: str, among: Container[str], token: str) -> Response:
    """The file, or off to where its platform has it at this moment."""
    gateway = _gateway()
    holder = gateway.offers.files.get(name) if name in among else None
    if holder is None:
        return problem(404, GONE)
    try:
        which = holder.check_link(token)  # never the token: it can be spelt in many ways, and each would be a call
        return _shown(_shelf().get(f"{name} {which}", lambda into: holder.media(token, gateway.http, into)), name)
    except Unverified:
        return problem(404, GONE)
    except Crowded:
        return try_again(503, "Too many files are asked for at the moment.", 2)


def _shown(found: Found, name: str) -> Response:
    if isinstance(found.failure, Unverified):
        return problem(404, GONE)
    if found.failure:
        log.warning("file not had", name=name, kind=found.failure.kind.code, error=found.failure.detail)
        return try_again(502, "The file cannot be had at the moment.", 10)
    if found.file is None:
        return reply(Reply(302, "", {"Location": found.where, "Cache-Control": "private, max-age=60"}))
    response = _body(found, found.file)
    response.make_conditional(_with_one_range(), accept_ranges=True, complete_length=found.size)
    if found.size > AT_ONCE and request.method != "HEAD":
        end_stalled_writes()
        response.call_on_close(_shelf().send())  # last: an answer that is never given would keep its place
    return response


def _with_one_range() -> dict[str, Any]:
    """The request; without its Range where we know no such unit or there are several parts: it may be passed over."""
    asked = request.range
    if asked and asked.units == "bytes" and len(asked.ranges) == 1:
        return request.environ
    return {name: value for name, value in request.environ.items() if name != "HTTP_RANGE"}


def _body(found: Found, file: BinaryIO) -> Response:
    """Small ones whole; of a large one never more than a piece is in memory, and it holds a thread that sends it."""
    headers = {**CAREFUL, **_how_to_show(found.mime_type), "Content-Length": str(found.size)}
    if found.size <= AT_ONCE:
        return Whole(b"".join(pieces(file)), headers=headers)
    return Response(pieces(file), headers=headers)


def _how_to_show(mime_type: str) -> dict[str, str]:
    """What a stranger sent is shown only where it can carry no script; browsers are to save the rest."""
    kind = mime_type.partition(";")[0].strip().lower()
    known = MIME_TYPE.fullmatch(kind)
    shown = known and kind.partition("/")[0] in SHOWN and kind not in WITH_SCRIPTS
    return {
        "Content-Type": kind if known else "application/octet-stream",
        "Content-Disposition": "inline" if shown else "attachment",
    }


def _shelf() -> Shelf:
    shelf: Shelf = current_app.extensions["patchbay-files"]
    return shelf


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway
