"""`patchbay doctor` in a terminal, and for programs."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from app.cli import main
from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, free_port

pytestmark = pytest.mark.processes


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Path:
    path = tmp_path / "patchbay.toml"
    path.write_text(toml.dumps(tables(gateway={"public_url": f"http://127.0.0.1:{free_port()}"})))
    monkeypatch.setenv("PATCHBAY_REDIS_URL", redis_server.url)
    return path


def test_each_finding_is_a_line_and_its_mend_another(config: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--config", str(config)])
    lines = done.output.splitlines()
    assert done.exit_code == 1
    assert lines[lines.index("BAD   workers: None is running: messages are recorded, and wait for one.") + 1] == (
        "      patchbay worker"
    )
    assert any(line.startswith("BAD   public_url: http://127.0.0.1:") for line in lines)


def test_for_programs_each_is_an_object(config: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--json", "--config", str(config)])
    found = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert {"level": "ok", "about": "broker", "says": "It can be reached.", "mend": ""} in found


def test_a_configuration_with_problems_is_told_as_ever(config: Path) -> None:
    config.write_text("[gateway]\n")
    done = CliRunner().invoke(main, ["doctor", "--config", str(config)])
    assert done.exit_code == 2
    assert "gateway.public_url" in done.output
