"""Somebody is forgotten: nothing in Redis speaks of them any more, nothing of others has changed, the work goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.session import Session
from app.core.work import Achieved, AppendItem, Retry, Typing
from app.store import Store
from app.store.buckets import Bucket
from app.store.limits import Limits
from tests.store.lives import (
    ANN,
    BEN,
    LONGER,
    PHONE,
    STEPS,
    Lives,
    is_theirs,
    left_of,
    name_of,
    opened,
    without_theirs,
)
from tests.store.steps import BOT, SHOP, SICK, Drain, Held, held, key, snapshot
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
    assert not {name for kind in ("q:", "b:", "ready:", "bulk:", "leased:") for name in after.named(kind)}
    assert not [one for one in strays(lives.client) if "damaged" not in one]


@pytest.fixture
def lives(redis_client: redis.Redis) -> Lives:
    clock = Clock()
    return Lives(opened(redis_client, clock), clock)


def test_another_is_tried_where_what_she_waited_for_was_to_show_that_a_platform_is_back(lives: Lives) -> None:
    store = Store(lives.client, Limits(breaker_failures=1, breaker_pause=1.0), lives.clock)
    lives.writes(ANN, 1)
    drain = Drain(store)
    drain.step(Retry(drain.claim(), due=0.0, lane=SICK), go_on=False)
    lives.clock.advance(2)
    drain.claim()
    lives.writes(BEN, 1)
    other = Drain(store, token="another")
    assert other.step() is None  # as long as hers may tell
    store.forgetting.forget(ANN, consent=False)
    assert other.claim().conversation == BEN


def test_an_opt_out_that_ends_by_itself_does_so_under_each_address(lives: Lives) -> None:
    lives.writes(ANN, 0)
    lives.store.consents.write(PHONE, "out", "test", keep=500)
    lives.store.forgetting.forget(PHONE, consent=False)
    assert [500, 500] == [lives.client.ttl(key("o", one)) for one in (ANN, PHONE)]
    assert lives.store.forgetting.find(ANN).conversations == [ANN]


def test_a_lane_that_rests_says_no_more_of_whom(lives: Lives) -> None:
    for who, lane in ((ANN, BOT), (LONGER, SHOP)):
        lives.client.hset(key("lane", lane), mapping={"paused_why": f"throttled: too much of {name_of(who)}"})
        lives.writes(who, 1)
    lives.store.forgetting.forget(ANN, consent=False)
    whys = [lives.client.hget(key("lane", lane), "paused_why") for lane in (BOT, SHOP)]
    assert ["throttled", "throttled: too much of zqannabel"] == whys


def test_whoever_settles_while_she_is_being_forgotten_settles_nothing(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what is found and what is removed."""
    lives.writes(ANN, 1)
    claim, connection, stale = Drain(lives.store).claim(), lives.store.connection, list[bool]()
    run = connection.run

    def runs(script: str, *arguments: Any) -> Any:
        if script == "forget" and arguments[0]["conversations"]:
            stale.append(lives.store.mailboxes.settle(lives.outcome(claim, 2)).stale)
        return run(script, *arguments)

    monkeypatch.setattr(connection, "run", runs)
    lives.store.forgetting.forget(ANN, consent=False)
    assert stale == [True]
    assert left_of(held(lives.client), lives.ids) == []


def test_an_address_is_hers_though_the_list_of_them_was_lost(lives: Lives) -> None:
    lives.writes(PHONE, 1)
    lives.writes(ANN, 0)
    (first,) = (one for one in (ANN, PHONE) if lives.client.exists(key("w", one)))
    lives.client.delete(key("w", first))
    assert {ANN, PHONE} == set(lives.store.forgetting.find(first).conversations)
    lives.store.forgetting.forget(first, consent=False)
    assert left_of(held(lives.client), lives.ids) == []


