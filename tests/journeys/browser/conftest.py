"""A whole Patchbay with its sandbox, as `patchbay up --sandbox` runs it, and a real browser in front of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.support.processes import HOST, Process, free_port, wait_until

STARTED = "Ctrl-C stops everything"
_numbers = count(1)


@dataclass(frozen=True)
class Gateway:
    """Where the pages are: `base` is the receiver's address, `sandbox` that of the stand-ins."""

    base: str
    sandbox: str

    @property
    def chat(self) -> str:
        return f"{self.base}/chat/shop"

    @property
    def desk(self) -> str:
        return f"{self.sandbox}/agent"


class Window:
    """A visitor's or agent's browser, with storage of its own; every page of it is watched for errors."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self.context = browser.new_context(locale="en-GB", **options)  # type: ignore[arg-type]
        self.errors: list[str] = []

    def open(self, url: str) -> Page:
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@dataclass
class Windows:
    """Opens windows and closes them in the end."""

    browser: Browser
    opened: list[Window]

    def new(self, **options: object) -> Window:
        window = Window(self.browser, **options)
        self.opened.append(window)
        return window


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The real thing, in processes of its own, on ports of its own."""
    folder, port = tmp_path_factory.mktemp("up"), free_port(4)
    command = [sys.executable, "-m", "app.cli", "up", "--sandbox", "--port", str(port), "--workers", "1"]
    process = Process(command, folder / "up.log", {"PATCHBAY_DATA": str(folder / "data")})
    process.start()
    try:
        wait_until(f"Patchbay prints its page; its log: {folder}", lambda: _has_started(process), 120)
        yield Gateway(f"http://{HOST}:{port}", f"http://{HOST}:{port + 1}")
    finally:
        process.stop(90)


@pytest.fixture
def windows(browser: Browser) -> Iterator[Windows]:
    """A test that passes leaves no error on any console; one that provokes them clears `errors` itself."""
    windows = Windows(browser, [])
    try:
        yield windows
        assert [error for window in windows.opened for error in window.errors] == []
    finally:
        for window in windows.opened:
            window.context.close()


@pytest.fixture
def words() -> str:
    """A text that no other test writes."""
    return f"Words number {next(_numbers)}"


def _has_started(process: Process) -> bool:
    text = process.log.read_text(errors="replace")
    assert process.running, f"patchbay up ended:\n{text}"
    return STARTED in text
