"""Flower as operators reach it: nothing that it knows without the login."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import HOST, Process, RedisServer, free_port, wait_until

pytestmark = pytest.mark.processes
PASSWORD = "flower-password"


@pytest.fixture(scope="module")
def flower(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("flower"), free_port()
    config = folder / "patchbay.toml"
    config.write_text(toml.dumps(tables()))
    environment = {
        "PATCHBAY_CONFIG": str(config),
        "PATCHBAY_REDIS_URL": redis_server.url,
        "PATCHBAY_BROKER_URL": redis_server.url,
        "PATCHBAY_FLOWER_PASSWORD": PASSWORD,
        "FLOWER_UNAUTHENTICATED_API": "true",  # of an environment that was made for another Flower
    }
    process = Process([sys.executable, "-m", "app.flower", "--port", str(port)], folder / "flower.log", environment)
    process.start()
    url = f"http://{HOST}:{port}"
    wait_until(f"Flower answers; its log: {folder}", lambda: answers(url), 60)
    yield url
    process.stop()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthcheck", timeout=2).text == "OK"
    except requests.RequestException:
        return False


@pytest.mark.parametrize("path", ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/metrics"])
def test_a_page_asks_for_the_login(flower: str, path: str) -> None:
    answer = requests.get(flower + path, timeout=10)
    assert answer.status_code == 401
    assert requests.get(flower + path, auth=("patchbay", "wrong"), timeout=10).status_code == 401
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_whoever_has_it_is_served(flower: str, path: str) -> None:
    assert requests.get(flower + path, auth=("patchbay", PASSWORD), timeout=10).status_code == 200


def test_whoever_has_it_may_look_and_change_nothing(flower: str) -> None:
    answer = requests.post(f"{flower}/api/worker/shutdown/worker@here", auth=("patchbay", PASSWORD), timeout=10)
    assert answer.status_code == 403


def test_its_processes_do_not_show_the_password(flower: str) -> None:
    port = flower.rpartition(":")[2]
    found = [words for one in psutil.process_iter(["cmdline"]) if port in " ".join(words := one.info["cmdline"] or [])]
    assert found
    assert PASSWORD not in str(found)
