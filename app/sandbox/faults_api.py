"""The addresses under which faults are switched: `/faults` for tests, `/sandbox/faults` for buttons.

`/faults` takes any fault, for a number of calls. `/sandbox/faults` has one switch for each plain name that makes sense
for a platform; what it switches on stays until it is switched off. Both show and clear the same faults.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request

from app.sandbox.answers import Answer, Problem, created, done
from app.sandbox.checks import Json, read_json_body
from app.sandbox.faults import DEFAULT_STATUS, Fault, Faults, parse_fault
from app.sandbox.stand_ins import StandIn

SLOW_SECONDS = 5.0


@dataclass(frozen=True)
class Switch:
    """What a plain name stands for, and in words what the platform does while it is on."""

    kind: str
    what: str
    status: int | None = None
    seconds: float | None = None

    def fault(self, target: str) -> Fault:
        return Fault(target, self.kind, times=None, status=self.status, seconds=self.seconds)


SWITCHES = {
    "down": Switch("fail", f"answers every call with {DEFAULT_STATUS}", status=DEFAULT_STATUS),
    "slow": Switch("delay", f"takes {SLOW_SECONDS:g} seconds more for every answer", seconds=SLOW_SECONDS),
    "hangs-up": Switch("close_after", "does what it is asked, and cuts the connection without an answer"),
    "drops": Switch("drop", "loses every webhook, the gateway never hears of it"),
    "repeats": Switch("duplicate", "sends every webhook twice"),
    "disorders": Switch("reorder", "holds one webhook back until the next one has gone out"),
}


@dataclass(frozen=True)
class FaultsApi:
    faults: Faults
    stand_ins: Sequence[StandIn]

    def active(self) -> Response:
        return jsonify(faults=self.faults.active())

    def add(self) -> Answer:
        kinds = {one.name: one.faults for one in self.stand_ins}
        fault = parse_fault(read_json_body(request.mimetype, request.get_data()), kinds)
        self.faults.add(fault)
        return created(fault.as_json())

    def clear(self) -> Answer:
        self.faults.clear()
        return done()

    def switches(self) -> Response:
        return jsonify(platforms=self.platforms())

    def platforms(self) -> list[Json]:
        return [
            {"name": one.name, "title": one.title, "faults": [self._show(one.name, name) for name in _names(one)]}
            for one in self.stand_ins
        ]

    def switch_on(self, target: str, name: str) -> Response:
        """However often, it is on once."""
        self.faults.switch_on(self._find(target, name))
        return jsonify(self._show(target, name))

    def switch_off(self, target: str, name: str) -> Response:
        self.faults.switch_off(self._find(target, name))
        return jsonify(self._show(target, name))

    def _find(self, target: str, name: str) -> Fault:
        if any(one.name == target and name in _names(one) for one in self.stand_ins):
            return SWITCHES[name].fault(target)
        known = [f"{one.name}/{name}" for one in self.stand_ins for name in _names(one)]
        raise Problem(404, f"There is no such fault, only {', '.join(known)}")

    def _show(self, target: str, name: str) -> Json:
        switch = SWITCHES[name]
        return {"name": name, "what": switch.what, "on": self.faults.is_on(switch.fault(target))}


def register(blueprint: Blueprint, api: FaultsApi) -> None:
    blueprint.add_url_rule("/faults", "active", api.active)
    blueprint.add_url_rule("/faults", "add_fault", api.add, methods=["POST"])
    blueprint.add_url_rule("/faults", "clear_faults", api.clear, methods=["DELETE"])
    blueprint.add_url_rule("/sandbox/faults", "switches", api.switches)
    blueprint.add_url_rule("/sandbox/faults", "switch_all_off", api.clear, methods=["DELETE"])
    one = "/sandbox/faults/<target>/<name>"
    blueprint.add_url_rule(one, "switch_on", api.switch_on, methods=["PUT", "POST"])
    blueprint.add_url_rule(one, "switch_off", api.switch_off, methods=["DELETE"])


def _names(stand_in: StandIn) -> list[str]:
    return [name for name, switch in SWITCHES.items() if switch.kind in stand_in.faults]
