"""The faults under plain names: a table of platforms and switches, each switched on and off by itself."""

import threading

import pytest
import requests

from app.sandbox.faults import Fault, Faults
from app.sandbox.faults_api import SWITCHES
from app.sandbox.stand_ins import STAND_INS

from .calls import ASK_V2, BEARER, PASSWORD, WEBHOOK, agent_sends, ask, inspect, message_event, question, webhook_body

INCOMING = ["down", "slow", "hangs-up"]
PLATFORMS = {
    "autopilot": INCOMING,
    "respondio": [*INCOMING, "repeats", "disorders"],
    "flex": [*INCOMING, "drops", "repeats", "disorders"],
    "messaging": [*INCOMING, "drops", "repeats", "disorders"],
    "application": INCOMING,
}
PAIRS = [(one.name, name) for one in STAND_INS for name, switch in SWITCHES.items() if switch.kind in one.faults]
UNKNOWN = {"a platform": "rasa/down", "a fault": "flex/melts", "a fault of another": "autopilot/drops"}


def switches(client):
    shown = client.get("/sandbox/faults").get_json()["platforms"]
    return {(platform["name"], fault["name"]): fault["on"] for platform in shown for fault in platform["faults"]}


def test_every_platform_has_the_faults_that_make_sense_for_it(client):
    shown = client.get("/sandbox/faults").get_json()["platforms"]
    found = {one["name"]: [fault["name"] for fault in one["faults"]] for one in shown}
    assert {name: found[name] for name in PLATFORMS} == PLATFORMS
    assert all(one["title"] and all(fault["what"] for fault in one["faults"]) for one in shown)


@pytest.mark.parametrize("method", ["put", "post"])
@pytest.mark.parametrize(("platform", "name"), PAIRS)
def test_each_is_switched_by_itself(client, platform, name, method):
    address = f"/sandbox/faults/{platform}/{name}"
    for _ in range(2):
        answer = getattr(client, method)(address)
        assert answer.status_code == 200
        assert answer.get_json() == {"name": name, "what": SWITCHES[name].what, "on": True}
    assert [pair for pair, on in switches(client).items() if on] == [(platform, name)]
    assert [fault["target"] for fault in client.get("/faults").get_json()["faults"]] == [platform]
    for _ in range(2):
        assert client.delete(address).get_json()["on"] is False
    assert not any(switches(client).values())
    assert client.get("/faults").get_json() == {"faults": []}


@pytest.mark.parametrize("address", ["/sandbox/faults", "/faults"])
def test_all_are_switched_off_at_once(client, address):
    for platform, name in PAIRS:
        client.put(f"/sandbox/faults/{platform}/{name}")
    assert all(switches(client).values())
    assert client.delete(address).status_code == 204
    assert not any(switches(client).values())


@pytest.mark.parametrize("path", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("method", ["put", "post", "delete"])
def test_what_there_is_not_is_not_found(client, method, path):
    answer = getattr(client, method)(f"/sandbox/faults/{path}")
    message = answer.get_json()["error"]["message"]
    assert answer.status_code == 404
    assert message == "There is no such fault, only " + ", ".join("/".join(pair) for pair in PAIRS)


def test_it_stays_until_it_is_switched_off(client):
    client.put("/sandbox/faults/autopilot/down")
    assert [client.post(ASK_V2).status_code for _ in range(3)] == [503] * 3
    client.delete("/sandbox/faults/autopilot/down")
    assert ask(client, "hi")


def test_the_others_stay_and_so_do_those_that_are_counted(client):
    client.post("/faults", json={"target": "autopilot", "kind": "fail", "status": 500})
    client.put("/sandbox/faults/autopilot/down")
    client.put("/sandbox/faults/respondio/down")
    client.delete("/sandbox/faults/autopilot/down")
    assert [client.post(ASK_V2).status_code for _ in range(2)] == [500, 401]
    assert client.post(WEBHOOK, json=webhook_body(message_event()), headers=BEARER).status_code == 503


def test_the_application_is_down_in_its_own_words(client):
    client.put("/sandbox/faults/application/down")
    answer = client.post("/application/message")
    assert (answer.status_code, answer.content_type) == (503, "text/plain")
    client.delete("/sandbox/faults/application/down")
    assert client.post("/application/message").status_code == 403


def test_one_that_hangs_up_has_done_what_it_was_asked(served):
    requests.put(f"{served}/sandbox/faults/autopilot/hangs-up")
    with pytest.raises(requests.ConnectionError):
        requests.post(served + ASK_V2, data=question("hi"), auth=PASSWORD)
    assert len(requests.get(f"{served}/inspect").json()["autopilot"]["calls"]) == 1


def test_what_is_held_back_goes_out_once_its_fault_is_off(client, gateway):
    client.put("/sandbox/faults/respondio/disorders")
    agent_sends_first(client)
    client.delete("/sandbox/faults/flex/disorders")
    assert gateway.texts == []
    client.delete("/sandbox/faults/respondio/disorders")
    assert gateway.texts == ["one"]
    agent_sends(client, "two")
    assert gateway.texts == ["one", "two"]


def test_a_reset_sends_nothing_that_was_held_back(client, gateway):
    client.put("/sandbox/faults/respondio/disorders")
    agent_sends_first(client)
    client.delete("/inspect")
    client.delete("/sandbox/faults")
    assert (gateway.texts, inspect(client, "faults")) == ([], {"active": [], "met": []})


def agent_sends_first(client):
    client.post(WEBHOOK, json=webhook_body(message_event()), headers=BEARER)
    agent_sends(client, "one")


def waiting(faults):
    thread = threading.Thread(target=faults.wait, args=("flex", 600), daemon=True)
    thread.start()
    return thread


def test_a_slow_one_answers_at_once_when_it_is_switched_off():
    faults, slow = Faults(), Fault("flex", "delay", times=None, seconds=600)
    held = waiting(faults)
    while held.is_alive():  # it may not have begun to wait when the first comes
        faults.switch_off(slow)
        held.join(0.01)


def test_another_platforms_switch_lets_no_slow_one_go():
    faults = Faults()
    held = waiting(faults)
    for _ in range(5):
        faults.switch_off(Fault("autopilot", "fail", times=None))
        held.join(0.01)
    assert held.is_alive()
    faults.clear()


def test_a_page_of_another_site_switches_nothing(client):
    answer = client.put("/sandbox/faults/autopilot/down", headers={"Origin": "https://evil.example.test"})
    assert answer.status_code == 403
    assert not any(switches(client).values())
