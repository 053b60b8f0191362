import json
import re
import threading
from base64 import b64encode

import pytest
import requests

from .calls import ACCOUNT, ASK_V1, ASK_V2, ASSISTANT, PASSWORD, ask, inspect, question

FORM = "application/x-www-form-urlencoded"


def changed(**fields):
    return question("hi") | fields


def without(name):
    return {key: value for key, value in question("hi").items() if key != name}


REFUSED = {
    "no user": (without("UserId"), {}, "UserId: is missing"),
    "no text": (without("Text"), {}, "Text: is missing"),
    "no language": (without("Language"), {}, "Language: is missing"),
    "empty user": (changed(UserId=""), {}, "UserId: must not be empty"),
    "empty text": (changed(Text=""), {}, "Text: must not be empty"),
    "text too long": (changed(Text="x" * 2049), {}, "Text: must have at most 2048 characters, has 2049"),
    "another language": (changed(Language="de-DE"), {}, "Language: must be en-US"),
    "unknown field": (changed(Foo="1"), {}, "Foo: is not a known field"),
    "field of the older version": (changed(user_id="1"), {}, "user_id: is not a known field"),
    "field twice": ([*question("hi").items(), ("Text", "ho")], {}, "body: names a field twice"),
    "unknown task": (changed(), {"TargetTask": "x"}, "TargetTask: must be one of greeting"),
    "memory that is no object": (changed(), {"Memory": "[1]"}, "Memory: must be an object, not an array"),
    "memory that is no JSON": (changed(), {"Memory": "{"}, "Memory: is not valid JSON"),
    "unknown query": (changed(), {"Foo": "1"}, "Foo: is not a known field"),
}


@pytest.fixture
def post(client):
    def post(data, path=ASK_V2, auth=PASSWORD, **more):
        if isinstance(data, list):
            data = "&".join(f"{key}={value}" for key, value in data)
        return client.post(path, data=data, auth=auth, **({"content_type": FORM} | more))

    return post


