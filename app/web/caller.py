"""Where a caller is: the one place that decides whom to believe about it."""

from __future__ import annotations

import os

from flask import request

from app.gateway import BEHIND_PROXY_VARIABLE


def address_of_caller() -> str:
    """The caller's IP address; behind a proxy the one that it saw, which stands last in `X-Forwarded-For`."""
    peer = request.remote_addr or ""
    if os.environ.get(BEHIND_PROXY_VARIABLE) != "1":
        return peer
    return request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer
