"""Links that need no password and are good for a while, as platforms give them for files."""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256

from flask import Response

LINK_SECONDS = 300
# A picture from outside must not act on our pages.
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


def temporary_link(secret: bytes, url: str, sid: str) -> str:
    """`url` with its end and a signature."""
    expires = str(int(time.time()) + LINK_SECONDS)
    return f"{url}?Expires={expires}&Signature={_sign(secret, sid, expires)}"


def is_good(secret: bytes, sid: str, query: Mapping[str, str]) -> bool:
    expires, given = query.get("Expires", ""), query.get("Signature", "")
    is_ours = hmac.compare_digest(_sign(secret, sid, expires).encode(), given.encode())
    return is_ours and int(expires) >= time.time()


def serve(data: bytes, content_type: str) -> Response:
    return Response(data, content_type=content_type, headers=SAFE)


def _sign(secret: bytes, sid: str, expires: str) -> str:
    return hmac.new(secret, f"{sid}:{expires}".encode(), sha256).hexdigest()
