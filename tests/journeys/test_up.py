"""`patchbay up --sandbox` as a person uses it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
import requests

from tests.support.processes import Process, RedisServer, free_port, wait_until

PATCHBAY = str(Path(sys.executable).parent / "patchbay")


class Up:
    """One `patchbay up` with a data folder that outlives it."""

    def __init__(self, folder: Path, *options: str, data: Path | None = None, cwd: Path | None = None) -> None:
        self.folder = folder
        self.data = data or folder / "data"
        self.port = free_port(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.page = folder / "page.txt"
        command = [PATCHBAY, "up", "--sandbox", "--port", str(self.port), "--workers", "1", *options]
        self.process = Process(command, self.page, {"PATCHBAY_DATA": str(self.data)}, cwd)

    def start(self) -> None:
        self.page.unlink(missing_ok=True)
        self.process.start()
        wait_until("the page is printed", lambda: "Ctrl-C" in self.page.read_text(), 60)

    def stop(self, number: int = signal.SIGINT) -> int:
        os.kill(self.process.pid, number)
        wait_until("everything has ended", lambda: not self.process.running, 60)
        return self.process.stop()

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.data / "redis.sock"))

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def say(self, id: str) -> str:
        """Write as a new visitor; their token."""
        token: str = requests.post(f"{self.url}/chat/shop/visitor", timeout=5).json()["token"]
        _say(self, token, id)
        return token

    @property
    def token(self) -> str:
        found = re.search(r"Bearer (\S+)'", self.page.read_text())
        assert found is not None
        return found[1]

    def reads(self, token: str, wanted: str, seconds: float = 60.0) -> bool:
        """Whether the visitor's chat shows a text in time."""
        url, headers = f"{self.url}/chat/shop", {"authorization": f"Bearer {token}"}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ticket = requests.post(f"{url}/ticket", headers=headers, timeout=5).json()
            with requests.get(f"{url}/events", params=ticket, stream=True, timeout=15) as answer:
                for line in answer.iter_lines(decode_unicode=True):
                    if wanted in line:
                        return True
                    if time.monotonic() > until:
                        break
        return False


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up"))
    running.start()
    yield running
    running.stop()
    assert not psutil.pid_exists(running.process.pid)


def test_the_page_fits_on_a_screen_and_its_curl_line_works(up: Up) -> None:
    page = up.page.read_text()
    assert len(page.splitlines()) <= 20
    curl = next(line.strip() for line in page.splitlines() if line.strip().startswith("curl "))
    done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
    taken, answer = done.stdout.splitlines()
    assert '"duplicate":false' in taken
    assert "Ask me for a quote" in answer
    assert up.reads(up.token, '"author":"bot"')


def test_a_call_that_the_bot_is_told_is_recorded(up: Up) -> None:
    call = f"CA{'c' * 32}"
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    body = {"type": "message.created", "data": {"id": "call-1", "content": {"type": "text", "text": f"I am on {call}"}}}
    headers = {"authorization": f"Bearer {token}"}
    requests.post(f"{up.url}/channels/shop", json=body, headers=headers, timeout=5).raise_for_status()
    sandbox = f"http://127.0.0.1:{up.port + 1}/inspect"

    def recorded() -> list[str]:
        return [one["call_sid"] for one in requests.get(sandbox, timeout=5).json()["messaging"]["recordings"]]

    wait_until("it is recorded", lambda: recorded() == [call], 30)


def test_what_was_said_survives_a_restart(up: Up) -> None:
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    body = {"type": "message.created", "data": {"id": "keep-1", "content": {"type": "text", "text": "remember me"}}}
    headers = {"authorization": f"Bearer {token}"}
    requests.post(f"{up.url}/channels/shop", json=body, headers=headers, timeout=5).raise_for_status()
    parts = up.parts()
    assert up.stop() == 0
    assert [part for part in parts if part.is_running()] == []
    up.start()
    assert up.reads(token, "remember me")
    again = requests.post(f"{up.url}/channels/shop", json=body, headers=headers, timeout=5).json()
    assert again["accepted"][0]["duplicate"]


