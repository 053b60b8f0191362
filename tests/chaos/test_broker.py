"""The broker is away while the fleet works: work flows on, and goes on at once when one and the same Redis is back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.outages import broker_away, house, outage

LONGEST = 4.0  # seconds; a tick, a try and what a busy machine adds


def test_work_flows_while_the_broker_is_dead(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        ledger = broker_away(running, 6.0)
    assert (ledger.lost, ledger.repeated, ledger.disordered, dict(ledger.refused)) == (0, 0, 0, {})
    assert ledger.longest_gap < LONGEST


@pytest.mark.long
def test_work_flows_while_the_broker_hangs(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        pid = running.broker.pid
        ledger = outage(
            running, lambda traffic: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT), seconds=8.0
        )
    assert (ledger.lost, ledger.repeated, ledger.disordered) == (0, 0, 0)
    assert ledger.longest_gap < LONGEST


def test_work_goes_on_as_soon_as_the_one_redis_is_back(tmp_path: Path) -> None:
    away = 7.0
    with house(tmp_path, one_server=True) as running:
        ledger = broker_away(running, away)
    assert (ledger.lost, ledger.disordered, {*ledger.refused}) == (0, 0, {503})
    assert ledger.longest_gap < away + LONGEST
