"""What the Flex stand-in keeps, as frozen records; each is replaced, never changed.

Both generations of chat are kept as rooms: a Programmable Chat channel with members, or a conversation with
participants. What differs between the two is words, and those are in the APIs.
"""

import time
from dataclasses import dataclass, field

from app.sandbox.checks import Json
from app.sandbox.twilio.records import Dated, Form

CHAT, CONVERSATIONS = "chat", "conversations"


@dataclass(frozen=True, kw_only=True)
class Flow(Dated):
    """A FlexFlow; `form` is what it was made with, updates laid over it."""

    form: Form


@dataclass(frozen=True, kw_only=True)
class Room(Dated):
    """`starts` says what the first message that fires webhooks sets off: `studio`, `task`, or nothing any more."""

    generation: str
    created_by: str = "system"
    friendly_name: str | None = None
    unique_name: str | None = None
    attributes: str = "{}"
    state: str = "active"
    timers: Json = field(default_factory=dict)
    messaging_service_sid: str | None = None
    starts: str = ""


@dataclass(frozen=True, kw_only=True)
class FlexChannel(Dated):
    """What flex-api knows of a chat channel; the sid is the chat channel's."""

    flow_sid: str
    target: str | None
    user_sid: str
    identity: str
    user_name: str
    task_attributes: Json = field(default_factory=dict)
    task_sid: str | None = None


@dataclass(frozen=True, kw_only=True)
class Member(Dated):
    """A member or participant; `horizon` is the index of the last message that it has read."""

    room_sid: str
    identity: str | None
    attributes: str = "{}"
    role_sid: str | None = None
    binding: Json | None = None
    horizon: int | None = None
    horizon_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Message(Dated):
    room_sid: str
    index: int
    author: str
    body: str | None
    source: str
    attributes: str = "{}"
    media_sid: str | None = None
    member_sid: str | None = None
    content_sid: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hook(Dated):
    """A webhook: of one room, or (`room_sid` empty) of the account or the service."""

    room_sid: str
    kind: str
    url: str = ""
    method: str = "POST"
    filters: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    flow_sid: str | None = None
    retries: int = 0


@dataclass(frozen=True, kw_only=True)
class Task(Dated):
    attributes: Json
    workflow_sid: str
    channel: str = "chat"
    room_sid: str = ""
    status: str = "pending"
    priority: int = 0
    timeout: int = 86_400
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Interaction(Dated):
    channel_sid: str
    room_sid: str
    kind: str
    routing: Json
    task_sid: str
    status: str = ""
    context_sid: str | None = None
    webhook_ttid: str | None = None
    started: float = field(default_factory=time.monotonic, repr=False)


@dataclass(frozen=True, kw_only=True)
class Address(Dated):
    form: Form
