"""The platform that CONTRIBUTING.md adds as an example: its adapter and its test are read there, and tried here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"`((?:app|tests)/\S+toy\.py)`[^`]*```python\n(.*?)```", PAGE, re.DOTALL))
ADAPTER, TEST = "app/platforms/toy.py", "tests/platforms/test_toy.py"


def run(name: str, module: ModuleType) -> None:
    exec(compile(FILES[name], f"{name} in CONTRIBUTING.md", "exec"), module.__dict__)  # noqa: S102 - our own page


sys.modules["app.platforms.toy"] = ModuleType("app.platforms.toy")
run(ADAPTER, sys.modules["app.platforms.toy"])
run(TEST, sys.modules[__name__])  # its tests are this file's


@pytest.mark.parametrize("name", [ADAPTER, TEST])
@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_the_example_passes_the_checks(command: tuple[str, ...], name: str) -> None:
    # here the adapter is no file, by which ruff would know whose it is
    ours = ["--config", 'lint.isort.known-first-party=["app", "tests"]'] if command == ("check",) else []
    ruff = [str(Path(sys.executable).parent / "ruff"), *command, *ours, "--stdin-filename", name, "-"]
    done = subprocess.run(ruff, input=FILES[name], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (0, "") == (done.returncode, done.stderr), done.stdout
