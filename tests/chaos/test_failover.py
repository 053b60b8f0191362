"""Another server takes over from the primary under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.outages import demoted_behind_proxy, primary_demoted, primary_killed
from tests.support.sentinels import PASSWORD


def test_behind_a_proxy_that_keeps_its_sessions_a_demoted_primary_is_left(tmp_path: Path) -> None:
    ledger = demoted_behind_proxy(tmp_path)
    assert (ledger.lost, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert {*ledger.refused} <= {503}
    assert ledger.longest_gap < 8.0


@pytest.mark.long
def test_when_the_primary_dies_the_fleet_follows_the_sentinels(tmp_path: Path) -> None:
    ledger, until_flow = primary_killed(tmp_path, password=PASSWORD)
    assert (ledger.disordered, ledger.without_hint) == (0, 0)
    assert {*ledger.refused} <= {503}
    assert until_flow < 5.0


def test_what_was_acknowledged_is_on_a_copy_when_the_primary_dies(tmp_path: Path) -> None:
    ledger, _ = primary_killed(tmp_path, password=PASSWORD, cut_off=1.0, replicas_to_wait=1)
    assert (ledger.lost, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert {*ledger.refused} == {503}


def test_a_primary_that_the_sentinels_demoted_is_left(tmp_path: Path) -> None:
    ledger = primary_demoted(tmp_path, replicas_to_wait=1)
    assert (ledger.lost, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert {*ledger.refused} <= {503}
