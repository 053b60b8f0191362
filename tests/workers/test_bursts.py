"""What a customer writes in quick succession is one question for a bot, and several messages for everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import redis

from app.core.events import Written
from app.core.message import Attachment, Content, Text
from app.core.work import Achieved
from app.platforms.autopilot.destination import AutopilotDestination
from tests.support.gateway import recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from workers.bursts import seconds_left
from workers.drain import Drainer

BURST = {"destinations__helper": {"burst": 1.0}}
FILE = Attachment("image", "https://cdn.example.test/cat.png")


@pytest.fixture
def patient(make: MakeOffice) -> Office:
    return make(**BURST)


def write(office: Office, *texts: str | Content | Mapping[str, Any]) -> list[str]:
    """Each text is a message; a mapping is one with metadata."""
    found = []
    for text in texts:
        more = {"metadata": text["metadata"]} if isinstance(text, Mapping) else {}
        found.append(office.customer_writes(text["text"] if isinstance(text, Mapping) else text, **more))
    return found


def wait(office: Office, seconds: float = 1.1) -> None:
    office.work()
    office.work_later(seconds)


def test_what_comes_in_quick_succession_is_one_question(patient: Office) -> None:
    messages = write(patient, "hello", "I have", "a question")
    wait(patient)
    assert ["hello\nI have\na question"] == patient.asked()
    assert ["You said: hello\nI have\na question"] == patient.said()
    assert {"delivered"} == {patient.status(one) for one in messages}


def test_each_stays_a_message_of_its_own(patient: Office) -> None:
    messages = write(patient, "hello", "you")
    wait(patient)
    lines = patient.gateway.store.messages.timeline("shop/webhook:ada", 10)
    assert [*messages] == [one.message.id for one in lines if one.message.direction == "inbound"]
    assert ["hello", "you"] == [one.message.content.text for one in lines[:2]]  # type: ignore[union-attr]  # texts
    reported = [call.json["data"] for call in patient.shop.calls if call.json["type"] == "message.status"]
    assert ["m-0", "m-1"] == [one["id"] for one in reported if one["status"] == "delivered"]


def test_a_repeated_webhook_counts_once(patient: Office) -> None:
    for number in ("1", "2", "1"):
        patient.accept("shop", Written(Text(number), external_id=number, customer="webhook:ada"))
    wait(patient)
    assert ["1\n2"] == patient.asked()


def test_without_it_each_message_is_a_question(make: MakeOffice) -> None:
    office = make()
    write(office, "one", "two")
    office.work()
    assert ["one", "two"] == office.asked()


def test_it_costs_a_bot_without_it_no_command(make: MakeOffice) -> None:
    office = make()
    store = office.gateway.store.mailboxes
    store.following = store.remember = None  # type: ignore[method-assign, assignment]  # whoever calls them fails
    write(office, "one", "two")
    office.work()
    assert ["one", "two"] == office.asked()
    assert [] == office.letters()


ENDS: dict[str, tuple[list[Any], list[str]]] = {
    "a file": (["a", "b", FILE, "c"], ["a\nb", FILE.url, "c"]),
    "a command": (["a", "b", "help", "c"], ["a\nb", "c"]),
    "another task": (["a", {"text": "b", "metadata": {"target_task": "quote"}}], ["a", "b"]),
    "one task": ([{"text": text, "metadata": {"target_task": "quote"}} for text in "ab"], ["a\nb"]),
    "more than fits": (["a" * 9, "b" * 10, "c"], ["a" * 9 + "\n" + "b" * 10, "c"]),
    "one that fits no more": (["a" * 10, "b" * 10, "c"], ["a" * 10, "b" * 10 + "\nc"]),
}


@pytest.mark.parametrize(("written", "asked"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("long_text", ["split", "cut"])
def test_what_ends_a_burst_comes_after_it(
    make: MakeOffice, written: list[Any], asked: list[str], long_text: str
) -> None:
    limit = {} if FILE in written else {"text_limit": 20, "long_text": long_text}
    office = make(destinations__helper={"burst": 1.0, **limit}, channels__shop={"consent": {}})
    messages = write(office, *written)
    for _ in range(3):
        wait(office)
    assert asked == office.asked()
    assert {"delivered"} == {office.status(one) for one in messages}


def test_what_a_file_follows_does_not_wait(patient: Office) -> None:
    write(patient, "look", FILE)
    patient.work()
    assert "look" == patient.asked()[0]


def test_the_end_of_a_conversation_ends_a_burst(patient: Office) -> None:
    write(patient, "one", "two")
    patient.customer_ends()
    write(patient, "three")
    wait(patient)
    assert ["one\ntwo", "three"] == patient.asked()


def test_it_waits_from_the_last_message_on(patient: Office) -> None:
    for text in ("one", "two", "three"):
        write(patient, text)
        patient.work_later(0.6)
        assert [] == patient.asked()
    patient.work_later(0.6)
    assert ["one\ntwo\nthree"] == patient.asked()


# burst, when the last came, when the first was claimed, now (ms) -> seconds
WAITS = {
    "the last has just come": (1.0, 100_000, 100_000, 100_000, 1.0),
    "a while ago": (1.0, 100_000, 99_000, 100_400, 0.6),
    "long ago, while the bot was busy": (1.0, 60_000, 100_000, 100_000, 0.0),
    "they never stop writing": (2.0, 129_500, 100_000, 129_500, 0.5),
    "thirty seconds are over": (2.0, 130_000, 100_000, 130_000, 0.0),
    "the receiver's clock is an hour ahead": (2.0, 3_700_000, 100_000, 101_500, 0.5),
    "it is, and the time is over": (2.0, 3_700_000, 100_000, 102_000, 0.0),
    "it is a little ahead": (2.0, 100_500, 100_000, 100_000, 2.5),
    "Redis's clock was set back": (2.0, 100_000, 220_000, 100_000, 0.0),
    "Redis's clock was, but not the receiver's": (2.0, 220_000, 220_000, 100_000, 0.0),
}


@pytest.mark.parametrize(("burst", "last", "first", "now", "left"), WAITS.values(), ids=WAITS)
def test_how_long_it_waits(burst: float, last: int, first: int, now: int, left: float) -> None:
    assert left == pytest.approx(seconds_left(burst, last, first, now))


def test_waiting_spends_no_attempt_and_is_told(patient: Office) -> None:
    write(patient, "one", "two")
    drainer = Drainer(patient.gateway)
    wake = recorder(patient.gateway).wakes.pop(0)
    drainer.drain(wake.lane, wake.token)
    assert "1 waiting: burst" == repr(drainer.tally)
    patient.clock.advance(1.1)
    (wake,) = [one for one in patient.gateway.store.mailboxes.sweep() if one.lane == "inbound:helper"]
    drainer = Drainer(patient.gateway)
    claim = patient.gateway.store.mailboxes.work(wake.lane, wake.token, None, lease=30).claim
    assert claim is not None
    assert (claim.attempt, claim.uncertain) == (1, False)
    outcome = drainer.attempt(patient.gateway.lanes[wake.lane], claim)
    assert outcome is not None
    assert len(outcome.claim.asked) == 2
    assert "1 done, 2 asked as one" == repr(drainer.tally)
    patient.gateway.store.mailboxes.settle(outcome)
    assert {"asked_as_one": 2} == patient.gateway.store.lanes.counts()


def test_a_later_try_asks_the_same(patient: Office) -> None:
    patient.bot.answers(Told(503), bot_says("Hi."))
    write(patient, "one", "two")
    wait(patient)
    write(patient, "three")
    for _ in range(3):
        patient.work_later(60)
    assert ["one\ntwo", "one\ntwo", "three"] == patient.asked()


def test_one_that_was_asked_alone_stays_alone(patient: Office) -> None:
    patient.bot.answers(Told(503), bot_says("Hi."))
    write(patient, "one")
    wait(patient)
    write(patient, "two")
    for _ in range(3):
        patient.work_later(60)
    assert ["one", "one", "two"] == patient.asked()


def test_one_that_was_perhaps_asked_alone_stays_alone(patient: Office) -> None:
    """By a worker that was killed, of a version or with a configuration that knew of no questions."""
    write(patient, "one")
    wake = recorder(patient.gateway).wakes.pop(0)
    assert patient.gateway.store.mailboxes.work(wake.lane, wake.token, None, lease=30).claim
    write(patient, "two")
    patient.work_later(60)
    assert ["one", "two"] == patient.asked()


def test_a_try_after_a_kill_asks_the_same(patient: Office, make: MakeOffice) -> None:
    """Though the setting was taken out meanwhile."""
    one, two = write(patient, "one", "two")
    store = patient.gateway.store.mailboxes
    wake = recorder(patient.gateway).wakes.pop(0)
    claim = store.work(wake.lane, wake.token, None, lease=30).claim
    assert claim is not None
    assert store.remember(claim, 30, Achieved(asked=(one, two)))
    write(patient, "three")
    later = make(destinations__helper={"resend_after_timeout": True})
    later.clock.advance(60)
    later.work_later(0)
    assert ["one\ntwo", "three"] == later.asked()


def test_one_that_cannot_be_read_any_more_takes_none_along(patient: Office, redis_client: redis.Redis) -> None:
    """What stood behind it is not in the question, so it is the next one."""
    patient.bot.answers(Told(503), bot_says("Hi."))
    one, two, three = write(patient, "one", "two", "three")
    wait(patient)
    redis_client.delete(*redis_client.keys(f"*m:{two}"))
    for _ in range(3):
        patient.work_later(60)
    assert ["one\ntwo\nthree", "one", "three"] == patient.asked()
    assert ["delivered", "delivered"] == [patient.status(one), patient.status(three)]


def test_where_no_bot_answers_any_more_each_is_brought_by_itself(
    patient: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The destination became another platform while the question waited to be asked again."""
    patient.bot.answers(Told(503), bot_says("Hi."))
    write(patient, "one", "two")
    wait(patient)
    monkeypatch.setattr(AutopilotDestination, "asks_together", False)
    patient.work_later(60)
    assert ["one\ntwo", "one", "two"] == patient.asked()


