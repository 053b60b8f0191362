"""The tutorial, word for word: its files, its commands, and what it says one will see."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.processes import free_port, wait_until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[number]


def test_the_tutorial_works(tmp_path: Path) -> None:
    gateway, kiosk = free_port(3), free_port()

    def here(text: str) -> str:
        """With this test's ports, and with the programs of this environment."""
        text = text.replace(":8000", f":{gateway}").replace("9000", str(kiosk))
        return text.replace(".venv/bin/", f"{Path(sys.executable).parent}/")

    (tmp_path / "kiosk.toml").write_text(here(block("toml")))
    (tmp_path / "kiosk.py").write_text(here(block("python")))
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        started = [*here(block("console")).split(), "--port", str(gateway), "--workers", "1"]
        up = subprocess.Popen(started, cwd=tmp_path, stdout=out, stderr=out)
    try:
        wait_until("the gateway is up", lambda: "Ctrl-C" in log.read_text(), 60)
        said = talk(here(block("console", 1)).split(), tmp_path, "hello")
        twice = [sent(here(command("send hello id-1")).split(), tmp_path) for _ in range(2)]
        home = requests.get(f"http://127.0.0.1:{gateway + 1}/", timeout=5).text
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert "/chat/" not in home  # this gateway has none
    assert not re.findall("Telegram|Phone|Application|desk", log.read_text())  # nor these
    assert [False, True] == [answer["accepted"][0]["duplicate"] for answer in twice]
    # two threads of it print, in any order
    (accepted,) = re.findall(r'{"accepted":.*?\]}', said)
    assert json.loads(accepted)["accepted"][0]["duplicate"] is False
    assert all(words in said for words in ("message.created", "Ask me for a quote", "message.status", "delivered"))


def command(end: str) -> str:
    """The one that ends so and stands within a sentence."""
    (found,) = re.findall(rf"`(\S+ kiosk\.py {end})`", PAGE)
    return str(found)


def sent(command: list[str], folder: Path) -> Any:
    """What the receiver answers to a message that is sent by a command of its own."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout.removeprefix("> "))


def talk(command: list[str], folder: Path, text: str) -> str:
    """What the channel prints once the customer has written that and the answer was told."""
    log = folder / "kiosk.log"
    with log.open("wb") as out:
        kiosk = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL)
    assert kiosk.stdin is not None
    try:
        kiosk.stdin.write(f"{text}\n".encode())
        kiosk.stdin.flush()
        wait_until(
            "both are told",
            lambda: {"created", "delivered", "accepted"} <= set(re.findall(r"\w+", log.read_text())),
            60,
        )
    finally:
        kiosk.kill()
        kiosk.wait()
    return log.read_text()


@pytest.mark.parametrize("name", ["console", "toml", "python"])
def test_every_block_of_the_tutorial_is_tried(name: str) -> None:
    assert len(re.findall(rf"```{name}\n", PAGE)) == {"console": 2, "toml": 1, "python": 1}[name]
