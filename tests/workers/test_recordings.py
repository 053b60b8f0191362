"""The call in which a bot speaks is recorded once, whatever becomes of answers, and no customer waits for it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from twilio.rest import Client

from app.core.events import Answer
from app.core.work import Record, Wake
from tests.sandbox.flex import connect
from tests.sandbox.messaging import SETTINGS, fault
from tests.store.steps import append
from tests.support.gateway import recorder
from tests.support.sink import Call, Sink, Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from workers.drain import Drainer
from workers.sending import joined

CALL = "CA" + "c" * 32
ADA = "shop/webhook:ada"
MEMORY = {"twilio": {"voice": {"CallSid": CALL}}}
LISTED, NONE = Told(200, b'{"recordings":[{"sid":"RE1"}]}'), Told(200, b'{"recordings":[]}')
STARTED = Told(201, b'{"sid":"RE1"}')
OVER = Told(400, b'{"code":21220,"message":"Requested resource is not eligible for recording","status":400}')


@pytest.fixture
def recordings(outside: Sink) -> Sink:
    """Twilio's Recordings API, which does as it is told."""
    outside.answers(STARTED)
    return outside


@pytest.fixture
def office(make_office: MakeOffice, recordings: Sink) -> Office:
    """Its bot is on the phone with whoever writes."""
    office = make_office(destinations__helper={"record_calls": True, "recordings_url": recordings.url})
    office.bot.answer = lambda call: bot_says(f"You said: {call.form['Text'][0]}", memory=MEMORY)
    return office


@pytest.fixture
def twilio(flex_sandbox: str) -> Client:
    """Twilio's own library, pointed at the sandbox."""
    return connect(flex_sandbox)


@pytest.fixture
def sandbox_office(make_office: MakeOffice, flex_sandbox: str) -> Office:
    office = make_office(
        destinations__helper={
            "record_calls": True,
            "record_channels": "dual",
            "recordings_url": f"{flex_sandbox}/twilio/api",
            "recordings_account_sid": SETTINGS.twilio_account_sid,
            "recordings_auth_token": SETTINGS.twilio_auth_token,
        }
    )
    office.bot.answers(bot_says("Hi.", memory=MEMORY))
    return office


def methods(recordings: Sink) -> list[str]:
    return [call.method for call in recordings.calls]


def log_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("workers.reports.log.info", lambda event, **values: told.append((event, values)), raising=False)
    return told


# --- at the sandbox ---


def test_answers_that_name_a_call_again_and_again_record_it_once(sandbox_office: Office, twilio: Client) -> None:
    for text in ("one", "two", "three"):
        sandbox_office.customer_writes(text)
        sandbox_office.work()
    (recording,) = twilio.calls(CALL).recordings.list()
    assert (recording.status, recording.channels) == ("in-progress", 2)
    recording.update(status="stopped")
    sandbox_office.customer_writes("four")
    sandbox_office.work()
    assert ["completed"] == [one.status for one in twilio.calls(CALL).recordings.list()]


def test_each_call_is_recorded(sandbox_office: Office, twilio: Client) -> None:
    other = "CA" + "d" * 32
    sandbox_office.customer_writes("hello")
    sandbox_office.work()
    sandbox_office.bot.answers(bot_says("Hi.", memory={"twilio": {"voice": {"CallSid": other}}}))
    sandbox_office.customer_writes("hello again")
    sandbox_office.work()
    assert [1, 1] == [len(twilio.calls(call).recordings.list()) for call in (CALL, other)]


def test_a_recording_whose_answer_is_lost_is_not_started_again(
    sandbox_office: Office, twilio: Client, flex_sandbox: str
) -> None:
    fault(flex_sandbox, "close_after", method="POST", path="/Recordings.json")
    sandbox_office.customer_writes("hello")
    sandbox_office.work()
    (recording,) = twilio.calls(CALL).recordings.list()
    recording.update(status="stopped")  # so that the sandbox would take another one
    sandbox_office.work_later(600)
    assert [recording.sid] == [one.sid for one in twilio.calls(CALL).recordings.list()]
    refused = requests.get(f"{flex_sandbox}/inspect", timeout=5).json()["messaging"]["refused"]
    assert (refused, sandbox_office.letters()) == ([], [])