@pytest.mark.parametrize(
    "mark", ["x:shop:inbound:%s/7", "early:shop:outbound:%s/8", "x:shop:ended:forgotten:webchat:%s"]
)
def test_marks_that_are_made_from_her_name_go_though_their_messages_have_gone_before(lives: Lives, mark: str) -> None:
    """As with a `dedup_window` that is longer than the `retention`."""
    lives.writes(ANN, 1)
    hers, others = key(mark % "zqann"), key(mark % "zqannabel")
    for one in (hers, others):
        lives.client.lpush(one, "read") if mark.startswith("early") else lives.client.set(one, "f" * 32)
        lives.client.expire(one, 99)
    lives.store.forgetting.forget(ANN, consent=False)
    assert (0, 1) == (lives.client.exists(hers), lives.client.exists(others))


def test_what_was_asked_as_one_leaves_the_dead_letters_with_her(lives: Lives) -> None:
    for number in range(3):
        lives.writes(ANN, number)
    lives.is_asked_as_one(ANN, 5)
    (letter,) = lives.store.dead_letters.newest()
    assert len(letter.also) == 2
    assert lives.store.forgetting.forget(ANN, consent=False).counts()["dead letters"] == 1
    assert left_of(held(lives.client), lives.ids) == []


def test_the_same_address_on_another_channel_is_another_customer(lives: Lives) -> None:
    kept = {"method": "POST", "url": "http://gw/x", "path": "", "headers": {}, "body": '{"from": "webchat:zqann"}'}
    lives.store.dead_letters.keep_webhook(orjson.dumps(kept).decode(), "office", "unexpected", "oops")
    lives.store.buckets.take([Bucket("office:message:visitor:webchat:zqann", 60)])
    lives.writes("office/webchat:zqann", 1)
    before = snapshot(lives.client)
    lives.writes(ANN, 2)
    lives.store.forgetting.forget(ANN, consent=True, channels=["shop", "office"])
    after = snapshot(lives.client)
    ours = {name for name in before if name.split(":")[0] not in ("lane", "drains", "ready", "busy", "cost")}
    ours.add("cost:c:office/webchat:zqann")
    assert {name: before[name] for name in ours} == {name: after.get(name) for name in ours}


def test_a_long_conversation_goes_in_steps(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(900):
        lives.writes(ANN, number)
    client, connection, sizes = lives.client, lives.store.connection, list[int]()
    guard = connection.guard

    def noted(call: Callable[[], Any], **options: Any) -> Any:
        answer = guard(call, **options)
        sizes.append(len(answer) if isinstance(answer, list) else 0)
        return answer

    monkeypatch.setattr(connection, "guard", noted)
    for name in ("unlink", "zrem"):
        monkeypatch.setattr(client, name, _measured(getattr(client, name), sizes))
    assert lives.store.forgetting.forget(ANN, consent=False).counts()["messages"] == 900
    assert left_of(held(client), lives.ids) == []
    assert max(sizes) <= 501
    assert sum(sizes) > 4_000


def _measured(call: Callable[..., Any], sizes: list[int]) -> Callable[..., Any]:
    def measured(*arguments: Any) -> Any:
        sizes.append(len(arguments))
        return call(*arguments)

    return measured


def test_of_whom_nothing_is_known_there_is_nothing_to_forget(lives: Lives) -> None:
    lives.writes(LONGER, 1)
    before = snapshot(lives.client)
    assert not any(lives.store.forgetting.find(ANN).counts().values())
    assert not any(lives.store.forgetting.forget(ANN, consent=True).counts().values())
    assert snapshot(lives.client) == before


def test_a_report_names_where_else_they_are_known(lives: Lives) -> None:
    lives.writes(ANN, 1)
    lives.is_answered(ANN, 0)
    drain = Drain(lives.store)
    claim = drain.claim()
    handles = {"chat": "CH-zqann", "dialogue": "UK-1", "cookies": {"host": {"session": "not for a report"}}}
    achieved = Achieved(aliases=("desk:zq-contact",), session=Session("bot", handles=handles, version=1))
    assert lives.store.mailboxes.remember(claim, 30.0, achieved)
    found = lives.store.forgetting.find(ANN)
    assert {"bot": {"CH-zqann", "UK-1"}, "desk": {"CH-zqann", "zq-contact"}} == found.known_as
    assert "not for a report" in found.names  # but a webhook is told by it
