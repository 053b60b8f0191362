"""What belongs to no platform: the index page, `/inspect` for tests, and the faults."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, render_template

from app.sandbox import faults_api
from app.sandbox.answers import Answer, done
from app.sandbox.faults import Faults
from app.sandbox.messaging.addresses import read_senders
from app.sandbox.messaging.memory import READY_CONTENT
from app.sandbox.pages import protect
from app.sandbox.settings import SandboxSettings
from app.sandbox.stand_ins import StandIn


@dataclass(frozen=True)
class Control:
    """The views, over everything the stand-ins remember."""

    settings: SandboxSettings
    faults: Faults
    stand_ins: Sequence[StandIn]

    def index(self) -> str:
        senders = read_senders(self.settings).values()
        return render_template("index.html", settings=self.settings, senders=senders, content=READY_CONTENT.sid)

    def inspect(self) -> Response:
        faults = {"active": self.faults.active(), "met": self.faults.met()}
        return jsonify({one.name: one.inspect() for one in self.stand_ins} | {"faults": faults})

    def reset(self) -> Answer:
        self.faults.reset()
        for one in self.stand_ins:
            one.reset()
        return done()


def create_blueprint(control: Control) -> Blueprint:
    blueprint = Blueprint("control", __name__)
    blueprint.add_url_rule("/", "index", control.index)
    blueprint.add_url_rule("/inspect", "inspect", control.inspect)
    blueprint.add_url_rule("/inspect", "reset", control.reset, methods=["DELETE"])
    faults_api.register(blueprint, faults_api.FaultsApi(control.faults, control.stand_ins))
    protect(blueprint)
    return blueprint
