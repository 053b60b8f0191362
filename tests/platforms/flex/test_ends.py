"""Ends: the thread, its webhooks and its task."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.platforms.destination import Who
from tests.platforms.flex.generations import Generation
from tests.platforms.flex.world import MESSAGE, Kept, Place


@pytest.mark.parametrize("who", ["customer", "silence"])
def test_a_close_ends_the_chat_and_takes_the_webhooks_away(who: Who, each_place: Place) -> None:
    place = each_place
    place.deliver()
    place.close(who)
    assert place.is_over()
    assert [] == [hook for hook in place.hooks() if "url" in hook]
    before = place.state()
    place.close(who)
    assert before == place.state()


FLOWS_TASKS: dict[str, tuple[tuple[str, ...], str]] = {
    "nobody has it": ((), "canceled"),
    "somebody has it": (("accept",), "completed"),
    "it is over": (("accept", "complete"), "completed"),
}


@pytest.mark.parametrize(("moves", "expected"), FLOWS_TASKS.values(), ids=FLOWS_TASKS)
@pytest.mark.parametrize("who", ["customer", "silence"])
def test_a_task_that_a_flow_made_ends_with_its_chat(
    who: Who,
    moves: tuple[str, ...],
    expected: str,
    flex_sandbox: str,
    generation: Generation,
) -> None:
    place = Place(generation.setups["studio"], flex_sandbox, generation.by_flow)
    place.deliver()
    for move in moves:
        place.act(f"tasks/{place.tasks[0].sid}/{move}")
    assert not place.kept.handles.get("task")
    place.close(who)
    assert ([expected], True) == ([task.assignment_status for task in place.tasks], place.is_over())
    ended = [call for call in place.line.calls if call.method == "POST" and "/Tasks/" in call.path]
    assert (0 if "complete" in moves else 1) == len(ended)


def test_a_flows_task_of_another_chat_is_left_alone(flex_sandbox: str, generation: Generation) -> None:
    place = Place(generation.setups["studio"], flex_sandbox, generation.by_flow)
    place.deliver()
    place.kept = Kept()
    place.deliver(replace(MESSAGE, id="9" * 32, customer="webchat:v82"))
    place.close()
    assert ["pending", "canceled"] == [task.assignment_status for task in place.tasks]


def test_without_a_workspace_no_task_is_asked_for(flex_sandbox: str, generation: Generation) -> None:
    place = Place(generation.setups["studio"], flex_sandbox)
    place.deliver()
    place.close()
    assert (True, "pending") == (place.is_over(), place.tasks[0].assignment_status)
    assert [] == [call for call in place.line.made if "taskrouter" in call or "Workspaces" in call]


def test_an_end_over_there_takes_the_webhooks_away_and_leaves_the_task(place: Place) -> None:
    place.deliver()
    place.accept()
    place.end_over_there()
    place.close("platform")
    assert [] == place.hooks()
    assert "assigned" == place.tasks[0].assignment_status


@pytest.mark.parametrize("who", ["customer", "silence", "platform"])
def test_everything_gone_already_is_no_error(who: Who, each_place: Place) -> None:
    place = each_place
    place.deliver()
    place.delete()
    place.close(who)
    assert place.chats == []


def test_a_session_without_a_chat_has_nothing_to_close(place: Place) -> None:
    place.close()
    assert not place.desk.abandon(place.session, place.line)
    assert place.line.calls == []
