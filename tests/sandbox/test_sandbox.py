import ast
from pathlib import Path

import pytest

import app.sandbox
from app.sandbox import SandboxSettings, create_app, make_server

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


def test_sandboxes_do_not_share_state():
    first, second = (create_app(SandboxSettings()).test_client() for _ in range(2))
    first.post("/faults", json={"target": "autopilot", "kind": "fail"})
    assert second.get("/faults").get_json() == {"faults": []}


def test_without_settings_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("SANDBOX_RESPONDIO_CHANNEL_ID", "ch_from_environment")
    assert "ch_from_environment" in create_app().test_client().get("/").text


def test_port_0_takes_a_free_one():
    servers = [make_server("127.0.0.1", 0, SandboxSettings()) for _ in range(2)]
    ports = {server.port for server in servers}
    for server in servers:
        server.server_close()
    assert len(ports - {0}) == 2
