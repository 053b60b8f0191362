"""How the tests are shared out among processes; see `tests.support.sharing`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import sharing

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parent.parent
FILES = ["tests/core/test_errors.py", "tests/core/test_status.py"]


def pytest_says(*arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout


def test_the_tests_of_a_file_stay_in_one_process_each() -> None:
    """What they share is dear to start, and shared by nobody who is elsewhere."""
    ran = re.findall(r"^\[(gw\d)\].* (\S+\.py)::", pytest_says("-vv", "-n", "2", *FILES), re.MULTILINE)
    assert len(ran) > 20
    assert sorted(file for _, file in set(ran)) == FILES
    assert {"gw0", "gw1"} == {process for process, _ in ran}


TROUBLE = """
import pytest

@pytest.fixture
def before(): raise RuntimeError

@pytest.fixture
def behind():
    yield
    raise RuntimeError

def test_passes(): pass
def test_fails(): assert False
def test_is_skipped(): pytest.skip()
def test_cannot_begin(before): pass
def test_cannot_end(behind): pass
"""


@pytest.mark.parametrize("processes", ["0", "1"])
def test_no_trouble_is_kept_back(processes: str, tmp_path: Path) -> None:
    """Whether told by a process that shares the tests, or seen by the one that runs them all."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_trouble.py").write_text(TROUBLE)
    said = pytest_says("-p", "tests.support.sharing", "--rootdir", str(tmp_path), "-n", processes, str(tmp_path))
    assert "1 failed, 2 passed, 1 skipped, 2 errors" in said


WITHOUT = ["tests/journeys/test_story.py", "tests/sandbox/test_agent_page.py", "tests/workers/test_outbound.py"]


def test_a_quick_run_has_no_processes_and_no_browser() -> None:
    assert "no tests collected" in pytest_says("-n", "0", "--collect-only", "-m", "not processes", *WITHOUT)


@pytest.mark.parametrize("named", sorted({*sharing.TOGETHER, *sharing.ALONE, *sharing.FIRST, *sharing.PROCESSES}))
def test_what_is_named_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    assert (ROOT / file).exists()
    assert f"def {test}" in (ROOT / file).read_text() if test else True