@pytest.mark.parametrize(("form", "query", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_a_form_and_names_the_field(client, post, form, query, message):
    response = post(form, query_string=query)
    body = response.get_json()
    assert (response.status_code, body["status"], body["code"]) == (400, 400, 20001)
    assert body["message"].startswith(message)
    assert body["more_info"].endswith("/20001")
    assert message.startswith(inspect(client, "autopilot")["refused"][0]["field"] + ":")
    assert inspect(client, "autopilot")["calls"] == []


RAW = {
    "an ampersand that was not encoded": b"UserId=1&Text=fish & chips&Language=en-US",
    "umlauts that were not encoded": "UserId=1&Text=Größe&Language=en-US".encode(),
    "another charset": b"UserId=1&Text=Gr%F6%DFe&Language=en-US",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_it_refuses_a_body_that_was_not_percent_encoded(post, raw):
    response = post(raw)
    expected = (400, "body: is not percent-encoded UTF-8")
    assert expected == (response.status_code, response.get_json()["message"])


def test_it_refuses_an_empty_body(post):
    assert post(b"").get_json()["message"] == "UserId: is missing"


def test_it_refuses_json(post):
    response = post(b"{}", content_type="application/json")
    assert response.get_json()["message"] == "Content-Type: must be application/x-www-form-urlencoded"


def test_memory_that_is_too_large_has_its_own_code(post):
    response = post(question("hi"), query_string={"Memory": '{"a": "' + "x" * 16_000 + '"}'})
    assert (response.status_code, response.get_json()["code"]) == (400, 90100)


ENCODED = b64encode(":".join(PASSWORD).encode()).decode()
PASSWORDS = {"none": None, "wrong token": (ACCOUNT, "x"), "wrong account": ("AC" + "0" * 32, PASSWORD[1])}


@pytest.mark.parametrize("auth", PASSWORDS.values(), ids=PASSWORDS)
def test_it_refuses_a_wrong_password(post, auth):
    response = post(question("hi"), auth=auth)
    assert (response.status_code, response.get_json()["code"]) == (401, 20003)
    assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("header", ["Basic", "Basic %%%", f"Bearer {ENCODED}", "Basic w6Q="])
def test_it_refuses_an_odd_authorization(post, header):
    assert post(question("hi"), auth=None, headers={"Authorization": header}).status_code == 401


PATHS = {
    "account": f"/autopilot/v2/AC{'0' * 32}/{ASSISTANT}/custom/webchat",
    "assistant": f"/autopilot/v2/{ACCOUNT}/UA{'0' * 32}/custom/webchat",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_it_does_not_know_other_sids(post, path):
    response = post(question("hi"), path=path)
    assert (response.status_code, response.get_json()["code"]) == (404, 20404)


def test_the_longest_text_and_a_small_language_pass(post):
    response = post(changed(Text="ö" * 2048, Language="en-us"))
    assert response.get_json()["response"]["says"][0]["text"] == "You said: " + "ö" * 2048


def test_an_answer_of_version_2(client):
    body = ask(client, "I need a quote")
    image = {"label": "Quote for parcel S", "url": "http://localhost/static/quote.png"}
    card = {"display_text": "Parcel S, next day: 4.90 EUR", "images": [image]}
    says = [{"speech": "Here is your quote.", "text": "Here is your quote."}]
    assert {"says": says, "shows": [card], "listen": {}} == body["response"]
    sid = body["dialogue"].pop("sid")
    assert re.fullmatch("UK[0-9a-f]{32}", sid)
    assert body["dialogue"] == {
        "current_task": "quote",
        "user_identifier": "visitor-81",
        "memory": {"twilio": {"custom.webchat": {}}},
    }


def test_the_image_of_a_card_is_there(client):
    assert client.get("/static/quote.png").mimetype == "image/png"


def test_speech_keeps_the_markup_that_text_has_lost(client):
    says = ask(client, "hi")["response"]["says"][0]
    assert "<break/>" in says["speech"]
    assert "<" not in says["text"]


def test_an_end_does_not_listen(client):
    assert "listen" not in ask(client, "bye")["response"]


def test_an_answer_of_version_1(post):
    response = post({"user_id": "1", "text": "quote"}, path=ASK_V1).get_json()
    assert response["says"] == [{"speech": "Here is your quote."}]
    assert {"says", "shows", "listen"} == set(response)
    assert response["listen"] is True
    assert post({"user_id": "1", "text": "bye"}, path=ASK_V1).get_json()["listen"] is False


def test_version_1_does_not_take_the_fields_of_version_2(post):
    assert post(question("hi"), path=ASK_V1).get_json()["message"] == "UserId: is not a known field"


@pytest.mark.parametrize("text", ["human", "Agent, please", "a person", "May I talk to a person?"])
def test_the_handoff_task_ends_the_dialogue(client, text):
    body = ask(client, text)
    assert body["dialogue"]["current_task"] == "talk_to_human"
    assert "listen" not in body["response"]


def test_the_handoff_flag_is_in_memory(client):
    body = ask(client, "flag")
    assert body["dialogue"]["memory"]["handoff"] is True
    assert "handoff" not in ask(client, "hi")["dialogue"]["memory"]


CALL = "CA" + "1f" * 16
CHANNELS = {
    "a call": ({}, f"I am on {CALL}", {"voice": {"CallSid": CALL}, "custom.webchat": {}}),
    "memory that is no object": ({"twilio": 5}, "hi", {"custom.webchat": {}}),
    "memory from elsewhere": ({"twilio": {"sms": {}}}, "hi", {"sms": {}, "custom.webchat": {}}),
}


@pytest.mark.parametrize(("memory", "text", "channels"), CHANNELS.values(), ids=CHANNELS)
def test_the_channels_stand_in_memory(client, memory, text, channels):
    assert channels == ask(client, text, Memory=json.dumps(memory))["dialogue"]["memory"]["twilio"]


def test_target_task_and_memory_are_entered(client):
    body = ask(client, "x", TargetTask="greeting", Memory='{"name": "Ada"}')
    assert body["response"]["says"][0]["text"].startswith("Hello again, Ada!")
    call = inspect(client, "autopilot")["calls"][0]
    assert (call["text"], call["target_task"], call["memory"]) == ("x", "greeting", {"name": "Ada"})


def test_a_name_is_collected_over_two_calls(client):
    ask(client, "my name")
    assert ask(client, "Ada")["dialogue"]["memory"]["name"] == "Ada"


def test_calls_of_one_user_may_not_overlap(served):
    requests.post(f"{served}/faults", json={"target": "autopilot", "kind": "delay", "seconds": 60})
    first: list[int] = []

    def call() -> requests.Response:
        return requests.post(served + ASK_V2, data=question("hi"), auth=PASSWORD, timeout=30)

    thread = threading.Thread(target=lambda: first.append(call().status_code))
    thread.start()
    while not requests.get(f"{served}/inspect").json()["faults"]["met"]:
        pass
    second = call()
    assert (second.status_code, second.json()["code"]) == (409, 20409)
    requests.delete(f"{served}/faults")
    thread.join()
    assert first == [200]
    violations = requests.get(f"{served}/inspect").json()["autopilot"]["violations"]
    assert violations == [{"kind": "concurrent", "user_id": "visitor-81"}]
    assert call().status_code == 200


def test_calls_one_after_the_other_are_no_violation(client):
    for _ in range(3):
        ask(client, "hi")
    client.post(ASK_V2, data={"UserId": "visitor-81"}, auth=PASSWORD)
    ask(client, "hi")
    assert inspect(client, "autopilot")["violations"] == []