def test_a_question_that_is_proved_to_have_arrived_did_so_whole(make: MakeOffice) -> None:
    office = make(destinations__helper={"burst": 1.0, "resend_after_timeout": True})
    office.bot.answers(Told(drop=True))
    one, two = write(office, "one", "two")
    wait(office)
    office.gateway.store.messages.report(one, "delivered", scope="", direction="inbound", owner="")
    office.work_later(600)
    assert ["one\ntwo"] == office.asked()
    assert ["delivered", "delivered"] == [office.status(one), office.status(two)]


def test_a_question_holds_fifty_messages(patient: Office) -> None:
    """Those do not wait for more."""
    write(patient, *map(str, range(60)))
    patient.work()
    assert ["\n".join(map(str, range(50)))] == patient.asked()
    wait(patient)
    assert "\n".join(map(str, range(50, 60))) == patient.asked()[-1]


def test_a_dead_letter_holds_all_of_it_and_replay_asks_all(patient: Office) -> None:
    patient.bot.answers(Told(400), bot_says("Hi."))
    messages = write(patient, "one", "two", "three")
    wait(patient)
    assert {"failed"} == {patient.status(one) for one in messages}
    (letter,) = patient.gateway.store.dead_letters.newest()
    assert (letter.message_id, *letter.also) == tuple(messages)
    state, wakes = patient.gateway.store.dead_letters.replay(letter.id)
    assert "ok" == state
    recorder(patient.gateway).wakes += wakes
    wait(patient)
    assert ["one\ntwo\nthree"] * 2 == patient.asked()
    assert {"delivered"} == {patient.status(one) for one in messages}


