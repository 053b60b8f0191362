"""Somebody is forgotten: nothing in Redis speaks of them any more, nothing of others has changed, the work goes on."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.work import Achieved, AppendItem, Retry, Typing
from app.store import Store
from tests.store.lives import ANN, PHONE, STEPS, Lives, is_theirs, left_of, opened, without_theirs
from tests.store.steps import SHOP, Held, held
from tests.support.examples import examples
from tests.support.gateway import Clock
from tests.support.keymap import strays

STEP = st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 7), st.integers(0, 200))
STEPS_OF_A_LIFE = st.lists(STEP, min_size=10, max_size=80)
PROFILE = settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


CLOCK = Clock()


@pytest.fixture(scope="module")
def world(machine_client: redis.Redis) -> Store:
    """One for all examples, as each store has connections of its own."""
    return opened(machine_client, CLOCK)


def lived(store: Store, steps: list[tuple[str, int, int]]) -> Lives:
    """Ann's two addresses are known to be hers in the end, whatever happened before."""
    CLOCK.now = Clock().now
    lives = Lives(store, CLOCK)
    lives.live(steps)
    lives.writes(ANN, 0)
    return lives


def backlogs_are_right(found: Held) -> None:
    for name, value in found.values.items():
        if name.startswith("lane:"):
            lane = name.removeprefix("lane:")
            waiting = sum(
                len(found.values.get(f"q:{box.removeprefix('b:')}", ()))
                for box in found.named("b:")
                if found.values[box].get("lane") == lane
            )
            assert int(value.get("backlog", 0)) == waiting, lane


def bytes_of_dead_letters_are_right(found: Held) -> None:
    for where, count in found.values.get("letters", {}).items():
        letters = found.values[f"letters:{where}"]
        assert int(count) == sum(int(found.values[f"d:{one}"]["bytes"]) for one in letters)


def nothing_is_written_back(lives: Lives) -> None:
    """By whoever has something of hers in hand."""
    mine = [claim for claim in lives.in_hand if is_theirs(claim.conversation, lives.ids)]
    before = held(lives.client).values
    for number, claim in enumerate(mine):
        done = lives.outcome(claim, 2 + 5 * number)
        for outcome in (done, Retry(claim, due=1.0), lives.outcome(claim, 5)):
            assert lives.store.mailboxes.settle(outcome).stale
        assert not lives.store.mailboxes.remember(claim, 9.0, Achieved(progress={"a": 1}, aliases=("desk:CH-zqann",)))
        lives.store.mailboxes.append(AppendItem(f"{claim.conversation}|outbound", SHOP, Typing(1)), claim=claim)
    assert held(lives.client).values == before
    lives.in_hand = [claim for claim in lives.in_hand if claim not in mine]


@given(steps=STEPS_OF_A_LIFE, asked=st.sampled_from([ANN, PHONE]), consent=st.booleans())
@PROFILE
def test_nothing_speaks_of_her_and_nothing_of_others_has_changed(
    world: Store, steps: list[tuple[str, int, int]], asked: str, consent: bool
) -> None:
    lives = lived(world, steps)
    before, wanted = held(lives.client), lives.store.consents.read(ANN)
    found = lives.store.forgetting.find(asked)
    assert held(lives.client).values == before.values
    removed = lives.store.forgetting.forget(asked, consent=consent)
    after = held(lives.client)
    assert removed.counts() == found.counts()
    kept = set() if consent else {f"o:{ANN}", f"o:{PHONE}"}
    assert set(left_of(after, lives.ids)) <= kept
    assert without_theirs(after, lives.ids) == without_theirs(before, lives.ids)
    for one in (ANN, PHONE):
        assert lives.store.consents.read(one) == (None if consent else wanted)
    backlogs_are_right(after)
    bytes_of_dead_letters_are_right(after)
    nothing_is_written_back(lives)
    the_work_goes_on(lives)


def the_work_goes_on(lives: Lives) -> None:
    """Others' work in hand is settled, what waits is worked, and she may come back as somebody new."""
    for claim in lives.in_hand:
        lives.store.mailboxes.settle(lives.outcome(claim, 2))
    lives.writes(ANN, 1)
    lives.work_everything()
    after = held(lives.client)
    backlogs_are_right(after)
    assert not {name for kind in ("q:", "b:", "ready:", "leased:") for name in after.named(kind)}
    assert not [one for one in strays(lives.client) if "damaged" not in one]
