"""Messages that are asked as one question leave their mailbox together, and nothing else does."""

from __future__ import annotations

import pytest
import redis

from app.core.work import Achieved, Claim, Dead, Done
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import ANN, BOT, Drain, item, key, queued, write

MAILBOX = f"{ANN}|inbound"


def asked(store: Store, drain: Drain, several: int, waiting: int = 0) -> Claim:
    """Messages 1, 2, ... of which the first `several` are asked as one; the rest waits."""
    for number in range(1, several + waiting + 1):
        write(store, number)
    claim = drain.claim()
    assert store.mailboxes.remember(claim, 30, Achieved(asked=tuple(f"{n:032x}" for n in range(1, several + 1))))
    return claim


def test_a_lane_waits_for_none_that_were_asked_with_another(store: Store, client: redis.Redis) -> None:
    store.mailboxes.settle(Done(asked(store, Drain(store), 3, waiting=2), status="delivered"))
    assert int(client.hget(key("lane", BOT), "backlog") or 0) == 2


def test_what_another_head_was_asked_with_stays(store: Store, client: redis.Redis) -> None:
    """A version that knows of no questions settled that head, and left what was kept of it."""
    drain = Drain(store)
    claim = asked(store, drain, 1, waiting=2)
    following = drain.step(Done(claim))
    assert following is not None
    client.hset(key("b", MAILBOX), "asked", f"{1:032x} {3:032x}")
    store.mailboxes.settle(Done(following))
    assert queued(client, MAILBOX) == [item(3)]


def test_a_dead_letter_is_as_big_as_all_of_its_messages(store: Store, client: redis.Redis) -> None:
    store.mailboxes.settle(Dead(asked(store, Drain(store), 3), reason="rejected"))
    whole = sum(client.hstrlen(key("m", f"{number:032x}"), "body") for number in (1, 2, 3))
    assert int(client.hget(key("letters"), BOT) or 0) == whole


@pytest.mark.parametrize("limits", [Limits(dead_letter_bytes=100)], ids=["100 bytes"])
def test_a_dead_letter_that_goes_lets_all_of_its_messages_go(store: Store, client: redis.Redis) -> None:
    store.mailboxes.settle(Dead(asked(store, Drain(store), 3), reason="rejected"))
    assert store.dead_letters.trim() == {BOT: 1}
    assert all(client.ttl(key("m", f"{number:032x}")) > 0 for number in (1, 2, 3))
