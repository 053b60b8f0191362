"""What belongs to no platform: the index page, `/inspect` for tests, and the faults."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request

from app.sandbox import faults_api, inspection
from app.sandbox.answers import Answer, done
from app.sandbox.checks import Json
from app.sandbox.faults import Faults
from app.sandbox.home import show_home
from app.sandbox.pages import protect, show, wants_page
from app.sandbox.settings import SandboxSettings
from app.sandbox.stand_ins import StandIn


@dataclass(frozen=True)
class Control:
    """The views, over everything the stand-ins remember."""

    settings: SandboxSettings
    faults: Faults
    stand_ins: Sequence[StandIn]

    def index(self) -> Response:
        return show_home(self.settings, self.stand_ins, faults_api.FaultsApi(self.faults, self.stand_ins).platforms())

    def inspect(self) -> Response:
        """What all stand-ins hold: a page for browsers, JSON for programs, and for who asks for it by `?json`."""
        found: dict[str, Json] = {one.name: one.inspect() for one in self.stand_ins}
        found["faults"] = {"active": self.faults.active(), "met": self.faults.met()}
        is_page = wants_page() and "json" not in request.args
        titles = {one.name: one.title for one in self.stand_ins}
        answer = show("inspect.html", platforms=inspection.platforms(found, titles)) if is_page else jsonify(found)
        answer.headers["Vary"] = "Accept"
        return answer

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
