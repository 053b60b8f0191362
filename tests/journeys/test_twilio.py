"""Customers write over Twilio Messaging: to the bot, and on WhatsApp to people in Flex, through real processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests

from app.sandbox import SandboxSettings, make_server
from tests.journeys.conftest import Sandbox
from tests.journeys.flexworld import FLOW, destination
from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, free_port, wait_until

API_TOKEN = "journeys-api-token"
PICTURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class House(Sandbox):
    """The sandbox, and the address of the gateway between its parts."""

    gateway: str


@dataclass(frozen=True)
class Phone:
    """One customer's phone in the sandbox."""

    sandbox: Sandbox
    address: str

    @classmethod
    def of(cls, sandbox: Sandbox, kind: str) -> Phone:
        made = requests.post(f"{sandbox.url}/phone/api/customers", json={"kind": kind, "name": "Ada"}, timeout=10)
        return cls(sandbox, made.json()["contactId"])

    @property
    def messages(self) -> list[Any]:
        return list(requests.get(f"{self._url}/messages", timeout=10).json()["messages"])

    def heard(self) -> list[str]:
        return self._texts("business")

    def told_by_twilio(self) -> list[str]:
        return self._texts("network")

    def _texts(self, author: str) -> list[str]:
        return [m["message"].get("text", "") for m in self.messages if m["author"] == author]

    def write(self, text: str) -> None:
        requests.post(f"{self._url}/messages", json={"text": text}, timeout=30).raise_for_status()

    def send(self, picture: bytes) -> None:
        headers = {"content-type": "image/png"}
        url = f"{self._url}/media?filename=cat.png"
        requests.post(url, data=picture, headers=headers, timeout=30).raise_for_status()

    def read(self) -> None:
        requests.post(f"{self._url}/read", timeout=10).raise_for_status()

    @property
    def _url(self) -> str:
        return f"{self.sandbox.url}/phone/api/customers/{quote(self.address, safe='')}"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder, port = tmp_path_factory.mktemp("twilio"), free_port()
    accounts = SandboxSettings(gateway_url=f"http://127.0.0.1:{port}", flex_flow_sid=FLOW)
    server = make_server("127.0.0.1", 0, accounts)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    store = RedisServer(folder)
    store.start()
    raw = tables(
        bot_url=f"{url}/autopilot",
        destinations__helper={
            "account_sid": accounts.autopilot_account_sid,
            "assistant_sid": accounts.autopilot_assistant_sid,
            "auth_token": accounts.autopilot_auth_token,
        },
        destinations__people=destination("flex_conversations", accounts, url),
        gateway={"api_tokens": [API_TOKEN]},
        costs={"currency": "USD"},
        costs__channels__sms={"inbound": "0.5", "outbound": "0.5", "reported": True},
        costs__destinations__helper={"turn": "0.001"},
    )
    for name, address in (("sms", accounts.twilio_number), ("whatsapp", accounts.twilio_whatsapp)):
        raw["channels"][name] = {
            "type": "twilio",
            "account_sid": accounts.twilio_account_sid,
            "auth_tokens": [accounts.twilio_auth_token],
            "api_url": f"{url}/twilio/api",
            "address": address,
            "destination": "helper",
            "handoff": "people",
            "retry_base": 0.1,
        }
    config = folder / "patchbay.toml"
    config.write_text(toml.dumps(raw))
    system = System(config, store.url, folder, port=port)
    try:
        system.start(workers=1)
        yield House(url, system.url)
    finally:
        system.stop()
        store.stop()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
def test_a_customer_texts_the_bot(kind: str, sandbox: Sandbox) -> None:
    phone = Phone.of(sandbox, kind)
    phone.write("nothing special")
    wait_until("the bot has answered", lambda: phone.heard() == ["You said: nothing special"])
    wait_until("Twilio delivered it", lambda: phone.messages[-1]["status"] in ("delivered", "read"))


