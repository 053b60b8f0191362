"""What Flower hears of a drain."""

from __future__ import annotations

from typing import Any

import pytest
from celery.events.state import Task
from celery.utils.saferepr import saferepr

from tests.support.gateway import recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from workers.drain import Drainer
from workers.lease import LeaseLost
from workers.tally import AWAY, Tally, event_of

DONE, RETRY, DEAD = ("done", ""), ("retry", "unavailable"), ("dead", "rejected")
TOLD: dict[str, tuple[list[tuple[str, str]], str, str, int]] = {
    "nothing": ([], "nothing was due", "SUCCESS", 0),
    "what was done": ([DONE, DONE], "2 done", "SUCCESS", 0),
    "what waits for another try": ([DONE, DONE, RETRY, DONE], "3 done, 1 retry: unavailable", "RETRY", 1),
    "what died": ([DEAD], "1 dead: rejected", "FAILURE", 0),
    "the worst of all": ([RETRY, DEAD, RETRY, DONE], "2 retry: unavailable, 1 dead: rejected, 1 done", "FAILURE", 2),
    "each reason": ([RETRY, ("retry", "timed_out")], "1 retry: unavailable, 1 retry: timed_out", "RETRY", 2),
    "what failed for an opt-out": ([("done", "opted_out")], "1 done: opted_out", "SUCCESS", 0),
    "what was handed on": ([("reroute", ""), ("behind", "")], "1 reroute, 1 behind", "SUCCESS", 0),
}


@pytest.mark.parametrize(("heads", "words", "state", "tries"), TOLD.values(), ids=TOLD)
def test_it_is_said_in_words_and_by_the_worst(heads: list[tuple[str, str]], words: str, state: str, tries: int) -> None:
    tally = Tally()
    for head in heads:
        tally.add(*head)
    assert words == saferepr(tally)  # as Celery passes a result on
    task = _shown(words)
    assert (state, words, 0.25) == (task.state, task.result, task.runtime)
    assert (words if state != "SUCCESS" else None) == task.exception
    assert tries == (task.retries or 0)


def test_an_unreachable_store_is_named() -> None:
    assert AWAY == repr(Tally(AWAY))
    assert "SUCCESS" == _shown(AWAY).state


@pytest.mark.parametrize("event", ["task-received", "task-started", "task-failed"])
def test_other_events_are_left_alone(event: str) -> None:
    assert (event, {"uuid": "1"}) == event_of(event, {"uuid": "1"})


def test_a_drain_counts_what_became_of_its_heads(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"retry_base": 60})
    office.bot.answers(bot_says("Hi."), Told(status=400), Told(status=503))
    for number in range(3):
        office.customer_writes("hello", f"c-{number}")
    assert "1 done, 1 dead: rejected, 1 retry: unavailable" == _drained(office)


def test_a_head_that_killed_its_workers_counts_as_dead(office: Office) -> None:
    office.customer_writes("hello")
    for number in range(3):
        assert office.gateway.store.mailboxes.work("inbound:helper", f"t{number}", None, lease=1.0).claim
        office.clock.advance(2)
        office.gateway.store.mailboxes.sweep()
    assert "1 dead: poison" == _drained(office)


def test_a_head_that_somebody_else_has_by_now_is_no_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise LeaseLost

    monkeypatch.setattr(office.gateway.destinations["helper"], "deliver", lost)
    office.customer_writes("hello")
    assert "1 lease lost" == _drained(office)


def _drained(office: Office) -> str:
    drainer = Drainer(office.gateway)
    drainer.drain("inbound:helper", recorder(office.gateway).wakes[0].token)
    return repr(drainer.tally)


def _shown(words: str) -> Any:
    """The task as Flower keeps it."""
    task = Task(uuid="1", name="inbound:helper")
    event, fields = event_of("task-succeeded", {"result": words, "runtime": 0.25})
    task.event(event.removeprefix("task-"), 1.0, 1.0, fields)
    return task
