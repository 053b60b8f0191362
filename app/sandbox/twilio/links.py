"""Links to files that need no password and are good for a while."""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256

from flask import Blueprint, Response, request

from app.sandbox.faults import Faults, expose
from app.sandbox.twilio.memory import Memory
from app.sandbox.twilio.records import File
from app.sandbox.twilio.rest import error_answer, own_url

LINK_SECONDS = 300
# A picture from outside must not act on our pages.
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


def link_to(memory: Memory, file: File) -> str:
    expires = str(int(time.time()) + LINK_SECONDS)
    signature = _sign(memory.secret, file.sid, expires)
    return f"{own_url(f'/{memory.LINKS}/{file.sid}')}?Expires={expires}&Signature={signature}"


def serve(file: File) -> Response:
    return Response(file.data, content_type=file.content_type, headers=SAFE)


def create_blueprint(target: str, memory: Memory, faults: Faults) -> Blueprint:
    """The links' far end."""

    def download(media_sid: str) -> Response:
        if not _is_good(memory.secret, media_sid, request.args):
            return Response("This link is not good, or no longer", 403)
        file = memory.media.get(media_sid)
        return serve(file) if file else Response(status=404)

    blueprint = Blueprint(f"{target}_media", __name__, url_prefix=f"/twilio/{memory.LINKS}")
    expose(blueprint, target, faults, error_answer)
    blueprint.add_url_rule("/<media_sid>", "download", download)
    return blueprint


def show_file(memory: Memory, file: File) -> dict[str, object]:
    """As the pages show it."""
    kind = "image" if file.content_type.startswith("image/") else "file"
    return {"type": kind, "url": link_to(memory, file), "fileName": file.filename or "", "description": ""}


def _is_good(secret: bytes, sid: str, query: Mapping[str, str]) -> bool:
    expires, given = query.get("Expires", ""), query.get("Signature", "")
    is_ours = hmac.compare_digest(_sign(secret, sid, expires).encode(), given.encode())
    return is_ours and int(expires) >= time.time()


def _sign(secret: bytes, sid: str, expires: str) -> str:
    return hmac.new(secret, f"{sid}:{expires}".encode(), sha256).hexdigest()
