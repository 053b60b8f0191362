"""A head whose claim ended without a result may have killed its worker: it is tried where nothing else is in hand."""

from __future__ import annotations

import pytest

from app.core.work import Claim, Done, Retry, item_text
from app.store import Store
from app.store.mailbox import Solitude
from tests.store.steps import ANN, BEN, BOT, Drain, item, write
from tests.support.gateway import Clock

LEASE = 30.0


class Workers:
    """Whoever takes a head; `dies` lets its lease run out."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock

    def takes(self, solitude: Solitude = "possible") -> Claim | None:
        return Drain(self.store, lease=LEASE).step(solitude=solitude)

    def dies(self) -> None:
        self.clock.advance(LEASE + 1)
        self.store.mailboxes.sweep()

    def tries_alone(self) -> Claim:
        claim = self.takes()
        assert claim is not None
        assert claim.suspect
        assert self.store.mailboxes.begin(claim, LEASE)
        return claim


@pytest.fixture
def workers(store: Store, clock: Clock) -> Workers:
    return Workers(store, clock)


def text(claim: Claim | None) -> str:
    return item_text(claim.item) if claim else ""


def test_a_head_is_no_suspect_at_first(store: Store, workers: Workers) -> None:
    write(store, 1)
    claim = workers.takes("impossible")
    assert claim is not None
    assert not claim.suspect


def test_a_suspect_is_not_given_out_beside_others_and_holds_nobody_up(store: Store, workers: Workers) -> None:
    write(store, 1, ANN), workers.takes()
    workers.dies()
    write(store, 2, BEN)
    assert text(workers.takes("impossible")) == item(2)
    assert workers.takes("impossible") is None


def test_a_suspect_holds_what_is_behind_it(store: Store, workers: Workers) -> None:
    write(store, 1, ANN), write(store, 2, ANN), workers.takes()
    workers.dies()
    assert workers.takes("impossible") is None
    workers.clock.advance(1.0)
    claim = workers.tries_alone()
    assert text(claim) == item(1)
    store.mailboxes.settle(Done(claim))
    following = workers.takes("impossible")
    assert text(following) == item(2)


def test_it_is_told_which_try_it_is_and_that_the_last_one_may_have_gone_well(store: Store, workers: Workers) -> None:
    write(store, 1), workers.takes()
    workers.dies()
    claim = workers.tries_alone()
    assert (claim.attempt, claim.uncertain) == (2, True)


def test_three_tries_alone_without_a_result_make_it_poison(store: Store, workers: Workers) -> None:
    write(store, 1), workers.takes()
    for _ in range(3):
        workers.dies()
        workers.tries_alone()
    workers.dies()
    assert workers.takes() is None
    (letter,) = store.dead_letters.newest()
    assert (letter.reason, letter.message_id) == ("poison", f"{1:032x}")


def test_tries_beside_others_never_make_it_poison(store: Store, workers: Workers) -> None:
    """Its worker died of something else before it was alone."""
    write(store, 1), workers.takes()
    for _ in range(10):
        workers.dies()
        claim = workers.takes()
        assert claim is not None
        assert claim.attempt == 2
    assert store.dead_letters.count() == 0


@pytest.mark.parametrize("alone", [1, 2])
def test_any_result_clears_it(alone: int, store: Store, workers: Workers) -> None:
    write(store, 1), workers.takes()
    for _ in range(alone):
        workers.dies()
        claim = workers.tries_alone()
    store.mailboxes.settle(Retry(claim, due=0))
    again = workers.takes("impossible")
    assert again is not None
    assert again.attempt == alone + 2
    for _ in range(2):
        workers.dies()
        workers.tries_alone()
    workers.dies()
    assert text(workers.takes()) == item(1)
    assert store.dead_letters.count() == 0


def test_a_try_does_not_begin_once_its_lease_is_lost(store: Store, workers: Workers) -> None:
    write(store, 1), workers.takes()
    workers.dies()
    claim = workers.takes()
    assert claim is not None
    workers.dies()
    assert not store.mailboxes.begin(claim, LEASE)


def test_under_constant_load_its_turn_comes(store: Store, workers: Workers) -> None:
    """Workers that rest from another one meet it again and again, and for each head that they work the next one comes
    in. Once they have rested, it is there within a second, behind those that came before."""
    write(store, 1, ANN), workers.takes()
    workers.dies()
    number = 1
    for second in range(60):
        for _ in range(5):
            number += 1
            write(store, number, f"shop/webchat:{number}")
        for _ in range(5):
            claim = workers.takes("impossible" if second < 30 else "possible")
            if claim and claim.suspect:
                assert text(claim) == item(1)
                assert second <= 31
                return
            if claim:
                store.mailboxes.settle(Done(claim))
        workers.clock.advance(1.0)
    raise AssertionError("it was never tried")


def test_many_suspects_hold_nobody_up(store: Store, workers: Workers) -> None:
    for number in range(1, 150):
        store.lanes.declare({BOT: 500})
        write(store, number, f"shop/webchat:{number}")
    store.connection.client.hset("{patchbay}:lane:inbound:bot", mapping={"pace": 500})
    while workers.takes("impossible"):
        pass
    workers.dies()
    write(store, 900, BEN)
    assert item(900) in [text(workers.takes("impossible")) for _ in range(3)]
