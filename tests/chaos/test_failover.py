"""Another server takes over from the primary under load."""

from __future__ import annotations

from pathlib import Path

from tests.support.outages import demoted_behind_proxy


def test_behind_a_proxy_that_keeps_its_sessions_a_demoted_primary_is_left(tmp_path: Path) -> None:
    ledger = demoted_behind_proxy(tmp_path)
    assert (ledger.lost, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert {*ledger.refused} <= {503}
    assert ledger.longest_gap < 8.0
