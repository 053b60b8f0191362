"""Flex gets each message once, and each chat is opened once, whatever becomes of connections and workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import busy
from tests.journeys.flexworld import FlexWorld, flex_world
from tests.support.processes import wait_until

GENERATIONS = ["flex_conversations", "flex_chat"]
CONVERSATIONS, AT_ONCE = 20, 10
CLOSED = 4  # in each round: a fifth one in a row would have the lane rest, as it should

# Every call that changes something while a chat is opened and the first message goes into it.
CALLS = {
    "flex_conversations": ["/Conversations", "/Participants", "/Webhooks", "/Interactions", "/Messages"],
    "flex_chat": ["/v1/Channels", "/Webhooks", "/Messages"],
}


@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_message_that_was_taken_before_the_connection_broke_is_there_once(
    generation: str, rounds: int, tmp_path: Path
) -> None:
    with flex_world(tmp_path, generation) as world:
        for number in range(rounds):
            world.sandbox.fault(target="flex", kind="close_after", path="/Messages", method="POST", times=CLOSED)
            for nth in range(number * AT_ONCE, (number + 1) * AT_ONCE):
                world.direct.write(f"m-{nth}", f"c{nth % CONVERSATIONS}", str(nth // CONVERSATIONS))
            count = (number + 1) * AT_ONCE
            wait_until("all are there", lambda count=count: sum(map(len, _texts(world).values())) >= count, 60)
        wait_until("nothing is left to do", lambda: world.flex()["idle"] and not busy(world))
        assert _met(world) == rounds * CLOSED
        each = tuple(str(number) for number in range(rounds * AT_ONCE // CONVERSATIONS))
        assert Counter(_texts(world).values()) == {each: CONVERSATIONS}


def test_a_worker_that_is_killed_in_any_call_of_the_opening_leaves_one_chat(tmp_path: Path) -> None:
    """Each call hangs for one customer and is carried out although its worker is dead by then. Most of the time is the
    wait for what the dead ones held, so both generations do it at once."""
    with ExitStack() as stack:
        worlds = {}
        for generation in GENERATIONS:
            folder = tmp_path / generation
            folder.mkdir()
            worlds[generation] = stack.enter_context(flex_world(folder, generation, workers=1, timeout=1.5))
            _kill_in_every_call(worlds[generation], CALLS[generation])
        for generation, world in worlds.items():
            calls = CALLS[generation]
            expected = {("hello",): len(calls)}
            wait_until(
                "every customer has a chat",
                lambda world=world, expected=expected: Counter(_texts(world).values()) == expected,
                90,
            )
            for path in calls:
                assert len(world.tasks(_customer(path))) == 1
            for room in _rooms(world):
                assert len(room["webhooks"]) == (1 if generation == "flex_conversations" else 2)
            assert len(_rooms(world)) == len(calls)


def _kill_in_every_call(world: FlexWorld, calls: Sequence[str]) -> None:
    for path in calls:
        world.sandbox.fault(target="flex", kind="delay", path=path, method="POST", seconds=1.0)
        met = _met(world)
        world.direct.write(f"first-{path}", _customer(path), "hello")
        wait_until(f"{path} hangs", lambda met=met: _met(world) > met)
    world.system.workers[0].kill()
    world.system.add_worker()


@pytest.mark.parametrize(
    ("generation", "path"), [(generation, path) for generation, paths in CALLS.items() for path in paths]
)
@pytest.mark.parametrize("kind", ["close", "close_after"])
def test_an_opening_goes_on_where_a_connection_broke(generation: str, path: str, kind: str, worlds: Any) -> None:
    world: FlexWorld = worlds(generation)
    before = len(_rooms(world))
    world.sandbox.fault(target="flex", kind=kind, path=path, method="POST")
    customer = f"{_customer(path)}-{kind}"
    world.direct.write(f"broken-{customer}", customer, "hello")
    wait_until("it arrived", lambda: world.tasks(customer) and world.texts(world.chat(customer)))
    wait_until("nothing is left to do", lambda: world.flex()["idle"] and not busy(world))
    assert world.texts(world.chat(customer)) == ["hello"]
    assert len(world.tasks(customer)) == 1
    assert len(_rooms(world)) == before + 1
    assert len(_rooms(world)[-1]["webhooks"]) == (1 if generation == "flex_conversations" else 2)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One running world for each generation, made when it is first asked for."""
    with ExitStack() as stack:
        made: dict[str, FlexWorld] = {}

        def get(generation: str) -> FlexWorld:
            if generation not in made:
                folder = tmp_path_factory.mktemp(generation)
                made[generation] = stack.enter_context(flex_world(folder, generation, workers=1))
            return made[generation]

        yield get


def _customer(path: str) -> str:
    return path.strip("/").replace("/", "-").lower()


def _met(world: FlexWorld) -> int:
    return len(world.sandbox.inspect()["faults"]["met"])


def _rooms(world: FlexWorld) -> list[Any]:
    shown = world.flex()
    return [*shown["channels"], *shown["conversations"]]


def _texts(world: FlexWorld) -> dict[str, tuple[str, ...]]:
    """What stands in each chat."""
    return {room["sid"]: tuple(message["body"] for message in room["messages"]) for room in _rooms(world)}
