"""How paths lead to views: one map of rules for all sandboxes with the same stand-ins, and slashes too many.

Compiling a rule takes half a millisecond and there are some 150, the same for every sandbox. So the first one compiles
them, and each later one only says which views of its own they lead to.
"""

import re
import threading
from collections.abc import Hashable
from functools import cache
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, RuleFactory


class ContactIdConverter(BaseConverter):
    """A contact id in a path; custom ids may hold slashes, also several in a row and at either end."""

    regex = r"[A-Za-z0-9_=+/@]+?"
    part_isolating = False


class SharedMap(Map):
    """Takes each rule once, whoever adds it again."""

    def __init__(self) -> None:
        super().__init__(merge_slashes=False, converters={"contact_id": ContactIdConverter})
        self._lock = threading.Lock()
        self._known: set[Hashable] = set()

    def add(self, rulefactory: RuleFactory) -> None:
        with self._lock:
            for rule in rulefactory.get_rules(self):
                name = (rule.rule, rule.endpoint, frozenset(rule.methods or ()))
                if name not in self._known:
                    self._known.add(name)
                    super().add(rule)


@cache
def _rules(stand_ins: Hashable) -> SharedMap:
    return SharedMap()


def create_flask(name: str, stand_ins: Hashable) -> Flask:
    """An application of the package `name`, without views yet, on the rules of all that have these stand-ins."""
    app = Flask(name, static_folder=None)
    app.url_map = _rules(stand_ins)
    app.static_folder = "static"
    app.add_url_rule("/static/<path:filename>", "static", app.send_static_file)
    _merge_slashes(app)
    return app


def _merge_slashes(app: Flask) -> None:
    """Paths with slashes too many are taken as if written once, but where an id holds them.

    A redirect would name a Host that anybody made up.
    """
    serve = app.wsgi_app

    def merged(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if ("//" in path or path.endswith("/")) and not _leads_somewhere(app, environ):
            environ["PATH_INFO"] = re.sub("/{2,}", "/", path).rstrip("/") or "/"
        return serve(environ, start_response)

    app.wsgi_app = merged  # type: ignore[method-assign]  # as Flask's manual does it


def _leads_somewhere(app: Flask, environ: dict[str, Any]) -> bool:
    try:
        app.url_map.bind_to_environ(environ).match()
    except HTTPException:
        return False
    return True
