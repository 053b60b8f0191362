"""Sessions and the names under which destinations speak of conversations."""

from __future__ import annotations

import pytest
import redis

from app.core.acceptance import Responder
from app.core.work import Achieved, Done, SessionChange
from app.store import Store
from tests.store.steps import ANN, BEN, Drain, key, write
from tests.support.gateway import Clock

MONTH = 30 * 86_400


def test_a_conversation_that_nobody_holds_has_none(store: Store) -> None:
    assert store.sessions.read(ANN) is None


def test_one_that_was_taken_is_with_people(store: Store) -> None:
    taken = write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
    session = store.sessions.read(ANN)
    assert taken.state == "ok"
    assert session is not None
    assert (session.destination, session.mode, session.version, session.handles) == ("desk", "human", 1, {})


def test_taking_one_leaves_the_others_alone(store: Store) -> None:
    write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
    assert store.sessions.read(BEN) is None


def test_a_destination_is_known_by_its_own_names_only(store: Store) -> None:
    write(store, 1)
    store.mailboxes.remember(
        Drain(store).claim(),
        30,
        Achieved(
            progress={},
            aliases=(
                "bot:CH1",
                "bot:CH2",
            ),
        ),
    )
    assert [store.sessions.resolve("bot", alias) for alias in ("CH1", "CH2", "CH3")] == [ANN, ANN, None]
    assert store.sessions.resolve("desk", "CH1") is None


def test_one_that_goes_back_as_it_came_is_dated_and_no_more(store: Store, client: redis.Redis, clock: Clock) -> None:
    write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
    write(store, 2)
    claim = Drain(store).claim()
    assert claim.session is not None
    client.hset(key("s", ANN), "context", '{"written":"meanwhile"}')
    clock.advance(5)
    store.mailboxes.settle(Done(claim, session=SessionChange(claim.session)))
    session = store.sessions.read(ANN)
    assert session is not None
    assert (session.destination, session.last_at, session.context) == ("desk", clock(), {"written": "meanwhile"})


@pytest.mark.parametrize(
    ("passed", "dated"), [(0.999, False), (1.0, True), (-0.001, True)], ids=["at once", "later", "by a clock set back"]
)
def test_one_that_is_used_again_at_once_is_dated_already(
    store: Store, client: redis.Redis, clock: Clock, passed: float, dated: bool
) -> None:
    write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
    write(store, 2)
    claim = Drain(store).claim()
    assert claim.session is not None
    client.expire(key("s", ANN), 60)
    clock.advance(passed)
    store.mailboxes.settle(Done(claim, session=SessionChange(claim.session)))
    session = store.sessions.read(ANN)
    assert session is not None
    assert session.last_at == claim.session.last_at + (int(passed * 1_000) if dated else 0)
    assert (client.ttl(key("s", ANN)) > 60) == dated


def test_a_name_in_use_is_kept_as_long_as_a_session(store: Store, client: redis.Redis) -> None:
    write(store, 1)
    store.mailboxes.remember(Drain(store).claim(), 30, Achieved(progress={}, aliases=("bot:CH1",)))
    alias = key("a", "bot", "CH1")
    assert MONTH - 2 < client.ttl(alias) <= MONTH

    client.expire(alias, 60)
    store.sessions.resolve("bot", "CH1")
    assert MONTH - 2 < client.ttl(alias) <= MONTH
