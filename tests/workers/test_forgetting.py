"""Somebody is forgotten at the moment when a worker has something of theirs in hand: it writes nothing back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from tests.store.steps import held
from tests.support.gateway import recorder
from tests.support.sink import Call, Told
from tests.workers.conftest import MakeOffice, Office, bot_says

ADA, BEN = "zqada", "zqben"
CALLS = {"typing": True, "consent": {}}


def speaks_of_ada(client: redis.Redis) -> list[str]:
    return [name for name, value in held(client).values.items() if ADA in f"{name} {value}"]


def forgets_her(
    office: Office, answer: Callable[[Call], Told], found: list[list[str]], *, when: str
) -> Callable[[Call], Told]:
    """An outside world in which she is forgotten while it has the first call that holds these words in hand; `found` is
    what speaks of her then, and a little later."""

    def answers(call: Call) -> Told:
        told, client = answer(call), office.gateway.store.connection.client
        if when.encode() in call.body and not found:
            office.gateway.store.forgetting.forget(f"shop/webhook:{ADA}", consent=True)
            found.append(speaks_of_ada(client))
            office.bot.closing.wait(0.3)  # whoever shows that somebody types does it now
            found.append(speaks_of_ada(client))
        return told

    return answers


@pytest.fixture
def office(make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr("workers.replies.TYPING_AFTER", 0.02)
    monkeypatch.setattr("workers.replies.TYPING_AGAIN", 0.02)
    return make_office(channels__shop=CALLS)


def bot(call: Call) -> Told:
    text = call.form["Text"][0]
    if "human" in text:
        return bot_says("I fetch somebody.", task="talk_to_human", listen=False, memory={"who": text})
    return bot_says(f"You said: {text}")


WORLD: dict[str, tuple[str, str, list[str]]] = {
    "a bot has a question": ("bot", f"{ADA}+is+here", [f"{ADA} is here"]),
    "a bot hands over": ("bot", f"{ADA}+wants+a+human", [f"{ADA} wants a human"]),
    "the desk is shown what was said": ("desk", f"{ADA} is here", [f"{ADA} is here", "a human please"]),
    "the desk has a message": ("desk", f"{ADA} again", ["a human please", f"{ADA} again"]),
    "the shop has an answer": ("shop", f"You said: {ADA}", [f"{ADA} is here"]),
    "the shop has a report": ("shop", "message.status", [f"{ADA} is here"]),
}


@pytest.mark.parametrize(("where", "when", "says"), WORLD.values(), ids=WORLD)
def test_nothing_is_written_back(
    office: Office, redis_client: redis.Redis, where: str, when: str, says: list[str]
) -> None:
    office.bot.answer = bot
    world = {"bot": office.bot, "desk": office.desk, "shop": office.shop}[where]
    found: list[list[str]] = []
    world.answer = forgets_her(office, world.answer, found, when=when)
    for text in says:
        office.customer_writes(text, ADA)
        office.customer_writes(text.replace(ADA, BEN), BEN)
    office.work()
    office.work_later(600)
    assert found == [[], []]
    assert speaks_of_ada(redis_client) == []
    assert recorder(office.gateway).wakes == []
    others = {name for name in held(redis_client).values if BEN in name}
    assert {f"t:shop/webhook:{BEN}", f"s:shop/webhook:{BEN}"} <= others
    assert all(office.gateway.store.lanes.state(lane, 0).waiting == 0 for lane in office.gateway.lanes)


def test_who_comes_back_is_somebody_new(office: Office) -> None:
    office.bot.answer = bot
    office.customer_writes("a human please", ADA)
    office.work()
    office.gateway.store.forgetting.forget(f"shop/webhook:{ADA}", consent=False)
    office.customer_writes("hello", ADA)
    office.work()
    assert office.said()[-1] == "You said: hello"
    session = office.gateway.store.sessions.read(f"shop/webhook:{ADA}")
    assert session is not None
    assert (session.destination, session.handles.get("contact")) == ("helper", None)


def test_an_opt_out_holds_all_the_same(office: Office) -> None:
    office.bot.answer = bot
    office.customer_writes("STOP", ADA)
    office.work()
    office.gateway.store.forgetting.forget(f"shop/webhook:{ADA}", consent=False)
    before = len(office.said())
    office.customer_writes("hello", ADA)
    office.work()
    assert len(office.said()) == before


def test_messages_that_come_meanwhile_are_forgotten_too_or_whole(
    office: Office, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They came after their mailboxes were dropped, and before the rest was."""
    connection, late = office.gateway.store.connection, [f"{ADA} is late"]
    run = connection.run

    def runs(script: str, *arguments: Any) -> Any:
        if script == "forget" and arguments[0]["conversations"] and late:
            office.customer_writes(late.pop(), ADA)
        return run(script, *arguments)

    monkeypatch.setattr(connection, "run", runs)
    office.customer_writes(f"{ADA} is here", ADA)
    removed = office.gateway.store.forgetting.forget(f"shop/webhook:{ADA}", consent=True)
    assert removed.counts()["messages"] == 2
    assert speaks_of_ada(redis_client) == []
    assert not held(redis_client).named("x:")
    office.work()
    assert office.asked() == []


