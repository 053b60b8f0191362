"""Ports that are taken, and hosts that strangers reach: said before anything starts."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.local.ports import PortRefused, claim, is_loopback
from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import HOST, RedisServer, System

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "patchbay.toml"
    path.write_text(toml.dumps(tables()))
    monkeypatch.setenv("PATCHBAY_CONFIG", str(path))
    monkeypatch.delenv("PATCHBAY_BEHIND_PROXY", raising=False)
    return path


@contextmanager
def listening(host: str) -> Iterator[int]:
    """Somebody who would share the port, as servers of several processes do."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((host, 0))
        taken.listen()
        yield taken.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with listening("::1"):
            return True
    except OSError:
        return False


HOSTS = ["127.0.0.1", "0.0.0.0", *(["::1", "::"] if has_ipv6() else [])]
FAMILIES = [(mine, its) for mine in HOSTS for its in HOSTS if (":" in mine) == (":" in its) or mine == "::"]


@pytest.mark.parametrize(("mine", "its"), FAMILIES)
def test_a_port_that_somebody_has_is_refused_whatever_the_address(mine: str, its: str) -> None:
    with listening(its) as port, pytest.raises(PortRefused, match=f"Port {port} of .* is in use"):
        claim(mine, port, "the receiver")


def test_a_free_port_is_found_and_stays_free() -> None:
    with listening(HOST) as port:
        pass
    assert claim(HOST, port, "the receiver") == HOST
    assert claim("localhost", port, "the receiver") in ("127.0.0.1", "::1")
    with socket.socket() as next_one:
        next_one.bind((HOST, port))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "x" * 70])
def test_a_host_that_is_not_ours_is_refused_in_one_line(host: str) -> None:
    with pytest.raises(PortRefused) as refused:
        claim(host, 8000, "the receiver")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("port", [-1, 0, 65_536, 70_000])
@pytest.mark.parametrize("command", ["receiver", "sandbox"])
def test_a_port_that_there_is_not_is_refused_in_one_line(command: str, port: int) -> None:
    result = run(command, "--port", str(port))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert result.stderr.startswith(f"Cannot listen on port {port}: ")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("gw.example.test", False),
        ("127.0.0.1.example.test", False),
    ],
)
def test_who_is_a_stranger(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gw.example.test"])
def test_a_receiver_that_strangers_reach_wants_a_proxy_in_front(host: str) -> None:
    result = run("receiver", "--host", host)
    assert result.exit_code == 2
    assert f"--host: On {host} a few slow callers could hold every thread." in result.stderr
    assert "--behind-proxy" in result.stderr


@pytest.mark.parametrize("said", [["--behind-proxy"], []], ids=["option", "variable"])
def test_a_receiver_that_has_one_gets_as_far_as_its_port(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if not said:
        monkeypatch.setenv("PATCHBAY_BEHIND_PROXY", "1")
    with listening(HOST) as port:
        result = run("receiver", "--host", "0.0.0.0", "--port", str(port), *said)
    assert (result.exit_code, result.stderr.splitlines()[0].split(":")[0]) == (1, f"Port {port} of 0.0.0.0 is in use")


@pytest.mark.parametrize("command", ["receiver", "sandbox"])
def test_a_command_whose_port_is_taken_says_so_in_one_line(command: str) -> None:
    with listening(HOST) as port:
        result = run(command, "--port", str(port))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"give the {command} another port" in result.stderr


def test_flower_whose_port_is_taken_says_so_in_one_line() -> None:
    with listening(HOST) as port:
        command = [sys.executable, "-m", "app.flower", "--port", str(port)]
        environment = {**os.environ, "PATCHBAY_FLOWER_PASSWORD": "flower-password"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Port {port} of {HOST} is in use: stop what listens there, or give Flower another port.\n"


def test_a_second_receiver_does_not_share_the_port_of_the_first(
    config: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    first = System(config, redis_server.url, tmp_path)
    first.start(workers=0)
    try:
        assert run("receiver", "--port", str(first.port)).exit_code == 1
        assert first.ready
    finally:
        first.stop()


def test_errors_of_the_system_are_told_in_its_words() -> None:
    if os.getuid() == 0:
        pytest.skip("root may have every port")
    with pytest.raises(PortRefused, match=os.strerror(errno.EACCES)):
        claim(HOST, 1, "the receiver")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))
