import threading

import pytest
import requests

from app.sandbox.checks import Refused
from app.sandbox.faults import Fault, Faults, parse_fault
from app.sandbox.stand_ins import STAND_INS

from .calls import ASK_V2, BEARER, PASSWORD, WEBHOOK, inspect, message_event, question, webhook_body

KINDS = {one.name: one.faults for one in STAND_INS}
FAIL = {"target": "autopilot", "kind": "fail"}

REFUSED = {
    "no object": ([], "body: must be an object, not an array"),
    "no target": ({"kind": "fail"}, "target: is missing"),
    "unknown target": (FAIL | {"target": "rasa"}, "target: must be one of autopilot, respondio, flex"),
    "no kind": ({"target": "autopilot"}, "kind: is missing"),
    "unknown kind": (FAIL | {"kind": "x"}, "kind: must be one of fail"),
    "unknown field": (FAIL | {"time": 1}, "time: is not a known field"),
    "no times": (FAIL | {"times": 0}, "times: must be an integer between 1 and 100000"),
    "times as text": (FAIL | {"times": "1"}, "times: must be an integer, not a string"),
    "status of success": (FAIL | {"status": 200}, "status: must be an integer between 400 and 599"),
    "negative pause": (FAIL | {"retry_after": -1}, "retry_after: must be an integer between 0 and 86400"),
    "delay without seconds": (FAIL | {"kind": "delay"}, "seconds: is missing"),
    "failure with seconds": (FAIL | {"seconds": 1}, "seconds: is not a known field"),
    "delay with a status": (
        FAIL | {"kind": "delay", "seconds": 1, "status": 500},
        "status: is not a known field",
    ),
    "duplicate without calls": (FAIL | {"kind": "duplicate"}, "kind: autopilot makes no outgoing calls"),
    "drop without calls": (FAIL | {"kind": "drop"}, "kind: autopilot makes no outgoing calls"),
    "drop of respond.io": ({"target": "respondio", "kind": "drop"}, "kind: respondio loses none of its outgoing calls"),
    "path of a webhook": ({"target": "flex", "kind": "drop", "path": "/x"}, "path: is not a known field"),
    "event of a request": (FAIL | {"event": "onMessageSent"}, "event: is not a known field"),
    "unknown method": (FAIL | {"method": "get"}, "method: must be one of GET, POST, DELETE"),
    "reorder without calls": (FAIL | {"kind": "reorder"}, "kind: autopilot makes no outgoing calls"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_and_names_the_field(body, message):
    with pytest.raises(Refused) as caught:
        parse_fault(body, KINDS)
    assert str(caught.value).startswith(message)


def test_a_failure_has_a_default_status():
    assert Fault("autopilot", "fail", 1, 503) == parse_fault(FAIL, KINDS)


def test_the_oldest_that_fits_is_taken_and_counted_down():
    faults = Faults()
    for fault in (
        Fault("respondio", "fail"),
        Fault("autopilot", "fail", 2, 500),
        Fault("autopilot", "close"),
    ):
        faults.add(fault)
    taken = [faults.take("autopilot", ("fail", "close")) for _ in range(4)]
    assert [fault and fault.kind for fault in taken] == ["fail", "fail", "close", None]
    assert faults.active() == [{"target": "respondio", "kind": "fail", "times": 1}]


def test_a_fault_may_be_for_some_requests_only():
    faults = Faults()
    faults.add(Fault("flex", "fail", path="/Messages", method="POST"))
    assert faults.take("flex", ("fail",), path="/v2/Members", method="POST") is None
    assert faults.take("flex", ("fail",), path="/v2/Messages", method="GET") is None
    assert faults.take("flex", ("fail",), path="/v2/Messages/IM1", method="POST") is not None
    assert faults.active() == []


def test_clearing_lets_a_delayed_request_go_on():
    faults = Faults()
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        faults.wait("flex", 600)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    waiting.wait()
    while thread.is_alive():  # it may not have begun to wait when the first clear comes
        faults.clear()
        thread.join(0.01)


def test_a_failure_meets_even_a_wrong_request(client):
    client.post("/faults", json=FAIL | {"status": 429, "retry_after": 7})
    failed = client.post(ASK_V2)
    assert (failed.status_code, failed.headers["Retry-After"], failed.get_json()["code"]) == (429, "7", 20429)
    assert client.post(ASK_V2).status_code == 401


def test_a_failure_has_the_platforms_form_and_is_not_kept(client):
    client.post("/faults", json={"target": "respondio", "kind": "fail"})
    failed = client.post(WEBHOOK, json=webhook_body(message_event()), headers=BEARER)
    assert (
        failed.status_code,
        failed.get_json(),
    ) == (503, {"error": {"message": "The sandbox was told to fail"}})
    assert inspect(client, "respondio")["contacts"] == []
    assert inspect(client, "faults")["met"] == [{"target": "respondio", "kind": "fail"}]


def test_other_pages_meet_no_fault(client):
    client.post("/faults", json={"target": "respondio", "kind": "fail"})
    assert client.get("/agent/api/contacts").status_code == 200


def test_a_closed_connection_gives_no_answer_and_keeps_nothing(served):
    requests.post(f"{served}/faults", json={"target": "autopilot", "kind": "close"})
    with pytest.raises(requests.ConnectionError):
        requests.post(served + ASK_V2, data=question("hi"), auth=PASSWORD)
    assert requests.get(f"{served}/inspect").json()["autopilot"]["calls"] == []
    assert requests.post(served + ASK_V2, data=question("hi"), auth=PASSWORD).status_code == 200


def test_a_connection_closed_afterwards_keeps_what_was_said(served):
    requests.post(f"{served}/faults", json={"target": "autopilot", "kind": "close_after", "times": 2})
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.post(served + ASK_V2, data=question("hi"), auth=PASSWORD)
    seen = requests.get(f"{served}/inspect").json()["autopilot"]
    assert (len(seen["calls"]), seen["violations"]) == (2, [])


def test_a_webhook_closed_afterwards_is_kept(served):
    requests.post(f"{served}/faults", json={"target": "respondio", "kind": "close_after"})
    body = webhook_body(message_event())
    with pytest.raises(requests.ConnectionError):
        requests.post(served + WEBHOOK, json=body, headers=BEARER)
    assert requests.post(served + WEBHOOK, json=body, headers=BEARER).status_code == 200
    contact = requests.get(f"{served}/inspect").json()["respondio"]["contacts"][0]
    assert [message["repeats"] for message in contact["messages"]] == [1]


def test_without_a_socket_it_says_so(client):
    client.post("/faults", json={"target": "autopilot", "kind": "close"})
    assert client.post(ASK_V2).status_code == 501
