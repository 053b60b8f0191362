"""The sandbox: stand-ins for outside platforms, to try and test Patchbay without accounts.

It imports nothing else of the project and is written from the platforms' wire contracts alone, so that an
adapter which misreads a contract is told so here. All state is in memory, in one process.
"""

from flask import Flask
from werkzeug.serving import BaseWSGIServer

from app.sandbox import control, pages
from app.sandbox.control import Control
from app.sandbox.faults import Faults
from app.sandbox.routing import create_flask
from app.sandbox.server import MEDIA_LIMIT, build_server
from app.sandbox.settings import SandboxSettings
from app.sandbox.stand_ins import STAND_INS

__all__ = ["SandboxSettings", "create_app", "make_server", "serve"]


def create_app(settings: SandboxSettings | None = None) -> Flask:
    """A fresh sandbox with its own state; without settings, those of the environment."""
    settings, faults = settings or SandboxSettings.from_env(), Faults()
    stand_ins = [kind(settings, faults) for kind in STAND_INS]
    app = create_flask(__name__, STAND_INS)
    app.config["MAX_CONTENT_LENGTH"] = MEDIA_LIMIT
    for blueprint in (blueprint for one in stand_ins for blueprint in one.blueprints()):
        app.register_blueprint(blueprint)
    app.register_blueprint(pages.create_kit())
    app.register_blueprint(control.create_blueprint(Control(settings, faults, stand_ins)))
    return app


def make_server(host: str, port: int, settings: SandboxSettings | None = None) -> BaseWSGIServer:
    """A bound server that does not serve yet; port 0 takes a free one, readable as `.port`."""
    return build_server(create_app(settings), host, port)


def serve(host: str, port: int, settings: SandboxSettings | None = None) -> None:
    """Serve until interrupted."""
    server = make_server(host, port, settings)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
