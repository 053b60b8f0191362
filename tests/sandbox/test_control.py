from .calls import SETTINGS, agent_sends, ask, deliver, inspect, message_event

READY = {
    "sid": "HX" + "2b" * 16,
    "body": "Hello {{1}}, how can we help?",
    "buttons": [
        {"text": "Track an order", "payload": "track"},
        {"text": "Talk to a person", "payload": "person"},
    ],
}
FAULT = {"target": "respondio", "kind": "delay", "seconds": 2.5}


def test_the_index_shows_what_is_configured_but_no_token(client):
    page = client.get("/").text
    for shown in (
        SETTINGS.autopilot_account_sid,
        SETTINGS.autopilot_assistant_sid,
        SETTINGS.respondio_channel_id,
        "/destinations/desk/message",
        "/respondio/custom/channel/webhook/",
        SETTINGS.twilio_account_sid,
        SETTINGS.twilio_number,
        SETTINGS.twilio_whatsapp,
        SETTINGS.twilio_messenger,
        "/channels/whatsapp",
        "/phone",
        SETTINGS.flex_chat_service_sid,
        SETTINGS.flex_workspace_sid,
        SETTINGS.flex_workflow_sid,
        'href="/application"',
        "/application/message",
        SETTINGS.application_account_sid,
        SETTINGS.application_address,
    ):
        assert shown in page
    for hidden in (
        SETTINGS.autopilot_auth_token,
        SETTINGS.respondio_token,
        SETTINGS.twilio_auth_token,
        SETTINGS.application_auth_token,
    ):
        assert hidden not in page


def test_faults_are_switched_on_and_off(client):
    response = client.post("/faults", json=FAULT)
    assert (response.status_code, response.get_json()) == (201, FAULT | {"times": 1})
    assert client.get("/faults").get_json() == {"faults": [FAULT | {"times": 1}]}
    assert client.delete("/faults").status_code == 204
    assert client.get("/faults").get_json() == {"faults": []}


def test_a_fault_that_does_not_fit_is_refused(client):
    response = client.post("/faults", json=FAULT | {"seconds": "2"})
    error = {"field": "seconds", "message": "seconds: must be a number, not a string"}
    assert (400, {"error": error}) == (response.status_code, response.get_json())
    assert client.get("/faults").get_json() == {"faults": []}


def test_a_fault_must_be_json(client):
    response = client.post("/faults", data={"target": "respondio"})
    assert response.get_json()["error"]["field"] == "Content-Type"


def test_inspect_starts_empty(client):
    expected = {
        "autopilot": {"calls": [], "violations": [], "refused": [], "dialogues": {}},
        "respondio": {
            "contacts": [],
            "outgoing": [],
            "echoes": [],
            "statuses": [],
            "repeats": [],
            "violations": [],
            "refused": [],
        },
        "flex": {
            "flows": [],
            "channels": [],
            "conversations": [],
            "tasks": [],
            "interactions": [],
            "media": [],
            "addresses": [],
            "configuration": {"account": {}, "service": {}},
            "attempts": [],
            "refused": [],
            "typing": [],
            "idle": True,
        },
        "messaging": {
            "customers": [],
            "messages": [],
            "media": [],
            "recordings": [],
            "opted_out": [],
            "outcomes": [],
            "contents": [READY],
            "switches": {"advanced_opt_out": False, "direct_media": False, "fallback": True, "overrides": ""},
            "attempts": [],
            "refused": [],
            "idle": True,
        },
        "application": {"messages": []},
        "faults": {"active": [], "met": []},
    }
    found = client.get("/inspect").get_json()
    assert {name: found[name] for name in expected} == expected


def test_inspect_shows_open_dialogues(client):
    sid = ask(client, "hi")["dialogue"]["sid"]
    assert {"visitor-81": {"sid": sid, "memory": {}}} == inspect(client, "autopilot")["dialogues"]


def test_a_reset_forgets_everything(client):
    empty = client.get("/inspect").get_json()
    ask(client, "hi")
    deliver(client, message_event())
    deliver(client, message_event("m" * 51))
    agent_sends(client)
    client.post("/faults", json=FAULT)
    assert empty != client.get("/inspect").get_json()
    assert client.delete("/inspect").status_code == 204
    assert empty == client.get("/inspect").get_json()
    assert deliver(client, message_event()).status_code == 200
    assert inspect(client, "respondio")["contacts"][0]["messages"][0]["repeats"] == 0
