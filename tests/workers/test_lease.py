"""What a worker has in hand: its leases are renewed, and its results are told for as long as it may live."""

from __future__ import annotations

import pytest

from app.core.errors import StoreUnavailable
from app.core.retry import RetryPolicy
from app.core.work import Claim, Done
from app.gateway import Lane
from tests.support.gateway import recorder
from tests.workers.conftest import Office
from workers import lease
from workers.lease import SHORT, Hands, insist, lease_of

SLOW = Lane("inbound:helper", 4, 0.0, 45.0, RetryPolicy())
QUICK = Lane("inbound:helper", 4, 0.0, 5.0, RetryPolicy())


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The one number is the time, which the test moves."""
    time = [1_000.0]
    monkeypatch.setattr("workers.lease.time.monotonic", lambda: time[0])
    return time


def claimed(office: Office, lane: Lane) -> Claim:
    office.customer_writes("hello")
    wake = recorder(office.gateway).wakes.pop(0)
    found = office.gateway.store.mailboxes.work(wake.lane, wake.token, None, lease=lease_of(lane)).claim
    assert found is not None
    return found


def is_held(office: Office, claim: Claim) -> bool:
    office.gateway.store.mailboxes.sweep()
    return not office.gateway.store.mailboxes.settle(Done(claim)).stale


def test_a_lease_is_short_however_long_a_call_may_take() -> None:
    assert (SHORT, 5.0) == (lease_of(SLOW), lease_of(QUICK))


@pytest.mark.parametrize(("held", "kept"), [(True, True), (False, False)], ids=["in hand", "let go of"])
def test_what_is_in_hand_is_renewed(office: Office, held: bool, kept: bool) -> None:
    hands, claim = Hands(), claimed(office, SLOW)
    hands.hold(claim, SLOW)
    if not held:
        hands.let_go(claim)
    for _ in range(3):
        office.clock.advance(SHORT - 1)
        hands.renew(office.gateway)
    assert kept == is_held(office, claim)


def test_what_takes_longer_than_it_ever_may_is_let_go_of(office: Office, now: list[float]) -> None:
    hands, claim = Hands(), claimed(office, SLOW)
    hands.hold(claim, SLOW)
    now[0] += SLOW.lease + 1
    office.clock.advance(SHORT - 1)
    hands.renew(office.gateway)
    office.clock.advance(2)
    assert not is_held(office, claim)


def test_it_insists_until_the_worker_must_end(now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += 100
        if len(waits) == 5:
            monkeypatch.setattr(lease, "ends_at", now[0] - 1)

    def away() -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr("workers.lease.time.sleep", sleep)
    with pytest.raises(StoreUnavailable):
        insist(away)
    assert len(waits) == 5
