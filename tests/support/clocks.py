"""Wall clocks of other processes that can be moved while they run, by the library that the wheel `libfaketime` brings.

Only the wall clock moves: how long something takes is measured by another one, as on a machine whose date is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

LOOKS = 1  # seconds after which a process has noticed that its clock was moved


class Clock:
    """Of all that is started with `environment`; right until it is moved."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": str(LOOKS),
            "DONT_FAKE_MONOTONIC": "1",
        }
        self.move(3600.0)
        if not 3000 < self._told() - time.time() < 4000:
            pytest.skip("the library of libfaketime does not work on this machine")
        self.move(0.0)

    def move(self, seconds: float) -> None:
        """From now on it is so far ahead of the true one."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._file)

    def _told(self) -> float:
        command = [sys.executable, "-I", "-c", "import time; print(time.time())"]
        environment = {**os.environ, **self.environment}
        return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def _library() -> Path:
    wheel = find_spec("libfaketime")
    if wheel is None or wheel.origin is None:
        pytest.skip("these tests need the wheel libfaketime")
    return Path(wheel.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
