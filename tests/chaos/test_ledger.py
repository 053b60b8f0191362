"""The ledger: under each fault, in each direction, nothing is lost or disordered, and repeated only where a call's
outcome is unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.support.ledgers import row_of
from tests.support.traffic import Replies, Traffic

SHORT = "workers are killed"  # which the usual suite tries, too
DIRECTIONS: dict[str, type[Traffic]] = {"to the desk": Traffic, "to the customer": Replies}


@pytest.mark.ledger
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    "name", [name if name == SHORT else pytest.param(name, marks=pytest.mark.long) for name in FAULTS]
)
def test_nothing_is_lost_when(
    name: str, direction: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    fault = FAULTS[name]
    ledger = fault.run(tmp_path, DIRECTIONS[direction])
    record_property("ledger", row_of(name, direction, ledger))
    assert (ledger.lost, ledger.disordered, ledger.without_hint) == (0, 0, 0)
    assert {*ledger.refused} <= {0, 503}
    assert fault.repeats or ledger.repeated == 0
