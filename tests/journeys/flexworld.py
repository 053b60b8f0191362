"""A gateway whose people answer in the sandbox's Flex, as real processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from app.sandbox import SandboxSettings, make_server
from tests.journeys.conftest import Sandbox, World
from tests.support import toml
from tests.support.gateway import tables
from tests.support.processes import RedisServer, System, free_port, wait_until
from tests.support.shop import Shop
from tests.support.sink import sink

FLOW = "FO" + "6" * 32
FAREWELL = "The agent has left."


@dataclass(frozen=True)
class FlexWorld(World):
    """`shop` begins with the bot and hands over to Flex; `direct` begins there. `folder` is where processes write."""

    direct: Shop
    folder: Path
    generation: str

    def flex(self) -> Any:
        return self.sandbox.inspect()["flex"]

    def tasks(self, customer: str) -> list[Any]:
        """The customer's tasks, oldest first."""
        found = requests.get(f"{self.sandbox.url}/flex/api/tasks", timeout=10).json()["tasks"]
        return [task for task in reversed(found) if task["address"] == f"webhook:{customer}"]

    def chat(self, customer: str) -> str:
        """The customer's newest chat."""
        wait_until(f"{customer} has a task", lambda: self.tasks(customer))
        return str(self.tasks(customer)[-1]["chatSid"])

    def messages(self, chat: str) -> list[Any]:
        url = f"{self.sandbox.url}/flex/api/chats/{chat}/messages"
        return list(requests.get(url, timeout=10).json()["messages"])

    def texts(self, chat: str, author: str | None = None) -> list[str]:
        return [m["message"]["text"] for m in self.messages(chat) if author in (None, m["author"])]

    def accept(self, customer: str) -> str:
        """An agent takes the customer's newest task and has read what they wrote; its chat."""
        chat = self.chat(customer)
        self.act(f"tasks/{self.tasks(customer)[-1]['taskSid']}/accept")
        wait_until("the customer's words are there", lambda: self.texts(chat, "customer"))
        return chat

    def say(self, chat: str, text: str) -> Any:
        return self.act(f"chats/{chat}/messages", json={"text": text}).json()

    def act(self, path: str, **body: Any) -> requests.Response:
        answer = requests.post(f"{self.sandbox.url}/flex/api/{path}", timeout=10, **body)
        assert answer.ok, answer.text
        return answer

    def events(self, kind: str) -> list[Any]:
        return [call for call in list(self.heard.calls) if call.json["type"] == kind]


def destination(generation: str, accounts: SandboxSettings, sandbox: str) -> dict[str, Any]:
    """The configuration of the sandbox's Flex in one of its generations."""
    twilio = f"{sandbox}/twilio"
    common = {
        "type": generation,
        "account_sid": accounts.twilio_account_sid,
        "auth_tokens": ["a-newer-auth-token", accounts.twilio_auth_token][::-1],
        "chat_service_sid": accounts.flex_chat_service_sid,
        "flex_url": f"{twilio}/flex-api",
        "media_url": f"{twilio}/mcs",
        "taskrouter_url": f"{twilio}/taskrouter",
        "target": "conversation",
        "ended_text": FAREWELL,
        "retry_base": 0.1,
        "timeout": 2.0,
        "attempts": 30,
        "concurrency": 8,
        "check_every": 3600.0,  # what is missed shows by the numbers; the slow check has a test of its own
    }
    workspace = {"workspace_sid": accounts.flex_workspace_sid, "workflow_sid": accounts.flex_workflow_sid}
    if generation == "flex_chat":
        return {
            **common,
            "chat_url": f"{twilio}/chat",
            "flex_flow_sid": FLOW,
            "integration": {"type": "task", "channel": "chat", **workspace},
        }
    return {
        **common,
        "conversations_url": f"{twilio}/conversations",
        "routing": {"type": "interaction", **workspace},
        "webhook_filters": ["onMessageAdded", "onConversationStateUpdated", "onParticipantUpdated"],
    }


@contextmanager
def flex_world(folder: Path, generation: str, workers: int = 2, **more: Any) -> Iterator[FlexWorld]:
    port = free_port()
    accounts = SandboxSettings(gateway_url=f"http://127.0.0.1:{port}", flex_flow_sid=FLOW)
    server = make_server("127.0.0.1", 0, accounts)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sandbox = f"http://127.0.0.1:{server.port}"
    store = RedisServer(folder)
    store.start()
    with sink() as shop:
        raw = tables(
            send_url=f"{shop.url}/patchbay",
            bot_url=f"{sandbox}/autopilot",
            channels__shop={"handoff": "people", "retry_base": 0.1},
            destinations__helper={
                "account_sid": accounts.autopilot_account_sid,
                "assistant_sid": accounts.autopilot_assistant_sid,
                "auth_token": accounts.autopilot_auth_token,
                "retry_base": 0.1,
            },
            destinations__people={**destination(generation, accounts, sandbox), **more},
        )
        raw["channels"]["direct"] = {**raw["channels"]["shop"], "destination": "people", "handoff": "helper"}
        config = folder / "patchbay.toml"
        config.write_text(toml.dumps(raw))
        system = System(config, store.url, folder, port=port)
        try:
            system.start(workers=workers)
            shops = Shop(system.url), Shop(system.url, "direct")
            yield FlexWorld(system, store, Sandbox(sandbox), shops[0], shop, shops[1], folder, generation)
        finally:
            system.stop()
            store.stop()
            server.shutdown()
            server.server_close()
