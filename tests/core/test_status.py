"""The status ladder, pair by pair."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.status import STATUSES, Status, climbs

# From (row) to (column): whether a report climbs.
LADDER = """
           queued sent delivered read failed
queued     no     yes  yes       yes  yes
sent       no     no   yes       yes  yes
delivered  no     no   no        yes  no
read       no     no   no        no   no
failed     no     no   yes       yes  no
"""


def pairs() -> dict[tuple[str, str], bool]:
    head, *rows = [line.split() for line in LADDER.strip().splitlines()]
    return {(row[0], name): word == "yes" for row in rows for name, word in zip(head, row[1:], strict=True)}


@pytest.mark.parametrize(("pair", "expected"), pairs().items(), ids=[" -> ".join(pair) for pair in pairs()])
def test_a_status_climbs_or_stays(pair: tuple[Status, Status], expected: bool) -> None:
    assert expected == climbs(*pair)


def test_the_table_holds_every_pair() -> None:
    assert set(product(STATUSES, STATUSES)) == set(pairs())


def after(reports: tuple[Status, ...]) -> Status:
    status: Status = "queued"
    for report in reports:
        status = report if climbs(status, report) else status
    return status


@pytest.mark.parametrize("reports", list(permutations(["sent", "delivered", "read", "failed"])), ids=" ".join)
def test_disordered_reports_end_where_ordered_ones_do(reports: tuple[Status, ...]) -> None:
    assert after(reports) == "read"


@given(st.lists(st.sampled_from(STATUSES)))
def test_doubled_reports_change_nothing(reports: list[Status]) -> None:
    doubled = tuple(report for report in reports for _ in range(2))
    assert after(tuple(reports)) == after(doubled)
