"""The wheel, in an environment with nothing but what it asks for, in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

from tests.support.processes import Process, free_port, wait_until

ROOT = Path(__file__).parent.parent.parent
BUILT_FROM = ("pyproject.toml", "README.md", "app", "workers")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as from a fresh clone: what an earlier build left in the checkout stays out of it."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    options = ["--no-deps", "--quiet", "--disable-pip-version-check", "--wheel-dir", str(wheels)]
    _done([sys.executable, "-m", "pip", "wheel", *options, str(source)])
    (built,) = wheels.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and links to what it requires as `patchbay[up]`, no more."""
    folder = tmp_path_factory.mktemp("environment")
    _done([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    (packages,) = folder.glob("lib/python*/site-packages")
    _done([sys.executable, "-m", "pip", "--quiet", "--python", str(folder), "install", "--no-deps", str(wheel)])
    for found in _closure(distribution("patchbay"), "up"):
        for name in {file.parts[0] for file in found.files or () if not file.parts[0].startswith("..")}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(found.locate_file(name))))
    return folder / "bin" / "python"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_it_runs_in_an_empty_folder(python: Path, empty: Path) -> None:
    port, page = free_port(3), empty.parent / "page.txt"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "", "PATCHBAY_DATA": "", "PATCHBAY_CONFIG": ""}
    command = [str(python.parent / "patchbay"), "up", "--sandbox", "--port", str(port), "--workers", "1"]
    up = Process(command, page, environment, empty)
    up.start()
    try:
        wait_until("the page is printed", lambda: "Ctrl-C" in page.read_text(), 60)
        curl = next(line.strip() for line in page.read_text().splitlines() if line.strip().startswith("curl "))
        said = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True, timeout=60).stdout
        assert "Ask me for a quote" in said
        for path in ("chat/shop", "static/chat.js"):
            assert requests.get(f"http://127.0.0.1:{port}/{path}", timeout=5).status_code == 200
        for path in ("agent", "flex", "phone", "application", "static/messages.js"):
            assert requests.get(f"http://127.0.0.1:{port + 1}/{path}", timeout=5).status_code == 200
    finally:
        up.stop(60)
    assert [path.name for path in empty.iterdir()] == [".patchbay"]


def test_everything_of_ours_comes_out_of_the_wheel(python: Path, empty: Path) -> None:
    where = "import app, workers, sys; print(app.__file__, workers.__file__, *sys.path, sep='\\n')"
    told = _done([str(python), "-c", where], cwd=empty).splitlines()
    assert [line for line in told if line.startswith(str(ROOT))] == []
    assert all(line.startswith(str(python.parent.parent)) for line in told[:2])


def test_every_file_of_ours_is_in_it(python: Path) -> None:
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    ours = {path.relative_to(ROOT) for name in ("app", "workers") for path in (ROOT / name).rglob("*") if _counts(path)}
    theirs = {path.relative_to(packages) for name in ("app", "workers") for path in (packages / name).rglob("*")}
    assert sorted(map(str, ours - theirs)) == []
    assert not (packages / "tests").exists()


def _counts(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _closure(start: Distribution, extra: str) -> list[Distribution]:
    """What a distribution requires with one of its extras, and what that requires, itself left out."""
    found: dict[str, Distribution] = {}
    waiting = [(start, {extra})]
    while waiting:
        wanting, extras = waiting.pop()
        for text in wanting.requires or ():
            wanted = Requirement(text)
            holds = wanted.marker is None or any(wanted.marker.evaluate({"extra": one}) for one in {"", *extras})
            if holds and wanted.name not in found:
                found[wanted.name] = distribution(wanted.name)
                waiting.append((found[wanted.name], set(wanted.extras)))
    return list(found.values())


def _done(command: list[str], cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
