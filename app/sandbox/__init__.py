"""The sandbox: stand-ins for outside platforms, to try and test Patchbay without accounts.

It imports nothing else of the project and is written from the platforms' wire contracts alone, so that an
adapter which misreads a contract is told so here. All state is in memory, in one process.
"""

from flask import Flask
from werkzeug.serving import BaseWSGIServer

from app.sandbox import agent, application, autopilot, control, flex, messaging, pages, respondio
from app.sandbox.agent import Agent
from app.sandbox.application import Application
from app.sandbox.autopilot import Autopilot
from app.sandbox.control import Control
from app.sandbox.dialogues import Dialogues
from app.sandbox.faults import Faults
from app.sandbox.flex import Flex
from app.sandbox.messaging import Messaging
from app.sandbox.outgoing import Outgoing
from app.sandbox.server import MEDIA_LIMIT, build_server, merge_slashes
from app.sandbox.settings import SandboxSettings
from app.sandbox.workspace import Workspace

__all__ = ["SandboxSettings", "create_app", "make_server", "serve"]


def create_app(settings: SandboxSettings | None = None) -> Flask:
    """A fresh sandbox with its own state; without settings, those of the environment."""
    settings = settings or SandboxSettings.from_env()
    faults, dialogues, workspace = Faults(), Dialogues(), Workspace()
    outgoing = Outgoing(settings, workspace, faults)
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MEDIA_LIMIT
    merge_slashes(app)
    agent.prepare_routing(app)
    app.register_blueprint(autopilot.create_blueprint(Autopilot(settings, dialogues), faults))
    app.register_blueprint(respondio.create_blueprint(settings, workspace, faults))
    app.register_blueprint(agent.create_blueprint(Agent(settings, workspace, outgoing)))
    contact_centre = Flex.build(settings, faults)
    for blueprint in flex.create_blueprints(contact_centre, faults):
        app.register_blueprint(blueprint)
    texts = Messaging.build(settings, faults)
    for blueprint in messaging.create_blueprints(texts, faults):
        app.register_blueprint(blueprint)
    shop = Application.build(settings)
    for blueprint in application.create_blueprints(shop, faults):
        app.register_blueprint(blueprint)
    app.register_blueprint(pages.create_kit())
    everything = Control(settings, dialogues, workspace, outgoing, faults, contact_centre, texts, shop)
    app.register_blueprint(control.create_blueprint(everything))
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
