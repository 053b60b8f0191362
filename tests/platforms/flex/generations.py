"""The two generations of Flex, and every way to set them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from twilio.request_validator import RequestValidator

from app.core.events import Event, Webhook, Written
from app.core.message import Attachment
from app.platforms.flex.chat import FlexChatDestination
from app.platforms.flex.conversations import FlexConversationsDestination
from app.platforms.twilio.webhooks import FORM
from tests.platforms.conformance import BASE
from tests.platforms.flex.world import ACCOUNT, TOKEN, Setup, built
from tests.sandbox.flex import SERVICE, STUDIO_FLOW, WORKFLOW, WORKSPACE
from tests.support import fixtures

GOOD = "message_agent"
STUDIO = {"type": "studio", "flow_sid": STUDIO_FLOW}
TASK = {"type": "task", "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW, "channel": "chat"}
INTERACTION = {"type": "interaction", "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW}
FILTERS = ["onMessageAdded", "onConversationStateUpdated", "onParticipantUpdated"]
TWILIO = {"account_sid": ACCOUNT, "auth_tokens": [TOKEN]}
CHAT_VALUES: dict[str, Any] = {
    "type": "flex_chat", **TWILIO, "chat_service_sid": SERVICE, "flex_flow_sid": "FO" + "0a" * 16, "integration": TASK,
}  # fmt: skip
CONVERSATIONS_VALUES: dict[str, Any] = {"type": "flex_conversations", **TWILIO, "routing": INTERACTION}


@dataclass(frozen=True)
class Generation:
    """`by_flow` is what the setup `studio` needs, so that its flow's tasks are found."""

    setups: dict[str, Setup]
    path: str
    thread_field: str
    author_field: str
    read_event: str
    by_flow: dict[str, Any]

    @property
    def first(self) -> Setup:
        """For where the way to set it up does not matter."""
        return next(iter(self.setups.values()))

    @property
    def type(self) -> str:
        return str(self.first.values["type"])

    def build(self, **changes: Any) -> Any:
        return built(self.first.adapter, {**self.first.values, **changes}, f"{BASE}/destinations/desk")

    def sign(self, body: bytes, token: str = TOKEN) -> Webhook:
        """What stands in the body as a form, signed."""
        form = fixtures.as_form(body)
        url = BASE + self.path
        try:
            pairs = dict(parse_qsl(form.decode(), keep_blank_values=True, errors="strict"))
        except ValueError:
            pairs = {}
        headers = {"content-type": FORM, "x-twilio-signature": RequestValidator(token).compute_signature(url, pairs)}
        return Webhook("POST", url, self.path, headers, form)

    def webhook(self, name: str, **fields: str | None) -> Webhook:
        """A fixture with other fields; None takes one away."""
        values = {**fixtures.value(self.type, name), **fields}
        return self.sign(orjson.dumps({key: value for key, value in values.items() if value is not None}))

    def parse(self, name: str, **fields: str | None) -> list[Event]:
        adapter, webhook = self.build(), self.webhook(name, **fields)
        adapter.verify(webhook)
        events: list[Event] = adapter.parse(webhook)
        return events

    def link(self, desk: Any, **fields: str | None) -> str:
        """The last part of a link of this destination to an agent's file."""
        (event,) = desk.parse(self.webhook("message_media", **fields))
        assert isinstance(event, Written)
        assert isinstance(event.content, Attachment)
        return event.content.url.rpartition("/")[2]


def _chat(integration: dict[str, Any]) -> Setup:
    return Setup(FlexChatDestination, {**CHAT_VALUES, "integration": integration}, 8, 4, integration["type"])


def _conversations(calls: int, **values: Any) -> Setup:
    return Setup(FlexConversationsDestination, {**CONVERSATIONS_VALUES, **values}, calls, 5)


CHAT = Generation(
    setups={"task": _chat(TASK), "studio": _chat(STUDIO)},
    path="/destinations/desk/new-message",
    thread_field="ChannelSid",
    author_field="From",
    read_event="onMemberUpdated",
    by_flow={"integration": {**STUDIO, "workspace_sid": WORKSPACE}},
)
CONVERSATIONS = Generation(
    setups={
        "interaction": _conversations(7),
        "studio": _conversations(8, routing=STUDIO),
        "a service": _conversations(7, chat_service_sid=SERVICE),
    },
    path="/destinations/desk/events",
    thread_field="ConversationSid",
    author_field="Author",
    read_event="onParticipantUpdated",
    by_flow={"routing": {**STUDIO, "workspace_sid": WORKSPACE}},
)
GENERATIONS = {"chat": CHAT, "conversations": CONVERSATIONS}
SETUPS = {f"{name}, {label}": setup for name, one in GENERATIONS.items() for label, setup in one.setups.items()}
