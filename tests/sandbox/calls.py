"""Calls as a gateway that reads the contracts well would make them; each test then spoils one thing."""

from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.sandbox import SandboxSettings

SETTINGS = SandboxSettings()
ACCOUNT, ASSISTANT = SETTINGS.autopilot_account_sid, SETTINGS.autopilot_assistant_sid
PASSWORD = (ACCOUNT, SETTINGS.autopilot_auth_token)
ASK_V2 = f"/autopilot/v2/{ACCOUNT}/{ASSISTANT}/custom/webchat"
ASK_V1 = f"/autopilot/v1/{ACCOUNT}/{ASSISTANT}/custom/webchat"
WEBHOOK = "/respondio/custom/channel/webhook/"
BEARER = {"Authorization": f"Bearer {SETTINGS.respondio_token}"}
CONTACT_ID = "dmlzaXRvci84MQ=="
NOW = 1767225600123


def question(text: str, user_id: str = "visitor-81") -> dict[str, str]:
    return {"UserId": user_id, "Text": text, "Language": "en-US"}


def ask(client: FlaskClient, text: str, user_id: str = "visitor-81", **query: str) -> dict[str, Any]:
    response = client.post(ASK_V2, data=question(text, user_id), auth=PASSWORD, query_string=query)
    assert response.status_code == 200, response.text
    return response.get_json()


def text_message(words: str = "Hello") -> dict[str, Any]:
    return {"type": "text", "text": words}


def message_event(m_id: str = "m1", kind: str = "message", words: str = "Hello") -> dict[str, Any]:
    return {"type": kind, "mId": m_id, "timestamp": NOW, "message": text_message(words)}


def status_event(m_id: str, value: str, reason: str | None = None) -> dict[str, Any]:
    status = {"value": value} if reason is None else {"value": value, "message": reason}
    return {"type": "message_status", "mId": m_id, "timestamp": NOW, "status": status}


def webhook_body(*events: dict[str, Any], contact_id: str = CONTACT_ID, **more: Any) -> dict[str, Any]:
    return {"channelId": SETTINGS.respondio_channel_id, "contactId": contact_id, "events": [*events], **more}


def deliver(client: FlaskClient, *events: dict[str, Any], contact_id: str = CONTACT_ID, **more: Any) -> TestResponse:
    return client.post(WEBHOOK, json=webhook_body(*events, contact_id=contact_id, **more), headers=BEARER)


def agent_path(rest: str = "messages", contact_id: str = CONTACT_ID) -> str:
    return f"/agent/api/contacts/{quote(contact_id, safe='')}/{rest}"


def agent_sends(client: FlaskClient, words: str = "Good day", contact_id: str = CONTACT_ID) -> dict[str, Any]:
    response = client.post(agent_path(contact_id=contact_id), json=text_message(words))
    assert response.status_code == 201, response.text
    return response.get_json()


def inspect(client: FlaskClient, name: str) -> dict[str, Any]:
    return client.get("/inspect").get_json()[name]
