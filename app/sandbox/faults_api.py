"""The addresses under which faults are switched: `/faults` for tests, `/sandbox/faults` for buttons.

`/faults` takes any fault, for a number of calls. `/sandbox/faults` has one switch for each plain name that makes sense
for a platform; what it switches on stays until it is switched off. Both show and clear the same faults.
"""

from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from app.sandbox.checks import Json, Refused, read_json_body
from app.sandbox.faults import DEFAULT_STATUS, KINDS, TITLES, Fault, Faults, parse_fault

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


class UnknownSwitch(Refused):
    """No platform of that name, or it has no such fault."""


@dataclass(frozen=True)
class FaultsApi:
    faults: Faults

    def active(self) -> Response:
        return jsonify(faults=self.faults.active())

    def add(self) -> tuple[Response, int]:
        fault = parse_fault(read_json_body(request.mimetype, request.get_data()))
        self.faults.add(fault)
        return jsonify(fault.as_json()), HTTPStatus.CREATED

    def clear(self) -> Response:
        self.faults.clear()
        return Response(status=HTTPStatus.NO_CONTENT)

    def switches(self) -> Response:
        return jsonify(platforms=self.platforms())

    def platforms(self) -> list[Json]:
        return [
            {"name": target, "title": title, "faults": [self._show(target, name) for name in _names(target)]}
            for target, title in TITLES.items()
        ]

    def switch_on(self, target: str, name: str) -> Response:
        """However often, it is on once."""
        self.faults.switch_on(_find(target, name))
        return jsonify(self._show(target, name))

    def switch_off(self, target: str, name: str) -> Response:
        self.faults.switch_off(_find(target, name))
        return jsonify(self._show(target, name))

    def _show(self, target: str, name: str) -> Json:
        switch = SWITCHES[name]
        return {"name": name, "what": switch.what, "on": self.faults.is_on(switch.fault(target))}


def register(blueprint: Blueprint, faults: Faults) -> None:
    api = FaultsApi(faults)
    blueprint.add_url_rule("/faults", "active", api.active)
    blueprint.add_url_rule("/faults", "add_fault", api.add, methods=["POST"])
    blueprint.add_url_rule("/faults", "clear_faults", api.clear, methods=["DELETE"])
    blueprint.add_url_rule("/sandbox/faults", "switches", api.switches)
    blueprint.add_url_rule("/sandbox/faults", "switch_all_off", api.clear, methods=["DELETE"])
    one = "/sandbox/faults/<target>/<name>"
    blueprint.add_url_rule(one, "switch_on", api.switch_on, methods=["PUT", "POST"])
    blueprint.add_url_rule(one, "switch_off", api.switch_off, methods=["DELETE"])
    blueprint.register_error_handler(UnknownSwitch, _unknown)


def _names(target: str) -> list[str]:
    return [name for name, switch in SWITCHES.items() if switch.kind in KINDS[target]]


def _find(target: str, name: str) -> Fault:
    if target not in KINDS:
        raise UnknownSwitch("platform", f"must be one of {', '.join(KINDS)}")
    if name not in _names(target):
        raise UnknownSwitch("fault", f"must be one of {', '.join(_names(target))} for {target}")
    return SWITCHES[name].fault(target)


def _unknown(problem: UnknownSwitch) -> tuple[Response, int]:
    return jsonify(error={"field": problem.field, "message": str(problem)}), HTTPStatus.NOT_FOUND