def test_poison_takes_all_of_it_along(patient: Office) -> None:
    messages = write(patient, "one", "two")
    store = patient.gateway.store.mailboxes
    for _ in range(3):
        patient.clock.advance(60)
        wake = next(one for one in store.sweep() + tuple(recorder(patient.gateway).wakes) if "helper" in one.lane)
        claim = store.work(wake.lane, wake.token, None, lease=1).claim
        assert claim is not None
        assert store.remember(claim, 1, Achieved(asked=tuple(messages)))
    patient.work_later(60)
    assert [] == patient.asked()
    assert {"failed"} == {patient.status(one) for one in messages}
    assert 1 == len(patient.letters())


def test_discarding_forgets_all_of_it(patient: Office) -> None:
    patient.bot.answers(Told(400), bot_says("Hi."))
    messages = write(patient, "one", "two")
    wait(patient)
    (letter,) = patient.gateway.store.dead_letters.newest()
    assert patient.gateway.store.dead_letters.discard(letter.id)
    assert [None, None] == [patient.gateway.store.messages.read(one) for one in messages]


def test_a_late_answer_sends_all_of_it_to_people(make: MakeOffice) -> None:
    office = make(destinations__helper={"burst": 1.0, "timeout": 0.1, "late": "people"})
    office.bot.answers(Told(hang=True), bot_says("Hi."))
    messages = write(office, "one", "two")
    wait(office)
    office.work_later(60)
    assert ["one", "two"] == [text for kind, text in office.seen() if kind == "message"][-2:]
    assert {"failed"}.isdisjoint({office.status(one) for one in messages})


def test_a_late_one_that_comes_back_from_people_is_given_up_whole(make: MakeOffice) -> None:
    """So the bot is not asked twice, and the next message is a question of its own."""
    office = make(destinations__helper={"burst": 1.0, "timeout": 0.1, "late": "people", "retry_base": 0.01})
    office.bot.answers(bot_says("Hi."), Told(hang=True), bot_says("Here."))
    office.desk.answers(Told(400))
    write(office, "hello")
    wait(office)
    messages = write(office, "one", "two")
    for _ in range(4):
        wait(office, 400)
    write(office, "three")
    wait(office)
    assert ["hello", "one\ntwo", "three"] == office.asked()
    assert ["failed", "failed"] == [office.status(one) for one in messages]


def test_a_handoff_in_the_answer_leaves_what_comes_later_to_people(patient: Office) -> None:
    write(patient, "hello", "a human please")
    wait(patient)
    write(patient, "thanks", "a lot")
    patient.work()
    assert ["thanks", "a lot"] == [text for kind, text in patient.seen() if kind == "message"][-2:]
    assert ["hello\na human please"] == patient.asked()


def test_one_question_costs_once(make: MakeOffice) -> None:
    office = make(**BURST, costs={"currency": "EUR"}, costs__destinations__helper={"turn": "0.5"})
    messages = write(office, "one", "two")
    wait(office)
    found = [office.gateway.store.costs.message(one) for one in messages]
    assert [500_000_000, 0] == [one.turns if one else None for one in found]


def test_bots_that_are_quick_get_the_next_question_while_they_write(patient: Office) -> None:
    """What comes while the bot has a question is the next one."""
    patient.bot.answers(bot_says("Yes?"))
    write(patient, "one", "two")
    wait(patient)
    write(patient, "three", "four")
    wait(patient)
    assert ["one\ntwo", "three\nfour"] == patient.asked()