def test_a_worker_that_is_killed_is_replaced(up: Up) -> None:
    worker = next(part for part in up.parts() if "worker-0" in part.cmdline())
    os.kill(worker.pid, signal.SIGKILL)
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    body = {"type": "message.created", "data": {"id": "next-1", "content": {"type": "text", "text": "hello"}}}
    headers = {"authorization": f"Bearer {token}"}
    requests.post(f"{up.url}/channels/shop", json=body, headers=headers, timeout=5).raise_for_status()
    assert up.reads(token, '"author":"bot"')


def test_flower_asks_for_a_login_and_shows_the_fleet(up: Up) -> None:
    flower = f"http://127.0.0.1:{up.port + 2}"
    wait_until("Flower is there and asks", lambda: _status(flower) == 401, 30)
    found = re.search(r"patchbay / (\w+)\)", up.page.read_text())
    assert found is not None
    wait_until("Flower knows a worker", lambda: "worker-0" in _flower(flower, found[1]), 30)


def test_flower_shows_what_the_fleet_did(up: Up) -> None:
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    _say(up, token, "flower-1")
    assert up.reads(token, '"author":"bot"')
    expected = {(lane, "SUCCESS", "1 done") for lane in ("inbound:helper", "outbound:shop")}
    wait_until("Flower has heard of both", lambda: expected <= _told_by_flower(up), 30)


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [(503, "RETRY", "1 retry: unavailable"), (400, "FAILURE", "1 dead: rejected")],
    ids=["a head waits for another try", "one died"],
)
def test_flower_shows_what_went_wrong_and_celery_runs_nothing_again(
    status: int, state: str, words: str, up: Up
) -> None:
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    fault = {"target": "autopilot", "kind": "fail", "times": 1, "status": status}
    requests.post(f"http://127.0.0.1:{up.port + 1}/faults", json=fault, timeout=5).raise_for_status()
    _say(up, token, f"flower-{status}")
    wait_until("Flower has heard of it", lambda: ("inbound:helper", state, words) in _told_by_flower(up), 30)
    if state == "FAILURE":
        _say(up, token, f"flower-{status}-again")
    assert up.reads(token, '"author":"bot"')
    if state == "RETRY":
        done = ("inbound:helper", "SUCCESS", "1 done")
        wait_until("Flower has heard of the end", lambda: done in _told_by_flower(up))


