"""The table of what became of messages under each fault: printed when the tests are over, and written to a file if
asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # every process of a run begins with this module, the one that runs no test too
    from tests.support.traffic import Ledger

COLUMNS = ("accepted", "refused", "delivered", "lost", "disordered", "repeated", "flows_after")
rows: list[Mapping[str, Any]] = []


def row_of(fault: str, direction: str, ledger: Ledger) -> Mapping[str, Any]:
    """A fault's line; `refused` counts all answers that were no yes, `flows_after` is in seconds."""
    figures = {name: getattr(ledger, name) for name in COLUMNS}
    figures |= {"refused": ledger.refused.total(), "flows_after": round(ledger.flows_after, 1)}
    return {"fault": fault, "direction": direction, **figures}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ledger", help="Write what became of messages under each fault to this file, as JSON.")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        rows.extend(value for name, value in report.user_properties if name == "ledger" and isinstance(value, dict))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not rows:
        return
    terminalreporter.section("what became of the messages")
    for line in as_markdown(sorted(rows, key=lambda row: (row["direction"], row["fault"]))):
        terminalreporter.write_line(line)
    if path := config.getoption("--ledger"):
        Path(path).write_text(json.dumps(rows, indent=2) + "\n")


def as_markdown(found: list[Mapping[str, Any]]) -> list[str]:
    names = ["fault", "direction", *COLUMNS]
    lines = [[row[name] for name in names] for row in found]
    head = [name.replace("_", " ") for name in names]
    return ["| " + " | ".join(map(str, line)) + " |" for line in [head, ["---"] * len(head), *lines]]
