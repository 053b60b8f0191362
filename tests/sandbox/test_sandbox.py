import ast
from pathlib import Path

import pytest

import app.sandbox
from app.sandbox import SandboxSettings, create_app, make_server

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


def test_without_settings_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("SANDBOX_RESPONDIO_CHANNEL_ID", "ch_from_environment")
    assert "ch_from_environment" in create_app().test_client().get("/").text


def test_port_0_takes_a_free_one():
    servers = [make_server("127.0.0.1", 0, SandboxSettings()) for _ in range(2)]
    ports = {server.port for server in servers}
    for server in servers:
        server.server_close()
    assert len(ports - {0}) == 2