def test_the_fleet_answers_celerys_own_tools(up: Up) -> None:
    celery = [str(Path(sys.executable).parent / "celery"), "-A", "workers.fleet", "inspect", "ping", "--timeout", "10"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY_")}
    done = subprocess.run(
        celery, capture_output=True, text=True, check=False, env={**kept, "PATCHBAY_DATA": str(up.folder / "data")}
    )
    assert 0 == done.returncode, done.stderr
    assert "worker-0@" in done.stdout
    assert "pong" in done.stdout


def test_a_wake_up_is_not_acknowledged(up: Up) -> None:
    """Kombu's notes of what is not acknowledged yet would be two transactions for each."""
    token = requests.post(f"{up.url}/chat/shop/visitor", timeout=5).json()["token"]
    with up.redis() as client, client.monitor() as monitor:
        _say(up, token, "hint-1")
        assert up.reads(token, '"author":"bot"')
        client.echo("that is all")
        said = list(itertools.takewhile("ECHO that is all".__ne__, (entry["command"] for entry in monitor.listen())))
    assert [command for command in said if command.startswith("LPUSH patchbay-celery:inbound:helper")]
    assert [] == [command for command in said if re.search(r":unacked(_index)?\b", command)]


def test_an_idle_fleet_costs_next_to_nothing(up: Up) -> None:
    """Commands a second on Redis for a worker, Flower and a receiver without traffic; scripts' inner calls count.
    The first seconds after the start are no idling: what connects introduces itself."""
    with up.redis() as client:
        _quiet(client)
        _commands_a_second(client, 10)
        rate = _commands_a_second(client, 10)
    print(f"{rate:.1f} commands a second")
    assert rate < 20


def _commands_a_second(client: redis.Redis, seconds: int) -> float:
    began, started = client.info("stats")["total_commands_processed"], client.time()[0]
    wait_until("the time is over", lambda: client.time()[0] - started >= seconds, seconds + 30, every=0.5)
    ended = client.info("stats")["total_commands_processed"]
    return float((ended - began) / seconds - 2)  # less our own TIME, twice a second


def test_a_receiver_that_is_killed_leaves_nothing_behind_and_is_replaced(up: Up) -> None:
    parent = next(part for part in up.parts() if _is_receiver(part) and not _is_receiver(part.parent()))
    children = parent.children(recursive=True)
    os.kill(parent.pid, signal.SIGKILL)
    wait_until("its children have ended", lambda: not any(_alive(child) for child in children), 30)
    wait_until("another one is ready", lambda: _is_ready(up), 30)


def test_two_do_not_share_a_data_folder(up: Up) -> None:
    done = _run("up", "--sandbox", "--port", str(free_port(3)), PATCHBAY_DATA=str(up.folder / "data"))
    assert 1 == done.returncode
    assert ["Patchbay already runs with its data in"] == [line[:38] for line in done.stderr.splitlines()]


def test_the_commands_find_what_runs_here(up: Up) -> None:
    for command in (["lanes"], ["dead-letters", "list"]):
        done = _run(*command, PATCHBAY_DATA=str(up.folder / "data"))
        assert (0, "") == (done.returncode, done.stderr)
    assert "inbound:helper" in _run("lanes", PATCHBAY_DATA=str(up.folder / "data")).stdout


def test_the_embedded_redis_is_for_this_user_alone(up: Up) -> None:
    server = next(part for part in up.parts() if part.name() in ("valkey-server", "redis-server"))
    assert [one for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []
    modes = [path.stat().st_mode & 0o777 for path in (up.data, up.data / "redis.sock")]
    assert modes == [0o700, 0o700]


def test_its_receiver_has_a_spool(up: Up) -> None:
    assert (up.data / "spool").stat().st_mode & 0o777 == 0o700


def test_lanes_and_readiness_tell_of_the_workers(up: Up) -> None:
    wait_until("it shows itself", lambda: requests.get(f"{up.url}/readyz", timeout=5).json()["workers"] == 1)
    first = _run("lanes", PATCHBAY_DATA=str(up.data)).stdout.splitlines()[0]
    assert first.startswith("1 worker is running: worker-0@")


def test_what_lies_in_the_working_folder_is_not_taken_for_patchbay_nor_is_a_long_path_too_long(tmp_path: Path) -> None:
    """Each of these modules would end whatever imports it; and no socket has a path like that of the data."""
    cwd, data = tmp_path / "work", tmp_path / ("long" * 25) / "50 % of it"
    for name in ("app/__init__", "workers/__init__", "workers/fleet", "redis", "json", "celeryconfig", "granian"):
        module = cwd / f"{name}.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text("raise SystemExit(f'imported from the working folder: {__file__}')")
    odd = Up(tmp_path, data=data, cwd=cwd)
    odd.start()
    try:
        assert odd.reads(odd.say("odd-1"), '"author":"bot"')
        shown = subprocess.run(
            [PATCHBAY, "lanes"], cwd=cwd, env={**os.environ, "PATCHBAY_DATA": str(data)}, capture_output=True, text=True
        )
        assert ("", True) == (shown.stderr, "inbound:helper" in shown.stdout)
    finally:
        assert odd.stop() == 0
    logs = "".join(path.read_text() for path in (data / "log").glob("*.log"))
    assert "from the working folder" not in logs


@pytest.mark.long
def test_a_redis_that_is_away_is_named_once_and_so_is_its_return(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    waiting = Up(tmp_path, "--redis", server.url)
    waiting.process.start()
    line = f"Redis at {server.url} cannot be reached: "
    try:
        wait_until("it says what it waits for", lambda: line in waiting.page.read_text())
        time.sleep(3)
        server.start()
        wait_until("the page is printed", lambda: "Ctrl-C" in waiting.page.read_text(), 60)
        wait_until("it says that it is back", lambda: "Redis is back" in waiting.page.read_text())
        assert waiting.page.read_text().count(line) == 1
        assert waiting.reads(waiting.say("back-1"), '"author":"bot"')
        server.kill()
        wait_until("it says so again", lambda: waiting.page.read_text().count(line) == 2)
        assert len(_events(waiting.data / "log" / "worker-0.log", "store unavailable")) <= 2
    finally:
        server.stop()
        waiting.stop()


def test_where_the_supervisor_cannot_start_its_last_words_are_shown(tmp_path: Path) -> None:
    package = tmp_path / "path" / "supervisor"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "supervisord.py").write_text("raise SystemExit('no supervisor today')")
    environment = {"PATCHBAY_DATA": str(tmp_path / "data"), "PYTHONPATH": str(package.parent)}
    done = _run("up", "--sandbox", "--port", str(free_port(3)), **environment)
    assert done.returncode == 1
    head, *words = done.stderr.splitlines()
    assert head == f"The supervisor ended at once. The last lines of the logs in {tmp_path / 'data' / 'log'}:"
    assert words == ["up.log: no supervisor today"]
    assert (tmp_path / "data" / "log" / "up.log").exists()


def test_asked_to_stop_while_it_starts_it_stops_without_the_page(tmp_path: Path) -> None:
    early = Up(tmp_path)
    early.process.start()
    wait_until("the supervisor runs", (tmp_path / "data" / "supervisord.pid").exists)
    assert 0 == early.stop()
    assert "Ctrl-C" not in early.page.read_text()
    assert "Stopping" in early.page.read_text()


def test_a_port_in_use_is_one_clear_line(up: Up) -> None:
    done = _run("up", "--sandbox", "--port", str(up.port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Port {up.port} of 127.0.0.1 is in use: ")
    assert line.endswith("--port, which takes three in a row.")


def test_a_missing_configuration_is_one_clear_line(tmp_path: Path) -> None:
    done = _run("up", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert [f"{tmp_path / 'none.toml'} cannot be read: No such file or directory"] == done.stderr.splitlines()


def _say(up: Up, token: str, id: str) -> None:
    body = {"type": "message.created", "data": {"id": id, "content": {"type": "text", "text": "hello"}}}
    headers = {"authorization": f"Bearer {token}"}
    requests.post(f"{up.url}/channels/shop", json=body, headers=headers, timeout=5).raise_for_status()


def _told_by_flower(up: Up) -> set[tuple[str, str, str]]:
    """(name, state, result) of the tasks that Flower knows."""
    found = re.search(r"patchbay / (\w+)\)", up.page.read_text())
    assert found is not None
    url = f"http://127.0.0.1:{up.port + 2}/api/tasks"
    tasks = requests.get(url, auth=("patchbay", found[1]), timeout=10).json().values()
    return {(task["name"], task["state"], task["result"]) for task in tasks}


def _flower(url: str, password: str) -> str:
    return requests.get(f"{url}/workers", auth=("patchbay", password), timeout=10).text


def _quiet(client: redis.Redis) -> None:
    lanes = [f"{{patchbay}}:lane:{lane.decode()}" for lane in client.hkeys("{patchbay}:lanes")]
    wait_until("the lanes are quiet", lambda: not sum(int(client.hget(lane, "backlog") or 0) for lane in lanes), 30)


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def _events(log: Path, event: str) -> list[str]:
    return [line for line in log.read_text().splitlines() if f'"event":"{event}"' in line]


def _is_receiver(part: psutil.Process | None) -> bool:
    return part is not None and "app.local.serving" in " ".join(part.cmdline())


def _alive(part: psutil.Process) -> bool:
    return part.is_running() and part.status() != psutil.STATUS_ZOMBIE


def _is_ready(up: Up) -> bool:
    return _status(f"{up.url}/readyz") == 200


def _status(url: str) -> int:
    """0: nobody answers."""
    try:
        return requests.get(url, timeout=10).status_code
    except requests.RequestException:
        return 0