def test_an_operator_sees_what_twilio_charged(sandbox: House) -> None:
    phone = Phone.of(sandbox, "sms")
    phone.write("nothing special")
    url = f"{sandbox.gateway}/api/costs/conversations/sms/sms:{phone.address}"

    def costs() -> Any:
        return requests.get(url, headers={"Authorization": f"Bearer {API_TOKEN}"}, timeout=10).json()

    wait_until("Twilio told both prices", lambda: costs().get("total") == "0.0168")
    assert ["0.0079", "0.0079", "0.001"] == [costs()[what] for what in ("inbound", "outbound", "turns")]


def test_a_webhook_that_comes_twice_is_one_message(sandbox: Sandbox) -> None:
    phone = Phone.of(sandbox, "sms")
    sandbox.fault(target="messaging", kind="duplicate", event="inbound", times=2)
    phone.write("first words")
    phone.write("second words")
    wait_until("the bot has answered", lambda: len(phone.heard()) >= 2)
    wait_until("the webhooks are delivered", lambda: sandbox.inspect()["messaging"]["idle"])
    assert phone.heard() == ["You said: first words", "You said: second words"]


def test_a_customer_who_wants_no_texts_gets_none_until_he_says_so(sandbox: Sandbox) -> None:
    """Twilio answers his words itself; nobody answers a second time, and it never has to refuse a text."""
    phone = Phone.of(sandbox, "sms")
    phone.write("STOP")
    wait_until("Twilio has answered", lambda: len(phone.told_by_twilio()) == 1)
    for text in ("for the bot", "for the bot, too"):  # when it gets the second one, its answer to the first is settled
        phone.write(text)
    wait_until("the bot was asked", lambda: _asked(sandbox, phone) == ["for the bot", "for the bot, too"])
    phone.write("START")
    wait_until("Twilio has answered", lambda: len(phone.told_by_twilio()) == 2)
    phone.write("and now?")
    wait_until("the bot has answered", lambda: phone.heard()[-1:] == ["You said: and now?"])
    assert "You said: for the bot" not in phone.heard()
    assert "21610" not in str(sandbox.inspect()["messaging"]["refused"])


def test_a_customer_on_whatsapp_is_handed_to_an_agent(sandbox: Sandbox) -> None:
    phone = Phone.of(sandbox, "whatsapp")
    phone.write("I want a human")
    wait_until("there is a task", lambda: _task(sandbox, phone))
    task = _task(sandbox, phone)
    assert (task["name"], task["attributes"]["phone"]) == ("Ada", phone.address.removeprefix("whatsapp:"))
    chat = f"{sandbox.url}/flex/api/chats/{task['chatSid']}"
    requests.post(f"{sandbox.url}/flex/api/tasks/{task['taskSid']}/accept", timeout=10).raise_for_status()
    phone.send(PICTURE)
    requests.post(f"{chat}/messages", json={"text": "Nice cat"}, timeout=10).raise_for_status()
    wait_until("the customer reads it", lambda: "Nice cat" in phone.heard())
    wait_until("Twilio delivered it", lambda: phone.messages[-1]["status"] == "delivered")
    phone.read()
    wait_until("the agent knows", lambda: [m["status"] for m in _said(chat) if m["author"] == "agent"] == ["read"])
    wait_until("the agent sees the picture", lambda: len(_said(chat)) == 4)
    (file,) = (m["message"]["attachment"] for m in _said(chat) if m["message"]["type"] == "attachment")
    assert requests.get(file["url"], timeout=10).content == PICTURE


def _asked(sandbox: Sandbox, phone: Phone) -> list[str]:
    calls = sandbox.inspect()["autopilot"]["calls"]
    return [call["text"] for call in calls if phone.address in call["user_id"]]


def _task(sandbox: Sandbox, phone: Phone) -> Any:
    tasks = requests.get(f"{sandbox.url}/flex/api/tasks", timeout=10).json()["tasks"]
    return next((task for task in tasks if task["address"] == phone.address), None)


def _said(chat: str) -> list[Any]:
    return list(requests.get(f"{chat}/messages", timeout=10).json()["messages"])
