"""What belongs to no platform: the index page, `/inspect` for tests, and the faults."""

from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, render_template

from app.sandbox import faults_api
from app.sandbox.application import Application
from app.sandbox.dialogues import Dialogues
from app.sandbox.faults import Faults
from app.sandbox.flex import Flex
from app.sandbox.messaging import Messaging
from app.sandbox.messaging.addresses import read_senders
from app.sandbox.messaging.memory import READY_CONTENT
from app.sandbox.outgoing import Outgoing
from app.sandbox.pages import protect
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

    def index(self) -> str:
        senders = read_senders(self.settings).values()
        return render_template("index.html", settings=self.settings, senders=senders, content=READY_CONTENT.sid)

    def inspect(self) -> Response:
        faults = {"active": self.faults.active(), "met": self.faults.met()}
        return jsonify(
            autopilot=self.dialogues.inspect(),
            respondio=self.workspace.inspect(),
            flex=self.flex.inspect(),
            messaging=self.messaging.inspect(),
            application=self.application.inspect(),
            faults=faults,
        )

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
