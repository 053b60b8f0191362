"""A Flex destination in the sandbox, with everything that its work needs and leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
import requests
from msgspec.structs import replace

from app.core.events import Answer, Polled, StatusReport
from app.core.message import Attachment, Content, Message, Profile, Text
from app.core.session import Session
from app.core.status import Status
from app.platforms.destination import Delivery, Handoff, Who
from tests.platforms.flex.line import Died, Line
from tests.sandbox.flex import SERVICE, SETTINGS, WORKSPACE, connect, make_flow, seen

ACCOUNT, TOKEN, OLD = SETTINGS.twilio_account_sid, SETTINGS.twilio_auth_token, "an-older-twilio-token"
AGENT = SETTINGS.flex_agent
CUSTOMER, CONVERSATION = "webchat:v81", "shop/webchat:v81"
CALLBACK = "http://127.0.0.1:9/destinations/desk"
CH, NONE = "CH" + "0b" * 16, "CH" + "0" * 32
MARK = '{"patchbay":{"id":"0123456789abcdef0123456789abcdef"}}'
PROFILE = Profile("Ada Lovelace", "en-GB", "ada@example.test", "+15550000001", None, "GB")
MESSAGE = Message(
    "0123456789abcdef0123456789abcdef", "inbound", "shop", CUSTOMER, Text("Where is my parcel?"), "customer", "shop",
    1_767_225_600_000, profile=PROFILE,
)  # fmt: skip
REPLY = replace(
    MESSAGE, id="e" * 32, direction="outbound", content=Text("Good day!"), author="bot", profile=None, source="helper"
)
A_LINK = "https://cdn.example.test/" + "x" * 1_500
MORE = replace(MESSAGE, id="d" * 32, content=Text("To people, please"))
LAST = replace(REPLY, id="c" * 32, content=Text("I fetch somebody."))
TALK = (MESSAGE, REPLY, MORE, LAST)
SLACK = 3  # bytes of a task's attributes that may stay free although more words would fit in


class Kept:
    """What the store would hold of a session: its handles, what the customer needs not get, and progress."""

    def __init__(self) -> None:
        self.handles: dict[str, Any] = {}
        self.seen: list[int] = []
        self.progress: dict[str, Any] = {}
        self.count = 0
        self.dies_before: int | None = None
        self.dies_after: int | None = None

    def keep(self, handles: Mapping[str, Any], *, seen: int | None = None) -> None:
        self._write(lambda: self._hold(handles, seen))

    def remember(self, progress: Mapping[str, Any], aliases: Sequence[str]) -> None:
        assert [] == list(aliases)  # the chat's name is kept with its handles
        assert {"chat", "told"} == set(progress)
        self._write(lambda: self.progress.update(progress))

    def _hold(self, handles: Mapping[str, Any], seen: int | None) -> None:
        self.handles = orjson.loads(orjson.dumps(dict(handles)))
        self.seen += [] if seen is None else [seen]

    def _write(self, write: Callable[[], None]) -> None:
        number, self.count = self.count, self.count + 1
        if self.dies_before == number:
            raise Died
        write()
        if self.dies_after == number:
            raise Died


@dataclass(frozen=True)
class Setup:
    """One way to set a destination up. `calls` and `keeps`: how many a first message takes."""

    adapter: Any
    values: Mapping[str, Any]
    calls: int
    keeps: int
    flow: str = ""

    @property
    def is_chat(self) -> bool:
        return bool(self.values["type"] == "flex_chat")


@dataclass
class Place:
    """A destination in the sandbox, with everything that its work needs and leaves."""

    setup: Setup
    url: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    callback: str = CALLBACK

    def __post_init__(self) -> None:
        self.twilio = connect(self.url)
        self.line, self.kept = Line(self.url), Kept()
        self.context: Mapping[str, Any] = {}
        values = {**self.setup.values, **addresses(self.setup, self.url), **self.changes}
        if self.setup.flow:
            more = values.pop("flow", {})
            values["flex_flow_sid"] = make_flow(self.twilio, self.setup.flow, **more).sid
        self.values = values
        self.desk = built(self.setup.adapter, values, self.callback)
        self.is_chat = self.setup.is_chat

    # Work

    def deliver(self, message: Message = MESSAGE, content: Content | None = None, **changes: Any) -> Answer:
        answer: Answer = self.desk.deliver(self.delivery(message, content, **changes), self.line)
        return answer

    def delivery(self, message: Message = MESSAGE, content: Content | None = None, **changes: Any) -> Delivery:
        return Delivery(
            message, content or message.content, self.session, self.kept.remember, keep=self.kept.keep, **changes
        )

    def open(self, *transcript: Message, memory: Mapping[str, Any] | None = None, uncertain: bool = False) -> Answer:
        session = replace(self.session, context=memory or {}, version=3)
        handoff = Handoff(
            CONVERSATION, session, transcript, self.kept.remember, keep=self.kept.keep, uncertain=uncertain,
            progress=self.kept.progress,
        )  # fmt: skip
        answer: Answer = self.desk.open(handoff, self.line)
        return answer

    def report(self, status: Status, index: int = 0, error: str | None = None, **changes: Any) -> None:
        chat = changes.pop("chat", self.chat)
        message = replace(REPLY, author="agent", metadata={"chat": chat, "index": index})
        report = StatusReport(message, status, error, 1, **{"handles": self.kept.handles, **changes})
        self.desk.report(report, self.line)

    def poll(self, seen: int | None = -1) -> Polled:
        polled: Polled = self.desk.poll(self.session, seen, self.line)
        return polled

    def close(self, who: Who = "customer") -> None:
        self.desk.close(self.session, who, self.line)

    @property
    def session(self) -> Session:
        return Session("desk", "human", handles=self.kept.handles, context=self.context)

    @property
    def chat(self) -> str:
        return str(self.kept.handles["chat"])

    # Twilio's view

    def resource(self, chat: str = "") -> Any:
        sid = chat or self.chat
        if self.is_chat:
            return self.twilio.chat.v2.services(SERVICE).channels(sid)
        return self.twilio.conversations.v1.conversations(sid)

    def said(self, chat: str = "") -> list[tuple[str, str | None]]:
        """Who said what, in order."""
        messages = self.resource(chat).messages.list()
        assert list(range(len(messages))) == [message.index for message in messages]
        return [(message._from if self.is_chat else message.author, message.body) for message in messages]

    def marks(self, chat: str = "") -> list[str | None]:
        """Our ids of what was said, None for what others said."""
        found = [orjson.loads(message.attributes) for message in self.resource(chat).messages.list()]
        return [one.get("patchbay", {}).get("id") for one in found]

    def hooks(self, chat: str = "") -> list[dict[str, Any]]:
        return [hook.configuration for hook in self.resource(chat).webhooks.list()]

    def horizon(self, identity: str = CUSTOMER) -> int | None:
        people = self.resource().members.list() if self.is_chat else self.resource().participants.list()
        (one,) = [one for one in people if one.identity == identity]
        found: int | None = one.last_consumed_message_index if self.is_chat else one.last_read_message_index
        return found

    def is_over(self, chat: str = "") -> bool:
        found = self.resource(chat).fetch()
        if self.is_chat:
            return bool(orjson.loads(found.attributes)["status"] == "INACTIVE")
        return bool(found.state == "closed")

    @property
    def chats(self) -> list[Any]:
        """Every chat of this generation in the sandbox."""
        return list(seen(self.url)["channels" if self.is_chat else "conversations"])

    @property
    def tasks(self) -> list[Any]:
        return list(self.twilio.taskrouter.v1.workspaces(WORKSPACE).tasks.list())

    def state(self) -> Any:
        """Everything that stands there, but for sids and times."""
        flex = seen(self.url)
        return {
            "chats": [
                {
                    "names": (one["friendly_name"], one["unique_name"]),
                    "people": [member["identity"] for member in one["members"]],
                    "hooks": [
                        (h["kind"], h["url"], h["filters"], h["flow_sid"], h["retries"]) for h in one["webhooks"]
                    ],
                    "said": [(m["index"], m["author"], m["body"], m["attributes"]) for m in one["messages"]],
                }
                for one in self.chats
            ],
            "tasks": [
                {name: value for name, value in task["attributes"].items() if not name.endswith("Sid")}
                for task in flex["tasks"]
            ],
            "interactions": len(flex["interactions"]),
            "refused": [one for one in flex["refused"] if one["status"] not in (404, 409)],
        }

    def told_task(self) -> dict[str, Any]:
        """The attributes that the last task was ordered with."""
        field = "TaskAttributes" if self.is_chat else "Routing"
        ordered = [dict(call.form)[field] for call in self.line.calls if field in dict(call.form)][-1]
        found = orjson.loads(ordered)
        attributes: dict[str, Any] = found if self.is_chat else found["properties"]["attributes"]
        return attributes

    # The agent

    def act(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/flex/api/{path}", json=body, timeout=5)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def accept(self) -> None:
        self.act(f"tasks/{self.tasks[-1].sid}/accept")

    def agent_says(self, text: str) -> None:
        self.act(f"chats/{self.chat}/messages", text=text)

    def agent_sends(self, text: str = "", name: str = "map.png") -> None:
        url = f"{self.url}/flex/api/chats/{self.chat}/media?{urlencode({'filename': name, 'text': text})}"
        headers = {"content-type": "image/png"}
        assert requests.post(url, data=b"picture", headers=headers, timeout=5).ok

    def api_says(self, author: str, body: str, attributes: str = "{}") -> None:
        form = {"from_" if self.is_chat else "author": author, "body": body, "attributes": attributes}
        self.resource().messages.create(**form)

    def end_over_there(self, chat: str = "") -> None:
        """The chat ends without any agent."""
        if self.is_chat:
            attributes = orjson.loads(self.resource(chat).fetch().attributes)
            self.resource(chat).update(attributes=orjson.dumps({**attributes, "status": "INACTIVE"}).decode())
        else:
            self.resource(chat).update(state="closed")

    def agents_file(self) -> Attachment:
        """What the customer gets of a file that an agent sent."""
        self.deliver()
        self.accept()
        self.agent_sends()
        (written,) = self.poll(0).written
        assert isinstance(written.content, Attachment)
        return written.content

    def delete(self) -> None:
        """Somebody takes the chat away."""
        if self.is_chat:
            self.twilio.flex_api.v1.channel(self.chat).delete()
        else:
            self.resource().delete()


def addresses(setup: Setup, url: str) -> dict[str, str]:
    """All of Twilio's products at one place."""
    found = {"flex_url": "flex-api", "media_url": "mcs", "taskrouter_url": "taskrouter"}
    found |= {"chat_url": "chat"} if setup.is_chat else {"conversations_url": "conversations"}
    return {name: f"{url}/twilio/{product}" for name, product in found.items()}


