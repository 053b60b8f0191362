import ast
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Blueprint, Response

import app.sandbox
from app.sandbox import SandboxSettings, create_app, make_server
from app.sandbox.faults import expose
from app.sandbox.settings import Checked, setting
from app.sandbox.stand_ins import STAND_INS

from .calls import BEARER, WEBHOOK, ask, deliver, message_event, webhook_body
from .test_application import tell

HOUSE = Path(app.sandbox.__file__).parent


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_it_imports_nothing_else_of_the_project(path):
    ours = {name for name in imported(path) if name.split(".")[0] in ("app", "workers")}
    assert {name for name in ours if not name.startswith("app.sandbox")} == set()


USES = {
    "the bot": lambda client: ask(client, "hi"),
    "respond.io": lambda client: deliver(client, message_event()),
    "Flex": lambda client: client.post("/twilio/flex-api/v1/FlexFlows"),
    "Twilio Messaging": lambda client: client.post("/phone/api/customers", json={"kind": "sms"}),
    "how messages end": lambda client: client.post("/messaging/outcomes", json={"status": "failed"}),
    "the application": lambda client: tell(client),
    "a fault": lambda client: client.post("/faults", json={"target": "autopilot", "kind": "fail"}),
    "a switch": lambda client: client.put("/sandbox/faults/flex/down"),
}


@pytest.mark.parametrize("used", [0, 1], ids=["the older is used", "the newer is used"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_sandboxes_do_not_share_state(use, used):
    """They share the rules of their routes and nothing else."""
    clients = [create_app(SandboxSettings()).test_client() for _ in range(2)]
    empty = clients[0].get("/inspect").get_json()
    use(clients[used])
    assert clients[used].get("/inspect").get_json() != empty
    assert clients[1 - used].get("/inspect").get_json() == empty


def test_sandboxes_do_not_share_settings():
    older, newer = (create_app(SandboxSettings(respondio_channel_id=name)).test_client() for name in ("ch_1", "ch_2"))
    event = webhook_body(message_event()) | {"channelId": "ch_1"}
    answers = [client.post(WEBHOOK, json=event, headers=BEARER).status_code for client in (older, newer, older)]
    assert answers == [200, 400, 200]


def test_the_rules_are_compiled_once():
    rules = list(create_app(SandboxSettings()).url_map.iter_rules())
    again = list(create_app(SandboxSettings()).url_map.iter_rules())
    assert len(again) == len(rules) > 100
    assert all(one is other for one, other in zip(rules, again, strict=True))


@dataclass(frozen=True)
class ToySettings(Checked):
    toy_word: str = setting("hello", "[a-z]+", "a word in small letters")


class Toy:
    """A stand-in that somebody else wrote."""

    name, title, faults = "toy", "Toy", ("fail", "drop")

    def __init__(self, settings, faults):
        self._word, self._faults, self._asked = ToySettings.from_env().toy_word, faults, 0

    def blueprints(self):
        blueprint = Blueprint("toy", __name__, url_prefix="/toy")
        expose(blueprint, "toy", self._faults, lambda status, message: Response(message, status))
        blueprint.add_url_rule("/ask", "ask", self._ask)
        return [blueprint]

    def inspect(self):
        return {"asked": self._asked}

    def reset(self):
        self._asked = 0

    def _ask(self):
        self._asked += 1
        return self._word


def test_another_stand_in_needs_its_class_and_its_place_in_the_table(monkeypatch):
    plain = create_app(SandboxSettings()).test_client()
    monkeypatch.setattr("app.sandbox.STAND_INS", (*STAND_INS, Toy))
    monkeypatch.setenv("SANDBOX_TOY_WORD", "ahoy")
    client = create_app(SandboxSettings()).test_client()
    assert client.get("/toy/ask").text == "ahoy"
    assert client.get("/inspect").get_json()["toy"] == {"asked": 1}
    shown = client.get("/sandbox/faults").get_json()["platforms"][-1]
    assert (shown["title"], [fault["name"] for fault in shown["faults"]]) == ("Toy", ["down", "drops"])
    assert client.put("/sandbox/faults/toy/down").status_code == 200
    assert client.get("/toy/ask").status_code == 503
    client.delete("/inspect")
    assert client.get("/inspect").get_json()["toy"] == {"asked": 0}
    assert plain.get("/toy/ask").status_code == 404


def test_a_stand_in_names_what_is_wrong_with_its_own_settings():
    with pytest.raises(ValueError, match="SANDBOX_TOY_WORD must be a word in small letters"):
        ToySettings.from_env({"SANDBOX_TOY_WORD": "A word"})


def test_without_settings_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("SANDBOX_RESPONDIO_CHANNEL_ID", "ch_from_environment")
    assert "ch_from_environment" in create_app().test_client().get("/").text


def test_port_0_takes_a_free_one():
    servers = [make_server("127.0.0.1", 0, SandboxSettings()) for _ in range(2)]
    ports = {server.port for server in servers}
    for server in servers:
        server.server_close()
    assert len(ports - {0}) == 2
