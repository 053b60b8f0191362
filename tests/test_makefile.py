"""What each target installs; nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FROM_MAKE = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS")  # what `make test ARGS=...` would tell this one, too


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As git leaves it: no environment."""
    for name in ("Makefile", "pyproject.toml", ".ci"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def steps(target: str, folder: Path) -> str:
    """What `make` would do for a target."""
    return made("--dry-run", target, folder=folder)


def made(*arguments: str, folder: Path) -> str:
    """What `make` says."""
    command = ["make", "--no-print-directory", *arguments]
    kept = {name: value for name, value in os.environ.items() if name not in FROM_MAKE}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=True, timeout=30).stdout


def test_to_run_it_no_tools_of_the_tests_are_installed_and_a_line_says_what_happens(clone: Path) -> None:
    told = steps("run", clone)
    assert "'.[up]'" in told
    assert "test]" not in told
    assert "MB" in told.partition("pip install")[0], "said before it begins"
    assert told.splitlines()[-1].endswith("patchbay up --sandbox ")


def test_to_test_it_they_are(clone: Path) -> None:
    (told,) = {line for line in steps("test", clone).splitlines() if "pip install" in line}
    assert "'.[up,test]'" in told


def test_whoever_tested_it_can_run_it(clone: Path) -> None:
    lines = steps("install", clone).splitlines()
    touched = [word for line in lines if line.startswith("touch ") for word in line.split()[1:]]
    for stamp in touched:
        (clone / stamp).parent.mkdir(exist_ok=True)
        (clone / stamp).touch()
    assert "pip install" not in steps("run", clone)
    assert "pip install" not in steps("install", clone)


def test_help_has_a_line_for_every_target(clone: Path) -> None:
    text = (ROOT / "Makefile").read_text()
    targets = text.partition(".PHONY:")[2].partition("\n")[0].split()
    told = made("help", folder=clone).splitlines()
    assert [f"make {target}" for target in targets] == [" ".join(line.split()[:2]) for line in told]
    assert all(len(line.split()) > 2 for line in told)


def test_the_quick_one_has_the_checks_and_the_tests_without_processes(clone: Path) -> None:
    whole, quick = steps("test", clone).splitlines(), steps("quick", clone).splitlines()
    assert whole[:-1] == quick[:-1]
    assert '-m "not processes"' in quick[-1]
