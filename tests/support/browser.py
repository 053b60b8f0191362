"""One real browser for all tests of a process; each test opens windows of its own in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every process of a run begins with this module, and few open a browser
    from playwright.sync_api import Browser, Page

# The first has no window to draw, and takes half the time of the others.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MISSING = "these tests need a browser: apt-get install chromium-headless-shell"
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--disable-site-isolation-trials",  # or each page takes three processes in place of two
)  # fmt: skip
PATIENCE = 30_000  # ms; the machine may be busy
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    path = program()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield browser
        browser.close()


def program() -> str:
    """Where the browser is. Without one nobody's machine fails, but continuous integration, which must have looked."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(MISSING, pytrace=False)
    if path is None:
        pytest.skip(MISSING)
    return path


@contextmanager
def phone_page(browser: Browser, url: str) -> Iterator[Page]:
    """A page on a small screen, with storage of its own."""
    with browser.new_context(viewport=PHONE) as context:  # type: ignore[arg-type]  # a dict of these two
        page = context.new_page()
        page.goto(url)
        yield page
