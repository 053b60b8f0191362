"""The ledger: under each fault, in each direction, nothing is lost or disordered, and repeated only where a call's
outcome is unknown. Where a fault may take what was just acknowledged, it takes nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.support.ledgers import row_of

SHORT = "workers are killed"  # which the usual suite tries, too
ROWS = [(name, direction) for name, fault in FAULTS.items() for direction in fault.directions]


@pytest.mark.ledger
@pytest.mark.parametrize(
    ("name", "direction"),
    [row if row[0] == SHORT else pytest.param(*row, marks=pytest.mark.long) for row in ROWS],
)
def test_nothing_is_lost_when(
    name: str, direction: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    fault = FAULTS[name]
    ledger = fault.run(tmp_path, direction)
    record_property("ledger", row_of(name, direction, ledger))
    assert (ledger.lost_but_owed, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert fault.loses or ledger.lost == 0
    assert {*ledger.refused} <= fault.refuses
    assert fault.repeats or ledger.repeated == 0