def test_a_call_that_was_cut_off_can_be_repeated(
    office: Office, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that was; each time she writes again before."""
    office.bot.answer = lambda call: Told(status=400) if "no" in call.form["Text"][0] else bot(call)
    forgetting, connection = office.gateway.store.forgetting, office.gateway.store.connection
    guard, left, whole = connection.guard, [0], False

    def cut_off(*arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return guard(*arguments, **options)  # type: ignore[arg-type]  # whatever those are

    for steps in range(100):
        for text in (f"{ADA} is here", "no", f"{ADA} is here"):
            office.customer_writes(text, ADA)
        office.work()
        office.customer_writes(f"{ADA} waits", ADA)
        redis_client.delete(f"{{patchbay}}:t:shop/webhook:{ADA}")  # as with more messages than it holds
        left[0] = steps
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(connection, "guard", cut_off)
            forgetting.forget(f"shop/webhook:{ADA}", consent=True)
            whole = True
        if not whole:
            office.work()  # nothing of what is left keeps others from going on
            forgetting.forget(f"shop/webhook:{ADA}", consent=True)
        assert speaks_of_ada(redis_client) == []
        assert [name for name in held(redis_client).values if name.split(":")[0] in ("m", "x", "d", "i", "e")] == []
        if whole:
            return
    raise AssertionError("it was never whole")


def test_two_at_once_leave_nothing_and_count_nothing_twice(
    office: Office, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one runs from its first to its last step, before each step of this one."""
    office.bot.answer = lambda call: Told(status=400) if "no" in call.form["Text"][0] else bot(call)
    forgetting, connection = office.gateway.store.forgetting, office.gateway.store.connection
    guard, left = connection.guard, [0]

    def broken_into(*arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            forgetting.forget(f"shop/webhook:{ADA}", consent=True)
        return guard(*arguments, **options)  # type: ignore[arg-type]  # whatever those are

    for steps in range(100):
        for text in (f"{ADA} is here", "no", f"{ADA} is here"):
            office.customer_writes(text, ADA)
        office.work()
        office.customer_writes(f"{ADA} waits", ADA)
        office.customer_writes(f"{BEN} waits", BEN)
        left[0] = steps
        with monkeypatch.context() as patch:
            patch.setattr(connection, "guard", broken_into)
            forgetting.forget(f"shop/webhook:{ADA}", consent=True)
        assert speaks_of_ada(redis_client) == []
        assert held(redis_client).values["lane:inbound:helper"]["backlog"] == "1"
        office.work()
        if left[0] >= 0:
            return
    raise AssertionError("no step was the last")
