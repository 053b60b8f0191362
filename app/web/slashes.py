"""Paths with slashes too many are taken as if written once. A redirect would name the Host that the caller made up, and
few senders of webhooks follow one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
AS_WRITTEN = "patchbay.path"  # of the environ: the path as it came, which is what signatures speak of
MANY = re.compile("/{2,}")


def merge_slashes(application: Application) -> Application:
    """The WSGI application behind the one rule: no slash twice, none at the end."""

    def merged(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path or path.endswith("/"):
            environ[AS_WRITTEN] = path.encode("latin-1").decode(errors="replace")  # so WSGI has its bytes
            environ["PATH_INFO"] = MANY.sub("/", path).rstrip("/") or "/"
        return application(environ, start_response)

    return merged
