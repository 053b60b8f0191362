"""What belongs to no platform: the index page, `/inspect` for tests, and the faults."""

from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from app.sandbox import faults_api, inspection
from app.sandbox.application import Application
from app.sandbox.checks import Json
from app.sandbox.dialogues import Dialogues
from app.sandbox.faults import Faults
from app.sandbox.flex import Flex
from app.sandbox.home import show_home
from app.sandbox.messaging import Messaging
from app.sandbox.outgoing import Outgoing
from app.sandbox.pages import protect, show, wants_page
from app.sandbox.settings import SandboxSettings
from app.sandbox.workspace import Workspace


@dataclass(frozen=True)
class Control:
    """The views, over everything the stand-ins remember."""

    settings: SandboxSettings
    dialogues: Dialogues
    workspace: Workspace
    outgoing: Outgoing
    faults: Faults
    flex: Flex
    messaging: Messaging
    application: Application

    def index(self) -> Response:
        return show_home(self.settings, self.faults)

    def inspect(self) -> Response:
        """What all stand-ins hold: a page for browsers, JSON for programs, and for who asks for it by `?json`."""
        found: dict[str, Json] = {
            "autopilot": self.dialogues.inspect(),
            "respondio": self.workspace.inspect(),
            "flex": self.flex.inspect(),
            "messaging": self.messaging.inspect(),
            "application": self.application.inspect(),
            "faults": {"active": self.faults.active(), "met": self.faults.met()},
        }
        is_page = wants_page() and "json" not in request.args
        answer = show("inspect.html", platforms=inspection.platforms(found)) if is_page else jsonify(found)
        answer.headers["Vary"] = "Accept"
        return answer

    def reset(self) -> Response:
        stand_ins = (self.outgoing, self.dialogues, self.workspace, self.flex, self.messaging, self.application)
        for memory in (self.faults, *stand_ins):
            memory.reset()
        return Response(status=HTTPStatus.NO_CONTENT)


def create_blueprint(control: Control) -> Blueprint:
    blueprint = Blueprint("control", __name__)
    blueprint.add_url_rule("/", "index", control.index)
    blueprint.add_url_rule("/inspect", "inspect", control.inspect)
    blueprint.add_url_rule("/inspect", "reset", control.reset, methods=["DELETE"])
    faults_api.register(blueprint, control.faults)
    protect(blueprint)
    return blueprint