def test_a_call_that_somebody_else_records_is_let_be(
    sandbox_office: Office, twilio: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = log_of(monkeypatch)
    theirs = twilio.calls(CALL).recordings.create()
    sandbox_office.customer_writes("hello")
    sandbox_office.work()
    assert [theirs.sid] == [one.sid for one in twilio.calls(CALL).recordings.list()]
    assert sandbox_office.letters() == []
    assert [("not recorded", {"destination": "helper", "call": CALL})] == told


# --- at a Twilio that does as it is told ---

UNKNOWN: dict[str, tuple[list[Told], list[str]]] = {
    "it was started": ([Told(drop=True), LISTED], ["POST", "GET"]),
    "it was not": ([Told(drop=True), NONE, STARTED], ["POST", "GET", "POST"]),
    "a gateway's fault": ([Told(502), LISTED], ["POST", "GET"]),
    "an answer that cannot be read": ([Told(201, b"<html>"), LISTED], ["POST", "GET"]),
    "the list is out of reach": ([Told(drop=True), Told(503), LISTED], ["POST", "GET", "GET"]),
    "it is over meanwhile": ([Told(drop=True), NONE, OVER], ["POST", "GET", "POST"]),
    "surely not": ([Told(429), STARTED], ["POST", "POST"]),
}


@pytest.mark.parametrize(("answers", "calls"), UNKNOWN.values(), ids=UNKNOWN)
def test_after_a_call_of_unknown_outcome_the_list_is_asked(
    answers: list[Told], calls: list[str], office: Office, recordings: Sink
) -> None:
    recordings.answers(*answers)
    office.customer_writes("hello")
    office.work()
    for _ in answers:
        office.work_later(600)
    assert (calls, []) == (methods(recordings), office.letters())


def test_after_a_time_out_the_list_is_asked(make_office: MakeOffice, recordings: Sink) -> None:
    office = make_office(
        destinations__helper={"record_calls": True, "recordings_url": recordings.url, "timeout": 2.0},
    )
    office.bot.answers(bot_says("Hi.", memory=MEMORY))
    recordings.answers(Told(hang=True), LISTED)
    office.customer_writes("hello")
    office.work()
    office.work_later(600)
    assert (["POST", "GET"], ["Hi."]) == (methods(recordings), office.said())


def test_after_a_worker_died_in_mid_call_the_list_is_asked(office: Office, recordings: Sink) -> None:
    recordings.answers(LISTED)
    office.customer_writes("hello")
    store, (asked,) = office.gateway.store.mailboxes, _taken(office)
    Drainer(office.gateway).drain(asked.lane, asked.token)
    (owed,) = [wake for wake in _taken(office) if wake.lane == "status:helper"]
    assert store.work(owed.lane, owed.token, None, lease=45.0).claim is not None
    office.work_later(60)
    assert ["GET"] == methods(recordings)


def _taken(office: Office) -> list[Wake]:
    """The wake-ups that are owed, for nobody else."""
    owed = recorder(office.gateway).wakes
    taken = list(owed)
    owed.clear()
    return taken


FAULTS: dict[str, tuple[Told, list[str]]] = {
    "busy": (Told(503), []),
    "refused credentials": (Told(401), []),
    "over": (OVER, []),
    "refused": (Told(400, b'{"code":21609,"message":"Bad"}'), ["rejected: HTTP 400: 21609 Bad"]),
    "unknown call": (Told(404, b'{"code":20404,"message":"No"}'), ["misconfigured: HTTP 404: 20404 No"]),
}


@pytest.mark.parametrize(("told", "letters"), FAULTS.values(), ids=FAULTS)
def test_a_failure_harms_no_conversation_and_is_a_dead_letter_only_if_an_operator_can_mend_it(
    told: Told, letters: list[str], office: Office, recordings: Sink
) -> None:
    recordings.answers(told)
    messages = [office.customer_writes(text) for text in ("one", "two")]
    office.work()
    assert office.said() == ["You said: one", "You said: two"]
    assert ["delivered", "delivered"] == [office.status(message) for message in messages]
    assert ({"POST"}, letters) == (set(methods(recordings)), office.letters())


def test_a_dead_letter_that_is_replayed_records_the_call(office: Office, recordings: Sink) -> None:
    recordings.answers(Told(404), STARTED)
    office.customer_writes("hello")
    office.work()
    (letter,) = office.gateway.store.dead_letters.newest()
    assert letter.item == Record(CALL)
    _, wakes = office.gateway.store.dead_letters.replay(letter.id)
    office.gateway.publisher.publish(wakes)
    office.work()
    assert (["POST", "POST"], []) == (methods(recordings), office.letters())


# --- which answers ---

ANSWERS: dict[str, Told] = {
    "that goes on": bot_says("Hi.", memory=MEMORY),
    "that ends": bot_says("Bye.", listen=False, memory=MEMORY),
    "that hands over": bot_says("One moment.", task="talk_to_human", listen=False, memory=MEMORY),
    "that says nothing": bot_says(memory=MEMORY),
    "with more memory than is kept": bot_says("Hi.", memory={**MEMORY, "a": "x" * 20_000}),
}


@pytest.mark.parametrize("told", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_names_a_call_has_it_recorded(told: Told, office: Office, recordings: Sink) -> None:
    office.bot.answers(told)
    office.customer_writes("hello")
    office.work()
    assert [f"/2010-04-01/Accounts/AC{'1' * 32}/Calls/{CALL}/Recordings.json"] == [c.path for c in recordings.calls]


def test_an_answer_that_comes_too_late_has_the_call_recorded(make_office: MakeOffice, recordings: Sink) -> None:
    late = {"record_calls": True, "recordings_url": recordings.url, "deadline": 0.1, "late": "drop"}
    office = make_office(destinations__helper=late)

    def slowly(call: Call) -> Told:
        office.bot.closing.wait(0.2)
        return bot_says("Hi.", memory=MEMORY)

    office.bot.answer = slowly
    office.customer_writes("hello")
    office.work()
    assert ([], ["POST"]) == (office.said(), methods(recordings))


@pytest.mark.parametrize("records", [(CALL, None), (None, CALL)], ids=["the first", "the last"])
def test_the_answers_to_the_parts_of_a_message_name_one_call(records: tuple[str | None, ...]) -> None:
    assert joined([Answer(record=record) for record in records]).record == CALL


def test_calls_are_not_recorded_unless_the_configuration_says_so(make_office: MakeOffice, recordings: Sink) -> None:
    office = make_office(destinations__helper={"recordings_url": recordings.url})
    office.bot.answers(bot_says("Hi.", memory=MEMORY))
    office.customer_writes("hello")
    office.work()
    assert (["Hi."], []) == (office.said(), recordings.calls)


@pytest.mark.parametrize("name", ["helper", "desk"])
def test_what_waits_for_one_who_does_not_record_is_let_go(
    name: str, make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a change of the configuration."""
    told = log_of(monkeypatch)
    office = make_office()
    lane = f"status:{name}"
    wakes = append(office.gateway.store, ADA, lane, lane, f"record {CALL}")
    office.gateway.publisher.publish(wakes or ())
    office.work()
    assert [("not recorded", {"destination": name, "call": CALL})] == told
    assert (office.letters(), office.gateway.store.lanes.state(lane, 0).waiting) == ([], 0)