def built(adapter: Any, values: Mapping[str, Any], callback: str = CALLBACK) -> Any:
    """The adapter, named `desk`, as the configuration makes it."""
    return adapter("desk", {**adapter.Settings().load(values), "callback": callback})


def deaths(
    setups: Mapping[str, Setup], calls: Callable[[Setup], int], writes: Callable[[Setup], int]
) -> dict[str, Any]:
    """Every moment at which the work can be cut off: after each call, and before and after each thing kept."""
    found: dict[str, Any] = {}
    for label, setup in setups.items():
        found |= {f"{label}: after call {n}": (setup, "call", n) for n in range(calls(setup))}
        for moment in ("before", "after"):
            found |= {f"{label}: {moment} keeping {n}": (setup, moment, n) for n in range(writes(setup))}
    return found


def die_at(place: Place, moment: str, number: int) -> None:
    if moment == "call":
        place.line.dies_after = number
    else:
        setattr(place.kept, f"dies_{moment}", number)


def revive(place: Place) -> None:
    place.line.dies_after = place.kept.dies_before = place.kept.dies_after = None


CLEAN: dict[tuple[int, str], Any] = {}


def clean_state(setup: Setup, url: str, verb: str) -> Any:
    """What stands when nothing went wrong; leaves the sandbox empty."""
    key = (id(setup), verb)
    if key not in CLEAN:
        place = Place(setup, url)
        place.deliver() if verb == "deliver" else place.open(*TALK, memory={"order": "M-PB 1"})
        CLEAN[key] = place.state()
        requests.delete(f"{url}/inspect", timeout=5)
    return CLEAN[key]
