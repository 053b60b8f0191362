"""What both generations of Flex promise. Their tests inherit `Flexing` and fill in what differs.

What an adapter did is looked at with Twilio's own SDK and in what the sandbox remembers, not through the adapter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest
import requests
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.errors import Failure, Unverified
from app.core.events import Answer, Changed, Checkup, Ended, Event, Ignored, StatusReport, Typing, Webhook, Written
from app.core.message import Attachment, Author, Content, Location, Message, Profile, Text, derived_id
from app.core.render import render
from app.core.session import Session
from app.core.status import Status
from app.http import MOST_MOVES, Http, Response
from app.platforms.destination import Delivery, Handoff, Who
from app.platforms.twilio.account import FORM
from tests.platforms.conformance import BASE, OUTCOMES, Calling, Receiving, changed, unused
from tests.sandbox.flex import SERVICE, SETTINGS, WORKSPACE, connect, make_flow, recording_listener, seen
from tests.support import fixtures
from tests.support.sink import Sink, Told

SID, SHORT = re.compile(r"([A-Z]{2})[0-9a-f]{32}"), r"{\1}"
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


class Died(Exception):
    """The worker was killed here."""


@dataclass(frozen=True)
class Call:
    method: str
    url: str
    data: Any
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path.removeprefix("/twilio")

    @property
    def form(self) -> list[tuple[str, str]]:
        return list(self.data.items()) if isinstance(self.data, Mapping) else list(self.data or [])

    def __str__(self) -> str:
        """Method and path with sids made short: `POST flex-api/v1/Channels`."""
        return f"{self.method} {SID.sub(SHORT, self.path.lstrip('/'))}"


class Line(Http):
    """Records calls. Dies after call `dies_after` was carried out; `instead` may answer in Twilio's place. `files` are
    hosts that customers' files may lie on as if they were public."""

    def __init__(self, url: str, files: Sequence[str] = ()) -> None:
        super().__init__([url], files=files)
        self.calls: list[Call] = []
        self.dies_after: int | None = None
        self.instead: Callable[[Call], Response | None] = lambda call: None

    def request(self, method: str, url: str, **options: Any) -> Response:
        call = Call(method, url, options.get("data"), options.get("headers") or {})
        self.calls.append(call)
        answer = self.instead(call) or super().request(method, url, **options)
        if self.dies_after == len(self.calls) - 1:
            raise Died
        return answer

    @property
    def made(self) -> list[str]:
        return [str(call) for call in self.calls]

    @property
    def posts(self) -> list[str]:
        return [str(call) for call in self.calls if call.method != "GET"]


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
        values = {**self.setup.values, **addresses(self.setup.adapter, self.url), **self.changes}
        if self.setup.flow:
            more = values.pop("flow", {})
            values["flex_flow_sid"] = make_flow(self.twilio, self.setup.flow, **more).sid
        self.desk_values = values
        self.desk = built(self.setup.adapter, values, self.callback)
        self.is_chat = self.setup.adapter.CHAT_FIELD == "ChannelSid"

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

    def check(self, seen: int | None = -1) -> Checkup:
        checkup: Checkup = self.desk.check(self.session, seen, self.line)
        return checkup

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


def addresses(adapter: Any, url: str) -> dict[str, str]:
    """All of Twilio's products at one place."""
    found = {"flex_url": "flex-api", "media_url": "mcs", "taskrouter_url": "taskrouter"}
    found |= {"chat_url": "chat"} if adapter.CHAT_FIELD == "ChannelSid" else {"conversations_url": "conversations"}
    return {name: f"{url}/twilio/{product}" for name, product in found.items()}


def built(adapter: Any, values: Mapping[str, Any], callback: str = CALLBACK) -> Any:
    """The adapter, named `desk`, as the configuration makes it."""
    return adapter("desk", {**adapter.Settings().load(values), "callback": callback})


def failing(status: int, method: str, path: str) -> Callable[[Call], Response | None]:
    """Twilio answers such calls with this status."""
    body = orjson.dumps({"code": 20000 + status, "message": "Told to fail", "status": status})
    return lambda call: Response(status, {}, body) if call.method == method and path in call.path else None


def failing_at(number: int, status: int, path: str = "/Messages") -> Callable[[Call], Response | None]:
    """Twilio answers the POST of this number to such a path with this status, once."""
    fails, left = failing(status, "POST", path), [number]

    def answer(call: Call) -> Response | None:
        answer = fails(call)
        left[0] -= answer is not None
        return answer if left[0] == -1 else None

    return answer


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


class Flexing(Receiving, Calling):
    """The common tests. `setups` are the ways to set the generation up; where that does not matter, the first one."""

    good = "message_agent"
    path = "/destinations/desk/new-message"
    url_key = "flex_url"
    tables: ClassVar[dict[str, str]] = {
        **Receiving.tables, **Calling.tables, "setup": "all_setups", "death": "delivery_deaths",
        "handoff_death": "handoff_deaths", "echo": "echoes", "late": "late_calls",
    }  # fmt: skip
    setups: ClassVar[dict[str, Setup]]
    message_event: ClassVar[str]
    read_event: ClassVar[str]
    chat_field: ClassVar[str]
    author_field: ClassVar[str]
    by_flow: ClassVar[dict[str, Any]]  # what the setup `studio` needs, so that its flow's tasks are found

    @pytest.fixture
    def place(self, flex_sandbox: str) -> Place:
        return Place(next(iter(self.setups.values())), flex_sandbox)

    @pytest.fixture
    def each_place(self, setup: Setup, flex_sandbox: str) -> Place:
        return Place(setup, flex_sandbox)

    def all_setups(self) -> dict[str, Setup]:
        return self.setups

    def build(self, **changes: Any) -> Any:
        return built(self.adapter_class, {**self.values, **changes}, f"{BASE}/destinations/desk")

    def adapter_on(self, url: str, **changes: Any) -> tuple[Any, Http]:
        return self.build(**dict.fromkeys(addresses(self.adapter_class, url), url), **changes), Http([url])

    # --- webhooks ---

    def sign(self, body: bytes, token: str = TOKEN, path: str = "", **changes: Any) -> Webhook:
        form = fixtures.as_form(body)
        url = BASE + (path or self.path)
        try:
            pairs = dict(parse_qsl(form.decode(), keep_blank_values=True, errors="strict"))
        except ValueError:
            pairs = {}
        headers = {"content-type": FORM, "x-twilio-signature": RequestValidator(token).compute_signature(url, pairs)}
        return Webhook("POST", url, path or self.path, headers, form)

    def rotated(self) -> Any:
        return self.build(auth_tokens=["a-newer-twilio-token", TOKEN])

    def webhooks(self) -> list[str]:
        return [name for name in fixtures.names(self.platform) if not name.startswith("echo_")]

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        return {
            "no header": lambda good: changed(good, x_twilio_signature=None),
            "an empty header": lambda good: changed(good, x_twilio_signature=""),
            "another token": lambda good: self.sign(fixtures.raw(self.platform, self.good), OLD),
            "a changed body": lambda good: replace(good, body=good.body.replace(b"today", b"never")),
            "a field more": lambda good: replace(good, body=good.body + b"&a=b"),
            "another path": lambda good: replace(good, url=good.url + "s"),
            "a form that cannot be read": lambda good: replace(good, body=b"a=%FF"),
        }

    def all_bad_bodies(self) -> dict[str, tuple[bytes, str]]:
        good = fixtures.value(self.platform, self.good)

        def without(name: str) -> bytes:
            return orjson.dumps({key: value for key, value in good.items() if key != name})

        def with_(**values: str) -> bytes:
            return orjson.dumps({**good, **values})

        return {
            "empty": (b"", "EventType"),
            "no form": (b"{", "EventType"),
            "no field that we know": (b"\xff=\xff", "EventType"),
            "too many fields": (b"&".join(b"a=b" for _ in range(1_001)), ""),
            "no event": (without("EventType"), "EventType"),
            "an empty event": (with_(EventType=""), "EventType"),
            "no chat": (without(self.chat_field), self.chat_field),
            "an empty chat": (with_(**{self.chat_field: ""}), self.chat_field),
            "a chat too long": (with_(**{self.chat_field: "C" * 257}), self.chat_field),
            "no number": (without("Index"), "Index"),
            "a number in words": (with_(Index="four"), "Index"),
            "a number below zero": (with_(Index="-1"), "Index"),
            "no message sid": (without("MessageSid"), "MessageSid"),
            "an empty message sid": (with_(MessageSid=""), "MessageSid"),
            "no chat of an update": (
                orjson.dumps({"EventType": self.read_event}),
                self.chat_field,
            ),
        }

    def parse(self, name: str, **fields: str | None) -> list[Event]:
        """What a fixture says with other fields; None takes one away."""
        values = {**fixtures.value(self.platform, name), **fields}
        body = orjson.dumps({key: value for key, value in values.items() if value is not None})
        webhook = self.sign(body)
        adapter = self.build()
        adapter.verify(webhook)
        events: list[Event] = adapter.parse(webhook)
        return events

    def test_json_webhooks_are_read_like_forms(self) -> None:
        form = self.parse(self.good)
        body = fixtures.raw(self.platform, self.good)
        webhook = Webhook("POST", BASE + self.path, self.path, {"content-type": "application/json"}, body)
        assert form == self.build().parse(webhook)

    def echoes(self) -> dict[str, tuple[str | None, str, str, Author | None, str | None]]:
        """Source, author, attributes; then who wrote, None for a mere step in the count, and under which name."""
        return {
            "an agent": ("SDK", AGENT, "{}", "agent", None),
            "an agent with attributes": ("SDK", AGENT, '{"a":1,"patchbay":5}', "agent", None),
            "an agent, attributes broken": ("SDK", AGENT, "{", "agent", None),
            "the customer's own client": ("SDK", CUSTOMER, "{}", "agent", None),
            "system in a client": ("SDK", "system", "{}", "agent", None),
            "ours by mark, whatever the source": ("SDK", AGENT, MARK, None, None),
            "ours by mark": ("API", CUSTOMER, MARK, None, None),
            "ours by mark, escaped": ("API", "webchat_3Av81", MARK, None, None),
            "ours by mark, the bot's part": ("API", "helper", MARK, None, None),
            "ours by mark, no source": (None, CUSTOMER, MARK, None, None),
            "the customer": ("API", CUSTOMER, "{}", "agent", CUSTOMER),
            "the customer, escaped": ("API", "webchat_3Av81", "{}", "agent", CUSTOMER),
            "the customer, no source": (None, "webchat_3Av81", "{}", "agent", CUSTOMER),
            "the conversation, escaped": ("API", "shop_2Fwebchat_3Av81", "{}", "agent", CONVERSATION),
            "a bot": ("API", "helper", "{}", "agent", "helper"),
            "Studio": ("API", "Studio", "{}", "agent", "Studio"),
            "system": ("API", "system", "{}", "system", "system"),
            "an agent by API": ("API", AGENT, "{}", "agent", "agent_kim"),
            "nobody": ("API", "", "{}", "agent", ""),
        }

    def test_whose_a_message_is(self, echo: tuple[str | None, str, str, Author | None, str | None]) -> None:
        source, who, attributes, author, identity = echo
        fields = {self.author_field: who, "Source": source, "Attributes": attributes}
        (event,) = self.parse(self.good, **fields)
        if author is None:
            assert Changed(CH, 4) == event
            return
        assert (
            Written(
                Text("It left today."), "IM" + "04" * 16, alias=CH, author=author, index=4, identity=identity,
                metadata={"chat": CH, "index": 4},
            )
            == event
        )  # fmt: skip

    @pytest.mark.parametrize("field", ["Body", "Attributes"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_what_may_be_missing(self, field: str, value: str | None) -> None:
        """A message without words is a step in the count, one without attributes is somebody's."""
        (event,) = self.parse(self.good, **{field: value})
        assert Changed(CH, 4) == event if field == "Body" else isinstance(event, Written)

    def test_a_message_with_text_and_file_is_two(self) -> None:
        text, file = self.parse("echo_media_body")
        assert isinstance(text, Written)
        assert isinstance(file, Written)
        sid = "IM" + "06" * 16
        assert (Text("The way"), sid, 6, CH) == (text.content, text.external_id, text.index, text.alias)
        assert (f"{sid}/1", 6, CH, None) == (file.external_id, file.index, file.alias, file.identity)
        assert isinstance(file.content, Attachment)
        assert ("image", "image/png", "map.png") == (file.content.kind, file.content.mime_type, file.content.file_name)
        assert (True, False) == (text.more, file.more)  # the number is done with the last part

    def test_a_file_alone_has_the_messages_id(self) -> None:
        (file,) = self.parse("message_media")
        assert isinstance(file, Written)
        assert ("IM" + "05" * 16, False) == (file.external_id, file.more)
        assert isinstance(file.content, Attachment)
        assert file.content.url.startswith(f"{BASE}/destinations/desk/media/")

    def test_what_an_agent_read_is_asked_for(self) -> None:
        (name,) = [name for name in fixtures.names(self.platform) if name.endswith("_read")]
        assert [Changed(CH)] == self.parse(name)

    def test_typing_is_a_hint(self) -> None:
        assert [Typing(alias=CH)] == self.parse("typing")

    @pytest.mark.parametrize(
        "event", ["onMessageRemoved", "onUserUpdated", "onSomethingNew", "onTypingEnded", "typing"]
    )
    def test_an_unknown_event_is_ignored_by_its_name(self, event: str) -> None:
        assert [Ignored(event)] == self.parse(self.good, EventType=event)

    def test_answers_to_webhooks(self) -> None:
        adapter, webhook = self.build(), self.a_good_one
        assert (200, "") == (adapter.acknowledge(webhook, []).status, adapter.acknowledge(webhook, []).body)
        assert (200, "") == (adapter.refuse(webhook, 404, "x").status, adapter.refuse(webhook, 404, "x").body)
        assert 403 == adapter.refuse(webhook, 401, "x").status
        assert (400, {"error": {"message": "Index: No."}}) == (
            adapter.refuse(webhook, 400, "Index: No.").status,
            adapter.refuse(webhook, 400, "Index: No.").body,
        )

    def test_what_the_sandbox_sends_is_verified_and_read(self, flex_sandbox: str) -> None:
        """The whole way of a chat: each webhook as the stand-in, which knows the contract alone, makes it."""
        with recording_listener() as listener:
            base = listener.url.partition("/destinations")[0]
            setup = next(iter(self.setups.values()))
            place = Place(setup, flex_sandbox, callback=f"{base}/destinations/desk")
            place.deliver()
            place.accept()
            place.act(f"chats/{place.chat}/typing")
            place.agent_says("It left today.")
            place.agent_sends("The way")
            place.act(f"chats/{place.chat}/end")
            events: list[Event] = []
            for call in listener.wait_for(5):
                body = urlencode(call.form).encode()
                headers = {"content-type": FORM, "x-twilio-signature": call.signature}
                webhook = Webhook("POST", base + call.path, call.path, headers, body)
                place.desk.verify(webhook)
                events += place.desk.parse(webhook)
        said = [event for event in events if isinstance(event, Written)]
        assert [Text("It left today."), Text("The way")] == [one.content for one in said[:2]]
        assert isinstance(said[2].content, Attachment)
        assert [(1, "agent", None), (2, "agent", None), (2, "agent", None)] == [
            (one.index, one.author, one.identity) for one in said
        ]
        others = [event for event in events if not isinstance(event, Written)]
        assert [Changed(place.chat, 0), Typing(alias=place.chat), Ended(place.chat, alias=place.chat)] == others

    # --- calls ---

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        """The first call of each verb. Where 404 is an answer, see `late_calls`."""

        def fresh() -> Delivery:
            return Delivery(MESSAGE, MESSAGE.content, Session("desk"), unused, keep=unused)

        return {
            "deliver": lambda desk, http: desk.deliver(fresh(), http),
            "open": lambda desk, http: desk.open(
                Handoff(CONVERSATION, Session("desk"), TALK, unused, keep=unused), http
            ),
            "media": lambda desk, http: desk.media(desk._media.links._signer.dumps([SERVICE, "ME1"]), http),
        }

    def late_calls(self) -> dict[str, Any]:
        """Verbs that begin by looking whether something is there, and each way to fail but for that it is not."""
        handles = {"chat": CH, "service": SERVICE, "ready": True, "identity": CUSTOMER, "participant": "MB1"}
        session, half = Session("desk", handles=handles), Session("desk", handles={"chat": CH, "service": SERVICE})
        read = StatusReport(replace(REPLY, metadata={"chat": CH, "index": 1}), "read", None, 1, handles)
        verbs: dict[str, Callable[[Any, Http], object]] = {
            "check": lambda desk, http: desk.check(session, 1, http),
            "close": lambda desk, http: desk.close(session, "customer", http),
            "abandon": lambda desk, http: desk.abandon(half, http),
            "read": lambda desk, http: desk.report(read, http),
            "failed": lambda desk, http: desk.report(replace(read, status="failed"), http),
        }
        return {
            f"{verb}: {label}": (call, outcome)
            for verb, call in verbs.items()
            for label, outcome in OUTCOMES.items()
            if label != "404"
        }

    def answered(self) -> dict[str, Callable[[Any, Http], object]]:
        def remember(*args: Any, **kwargs: Any) -> None:
            """Whatever it keeps."""

        def made(delivery: type[Any], *work: Any, **more: Any) -> Any:
            return delivery(*work, Session("desk"), *more.pop("said", ()), remember, keep=remember, **more)

        looks = {label: call for label, (call, _) in self.late_calls().items() if label.endswith(": 429")}
        return {
            **looks,
            "deliver": lambda desk, http: desk.deliver(made(Delivery, MESSAGE, MESSAGE.content), http),
            "deliver again": lambda desk, http: desk.deliver(
                made(Delivery, MESSAGE, MESSAGE.content, uncertain=True), http
            ),
            "open": lambda desk, http: desk.open(made(Handoff, CONVERSATION, said=(TALK,)), http),
            "media": self.calls()["media"],
        }

    def test_a_failed_look_has_its_kind(self, late: Any, outside: Sink) -> None:
        call, (told, kind, maybe_done, _) = late
        outside.answers(told)
        failure = self.failure(call, outside.url)
        assert (kind, maybe_done) == (failure.kind, failure.maybe_done)

    ANSWERS: ClassVar[dict[str, bytes]] = {
        "nothing": b"",
        "no JSON": b"<html>",
        "an array": b"[]",
        "null": b"null",
        "an empty object": b"{}",
    }

    @pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
    def test_a_message_that_was_taken_with_an_answer_in_riddles_may_be_there(self, body: bytes, place: Place) -> None:
        place.deliver()
        place.line.instead = lambda call: Response(201, {}, body) if call.path.endswith("/Messages") else None
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)

    # --- opening, and crashes on the way ---

    def delivery_deaths(self) -> dict[str, Any]:
        return deaths(self.setups, lambda setup: setup.calls, lambda setup: setup.keeps)

    def test_the_number_of_steps(self, each_place: Place) -> None:
        each_place.deliver()
        expected = (each_place.setup.calls, each_place.setup.keeps)
        assert expected == (len(each_place.line.calls), each_place.kept.count)

    def test_a_crash_on_the_way_doubles_and_skips_nothing(self, death: Any, flex_sandbox: str) -> None:
        setup, moment, number = death
        expected = clean_state(setup, flex_sandbox, "deliver")
        place = Place(setup, flex_sandbox)
        die_at(place, moment, number)
        with pytest.raises(Died):
            place.deliver()
        revive(place)
        answer = place.deliver(uncertain=True)
        assert expected == place.state()
        assert place.marks()[int(str(answer.receipt.external_id).partition("/")[2])] == MESSAGE.id
        assert place.kept.handles == answer.handles
        assert place.kept.handles["ready"] is True
        assert {-1} == set(place.kept.seen)

    def test_a_chat_that_stands_takes_the_next_message_in_one_call(self, each_place: Place) -> None:
        place = each_place
        first = place.deliver()
        before = len(place.line.calls)
        second = place.deliver(MORE)
        looks = 1 if place.desk.ENDS_SILENTLY else 0  # whether the chat is over
        assert 1 + looks == len(place.line.calls) - before
        assert first.handles == second.handles == place.kept.handles
        customers = [said for said in place.said() if said[0] == CUSTOMER]
        assert [(CUSTOMER, "Where is my parcel?"), (CUSTOMER, "To people, please")] == customers

    def test_a_conversation_may_be_the_target(self, flex_sandbox: str) -> None:
        place = Place(next(iter(self.setups.values())), flex_sandbox, {"target": "conversation"})
        place.deliver()
        assert (CONVERSATION, "Where is my parcel?") == place.said()[0]
        assert CONVERSATION == place.kept.handles["identity"]
        assert [CONVERSATION] == [member["identity"] for member in place.chats[0]["members"]]
        assert {"customerAddress": CUSTOMER}.items() <= orjson.loads(place.tasks[0].attributes).items()

    def test_an_open_chat_of_the_customer_is_used_again_and_its_past_is_no_news(self, each_place: Place) -> None:
        place = each_place
        place.deliver()
        chat, hooks, past = place.chat, place.hooks(), len(place.said())
        lost, place.kept = place.kept, Kept()
        assert lost.seen == [-1]
        place.deliver(MORE)
        assert (chat, [past - 1], hooks) == (place.chat, place.kept.seen, place.hooks())
        assert 1 == len(place.chats)
        assert {name for name in lost.handles if name != "task"} <= set(place.kept.handles)
        assert place.check(place.kept.seen[-1]).written == ()

    def test_an_open_chat_of_another_customer_is_left_alone(self, each_place: Place) -> None:
        place = each_place
        place.deliver()
        first, place.kept = place.chat, Kept()
        place.deliver(replace(MESSAGE, id="9" * 32, customer="webchat:v82"))
        assert first != place.chat
        assert CUSTOMER not in [author for author, _ in place.said()]

    def test_the_customer_without_a_profile_is_his_address(self, place: Place) -> None:
        place.deliver(replace(MESSAGE, profile=None))
        attributes = orjson.loads(place.tasks[0].attributes)
        assert {"customerName": CUSTOMER, "name": CUSTOMER}.items() <= attributes.items()
        assert "email" not in attributes
        assert f"shop {CUSTOMER}" == place.chats[0]["friendly_name"]

    def test_what_the_configuration_adds_to_a_task(self, flex_sandbox: str) -> None:
        more = {"task_attributes": {"shop": "north", "channel": "mine"}, "pre_engagement": {"page": "/parcels"}}
        place = Place(next(iter(self.setups.values())), flex_sandbox, more)
        place.deliver()
        attributes = orjson.loads(place.tasks[0].attributes)
        assert ("north", "mine", "ada@example.test", "GB") == tuple(
            attributes[name] for name in ("shop", "channel", "email", "country")
        )
        known = orjson.loads(place.chats[0]["attributes"])["pre_engagement_data"]
        assert {"friendlyName": "Ada Lovelace", "page": "/parcels", "locale": "en-GB"}.items() <= known.items()

    def test_names_are_cut_to_what_is_allowed(self, flex_sandbox: str) -> None:
        more = {"chat_name": "{channel}/{address}/{name}/" + "x" * 400}
        place = Place(next(iter(self.setups.values())), flex_sandbox, more)
        place.deliver()
        assert f"shop/{CUSTOMER}/Ada Lovelace/".ljust(256, "x") == place.chats[0]["friendly_name"]

    def test_what_the_platform_can_do(self) -> None:
        can = self.build().capabilities
        assert (True, True, True, 1_600, frozenset({"text", "attachment"}), frozenset()) == (
            can.resend_safe, can.statuses, can.people, can.text_limit, can.contents, can.described,
        )  # fmt: skip

    def test_settings_become_what_the_workers_ask_for(self) -> None:
        desk = self.build(session_timeout=60, check_every=7, ended_text="Goodbye")
        assert (60, 7, "Goodbye", None, "send") == (
            desk.session_timeout, desk.watch, desk.farewell, desk.deadline, desk.late,
        )  # fmt: skip
        assert (86_400, 300, None) == (self.build().session_timeout, self.build().watch, self.build().farewell)

    # --- messages ---

    def test_a_message_says_who_and_which_and_wakes_the_webhooks(self, place: Place) -> None:
        place.deliver()
        answer = place.deliver(MORE)
        call = next(call for call in reversed(place.line.calls) if call.method == "POST")
        assert [
            (self.author_field, CUSTOMER),
            ("Attributes", '{"patchbay":{"id":"' + MORE.id + '"}}'),
            ("Body", "To people, please"),
        ] == call.form
        assert {"x-twilio-webhook-enabled": "true"} == call.headers
        assert (f"{place.chat}/1", "sent") == (answer.receipt.external_id, answer.receipt.status)
        assert [MESSAGE.id, MORE.id] == place.marks()

    def test_a_message_that_may_be_there_is_looked_for_first(self, place: Place) -> None:
        place.deliver()
        first, number = place.deliver(MORE), len(place.line.calls)
        again = place.deliver(MORE, uncertain=True)
        assert first.receipt == again.receipt
        assert {"GET"} == {made.partition(" ")[0] for made in place.line.made[number:]}
        place.deliver(replace(MORE, id="7" * 32), uncertain=True)
        assert [MESSAGE.id, MORE.id, "7" * 32] == place.marks()

    def test_a_message_that_is_there_is_found_among_many_others(self, place: Place) -> None:
        place.deliver()
        place.deliver(MORE)
        for number in range(40):
            place.api_says(AGENT, f"{number}")
        place.deliver(MORE, uncertain=True)
        assert 1 == place.marks().count(MORE.id)

    def test_a_lost_answer_is_a_message_that_may_be_there(self, place: Place, flex_sandbox: str) -> None:
        place.deliver()
        fault = {"target": "flex", "kind": "close_after", "path": "/Messages", "method": "POST"}
        assert requests.post(f"{flex_sandbox}/faults", json=fault, timeout=5).ok
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert raised.value.maybe_done
        place.deliver(MORE, uncertain=True)
        assert [MESSAGE.id, MORE.id] == place.marks()

    def test_a_long_text_comes_in_pieces_in_order(self, place: Place) -> None:
        long = Text(" ".join(["word"] * 900))
        parts = render(long, place.desk.capabilities)
        assert [1600, 1600, 1299] == [len(part.text) for part in parts if isinstance(part, Text)]
        for number, part in enumerate(parts):
            place.deliver(content=part, part=number)
        assert [(CUSTOMER, part.text) for part in parts if isinstance(part, Text)] == place.said()
        assert [MESSAGE.id, derived_id(MESSAGE.id, 1), derived_id(MESSAGE.id, 2)] == place.marks()

    def test_a_place_and_a_description_become_words(self, place: Place) -> None:
        caption = Attachment("image", "https://cdn.example.test/a.png", description="The door")
        parts = [part for c in (Location(1.5, 2.5, "Here"), caption) for part in render(c, place.desk.capabilities)]
        assert [Text("Here (1.5, 2.5)"), replace(caption, description=None), Text("The door")] == parts

    # --- files of the customer ---

    def test_a_file_goes_up_and_its_name_along(self, place: Place, outside: Sink) -> None:
        outside.answers(Told(200, b"picture", {"Content-Type": "image/gif"}))
        place.line = Line(place.url, [outside.url])
        for mime, name in (("image/png", "a b.png"), (None, None)):
            file = Attachment("image", f"{outside.url}/a.png", mime, name)
            place.deliver(replace(MESSAGE, id=derived_id("x", name)), file)
        media = seen(place.url)["media"]
        assert [("image/png", "a b.png", 7), ("image/gif", None, 7)] == [
            (one["content_type"], one["filename"], one["size"]) for one in media
        ]
        assert [one["sid"] for one in media] == [one["media_sid"] for one in place.chats[0]["messages"]]
        assert [(CUSTOMER, None), (CUSTOMER, None)] == place.said()
        assert "authorization" not in outside.calls[0].headers

    def test_a_file_behind_a_link_of_ours_goes_up_from_where_that_leads(self, place: Place, outside: Sink) -> None:
        outside.answers(Told(302, b"", {"Location": "/at-its-platform"}), Told(200, b"picture"))
        place.line._strict = Http(files=[place.url, outside.url])._strict
        place.deliver(content=Attachment("image", f"{outside.url}/channels/wa/media/x", "image/jpeg"))
        assert [("image/jpeg", 7)] == [(one["content_type"], one["size"]) for one in seen(place.url)["media"]]
        assert ["/channels/wa/media/x", "/at-its-platform"] == [call.path for call in outside.calls]

    FITTING: ClassVar[dict[str, tuple[Attachment, str]]] = {
        "with its name": (Attachment("file", A_LINK, file_name="a.zip"), f"a.zip: {A_LINK}"),
        "its name too long beside it": (Attachment("file", A_LINK, file_name="a" * 200), A_LINK),
        "too long itself": (
            Attachment("file", A_LINK + "x" * 100, file_name="a.zip"),
            "The customer sent a file, but its link is too long to be shown here: a.zip",
        ),
        "too long, without a name": (
            Attachment("video", A_LINK + "x" * 100),
            "The customer sent a file, but its link is too long to be shown here: video",
        ),
    }

    @pytest.mark.parametrize(("file", "body"), FITTING.values(), ids=FITTING)
    def test_a_file_is_heard_of_however_long_its_link(self, file: Attachment, body: str, flex_sandbox: str) -> None:
        place = Place(next(iter(self.setups.values())), flex_sandbox, {"media": "link"})
        place.deliver(content=file)
        assert [(CUSTOMER, body)] == place.said()

    def test_a_text_in_emoji_is_cut_by_utf16_units_and_between_them(self, place: Place) -> None:
        text = "👩‍👧" * 400
        parts = render(Text(text), place.desk.capabilities)
        said = [part.text for part in parts if isinstance(part, Text)]
        assert text == "".join(said)
        assert ["👩‍👧" * 320, "👩‍👧" * 80] == said  # five units each

    LINKS: ClassVar[dict[str, tuple[Told, dict[str, Any]]]] = {
        "it is not there": (Told(404), {}),
        "its host is ill": (Told(503), {}),
        "its host hangs up": (Told(drop=True), {}),
        "it is moved around without end": (Told(302, b"", {"Location": "/b.png"}), {}),
        "it is too large": (Told(200, b"x" * (16 * 1024 * 1024 + 1)), {}),
        "it is empty": (Told(200, b""), {}),
        "its type is refused": (Told(200, b"x"), {"mime_type": FORM}),
        "its type cannot be sent": (Told(200, b"x"), {"mime_type": "image/png\r\nx: y"}),
        "its type is no ASCII": (Told(200, b"x"), {"mime_type": "bild/größe👍"}),
        "files are to be links": (Told(200, b"x"), {"media": "link"}),
    }

    @pytest.mark.parametrize(("told", "more"), LINKS.values(), ids=LINKS)
    def test_a_file_that_cannot_be_brought_goes_as_its_link(
        self, told: Told, more: dict[str, Any], flex_sandbox: str, outside: Sink
    ) -> None:
        changes = {"media": more["media"]} if "media" in more else {}
        place = Place(next(iter(self.setups.values())), flex_sandbox, changes)
        place.line = Line(place.url, [outside.url])
        outside.answers(told)
        url = f"{outside.url}/a.png"
        place.deliver(content=Attachment("image", url, more.get("mime_type"), "a.png"))
        assert [(CUSTOMER, f"a.png: {url}")] == place.said()
        assert seen(place.url)["media"] == []
        tries = 1 + MOST_MOVES if told.status == 302 else 1
        assert (0 if more.get("media") == "link" else tries) == len(outside.calls)

    @pytest.mark.parametrize("trusted", [False, True], ids=["inside", "a host of the configuration"])
    def test_a_file_on_an_address_of_ours_is_not_fetched_for_a_customer(
        self, trusted: bool, place: Place, outside: Sink
    ) -> None:
        if trusted:
            place.line._transport = Http([place.url, outside.url])._transport
            assert place.line.request("GET", outside.url, timeout=5).ok
            outside.calls.clear()
        place.deliver(content=Attachment("file", f"{outside.url}/admin?do=x"))
        assert [(CUSTOMER, f"{outside.url}/admin?do=x")] == place.said()
        assert ([], []) == (outside.calls, seen(place.url)["media"])

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_media_service_that_is_ill_is_waited_for(self, status: int, place: Place, outside: Sink) -> None:
        place.line = Line(place.url, [outside.url])
        place.line.instead = failing(status, "POST", "/Media")
        with pytest.raises(Failure) as raised:
            place.deliver(content=Attachment("file", f"{outside.url}/a"))
        assert raised.value.kind.retry
        assert place.said() == []

    # --- chats that are gone ---

    def test_a_chat_that_vanished_is_opened_anew_and_gets_the_message(self, each_place: Place) -> None:
        place = each_place
        place.deliver()
        first, number = place.chat, len(place.line.calls)
        self.delete(place)
        answer = place.deliver(MORE)
        # refused, looked at, and then the whole way; a chat that was made just now is not looked at again
        again = 1 if self.adapter_class.ENDS_SILENTLY else 0
        assert 2 + place.setup.calls - again == len(place.line.calls) - number
        assert first != place.chat
        assert f"{place.chat}/0" == answer.receipt.external_id
        assert (CUSTOMER, "To people, please") == place.said()[0]
        assert len(place.hooks()) == len({str(hook) for hook in place.hooks()}) > 0
        assert [-1, -1] == place.kept.seen

    def test_a_message_refused_by_an_open_chat_is_a_failure(self, place: Place) -> None:
        place.deliver()
        chat = place.chat
        place.line.instead = failing(400, "POST", "/Messages")
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert errors.REJECTED == raised.value.kind
        assert (chat, 1) == (place.chat, len(place.chats))

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_a_sick_platform_is_no_lost_chat(self, status: int, place: Place) -> None:
        place.deliver()
        number = len(place.line.calls)
        place.line.instead = failing(status, "POST", "/Messages")
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert raised.value.kind.retry
        assert 1 == len(place.line.calls) - number

    def delete(self, place: Place) -> None:
        if place.is_chat:
            place.twilio.flex_api.v1.channel(place.chat).delete()
        else:
            place.resource().delete()

    # --- handoff ---

    def handoff_deaths(self) -> dict[str, Any]:
        """The opening has neither a delivery's message nor the look after it; then four messages, each remembered."""
        less = 2 if self.adapter_class.ENDS_SILENTLY else 1
        return deaths(self.setups, lambda s: s.calls - less + len(TALK), lambda s: s.keeps + len(TALK))

    def test_a_handoff_shows_what_was_said_and_known(self, each_place: Place) -> None:
        place = each_place
        answer = place.open(*TALK, memory={"order": "M-PB 1"})
        assert place.kept.handles == answer.handles
        assert {"chat": place.chat, "told": LAST.id} == place.kept.progress
        expected = [
            (CUSTOMER, "Where is my parcel?"),
            ("helper", "Good day!"),
            (CUSTOMER, "To people, please"),
            ("helper", "I fetch somebody."),
        ]
        assert expected == [said for said in place.said() if said[0] != "Studio"]
        said = [call for call in place.line.calls if call.method == "POST" and call.path.endswith("/Messages")]
        assert ["false", "false", "true", "false"] == [call.headers["x-twilio-webhook-enabled"] for call in said]
        assert [m.id for m in TALK] == [mark for mark in place.marks() if mark]
        assert 1 == len(place.tasks)
        if "studio" not in str(place.setup.values):
            attributes = orjson.loads(place.tasks[0].attributes)
            assert {"order": "M-PB 1"} == attributes["memory"]
            assert [
                {"author": "customer", "text": "Where is my parcel?"},
                {"author": "bot", "text": "Good day!"},
                {"author": "customer", "text": "To people, please"},
                {"author": "bot", "text": "I fetch somebody."},
            ] == attributes["transcript"]

    def test_a_crash_in_a_handoff_doubles_and_skips_nothing(self, handoff_death: Any, flex_sandbox: str) -> None:
        setup, moment, number = handoff_death
        expected = clean_state(setup, flex_sandbox, "open")
        place = Place(setup, flex_sandbox)
        die_at(place, moment, number)
        with pytest.raises(Died):
            place.open(*TALK, memory={"order": "M-PB 1"})
        revive(place)
        place.open(*TALK, memory={"order": "M-PB 1"}, uncertain=True)
        assert expected == place.state()

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_handoff_that_stopped_within_a_message_does_not_repeat_its_parts(
        self, status: int, each_place: Place
    ) -> None:
        place = each_place
        talk = (REPLY, replace(MESSAGE, content=Text("a" * 1_600 + "b" * 9)), LAST)
        place.line.instead = failing_at(2, status)
        with pytest.raises(Failure) as raised:
            place.open(*talk)
        assert not raised.value.maybe_done
        assert {"chat": place.chat, "told": REPLY.id} == place.kept.progress
        place.open(*talk, uncertain=raised.value.maybe_done)
        told = [body for author, body in place.said() if author != "Studio"]
        assert ["Good day!", "a" * 1_600, "b" * 9, "I fetch somebody."] == told
        assert 1 == len(place.tasks)

    WINDOWS: ClassVar[dict[str, tuple[tuple[Message, ...], list[Message]]]] = {
        "it grew": ((*TALK, replace(MESSAGE, id="b" * 32)), [*TALK, replace(MESSAGE, id="b" * 32)]),
        "it moved on": ((MORE, LAST), list(TALK)),
        "it moved beyond what was told": ((LAST,), [MESSAGE, REPLY, LAST]),
        "it holds what was told alone": ((MESSAGE, REPLY), [MESSAGE, REPLY]),
    }

    @pytest.mark.parametrize(("window", "expected"), WINDOWS.values(), ids=WINDOWS)
    def test_a_handoff_goes_on_behind_the_last_message_that_was_told(
        self, window: tuple[Message, ...], expected: list[Message], place: Place
    ) -> None:
        place.line.instead = failing_at(2, 503)
        with pytest.raises(Failure):
            place.open(*TALK)
        assert {"chat": place.chat, "told": REPLY.id} == place.kept.progress
        place.open(*window)
        assert [message.id for message in expected] == place.marks()

    def test_what_was_told_in_a_chat_that_vanished_is_told_anew(self, place: Place) -> None:
        place.line.instead = failing_at(2, 503)
        with pytest.raises(Failure):
            place.open(*TALK)
        self.delete(place)
        place.open(*TALK)
        assert [message.id for message in TALK] == place.marks()

    # --- what a task knows ---

    def told_task(self, place: Place) -> dict[str, Any]:
        """The attributes that the last task was ordered with."""
        field = "TaskAttributes" if place.is_chat else "Routing"
        ordered = [dict(call.form)[field] for call in place.line.calls if field in dict(call.form)][-1]
        found = orjson.loads(ordered)
        attributes: dict[str, Any] = found if place.is_chat else found["properties"]["attributes"]
        return attributes

    @pytest.mark.parametrize("limit", [500, 4_000])
    @pytest.mark.parametrize("word", ["x", "ш", "👍"])
    def test_a_task_holds_as_much_as_its_limit_allows_and_the_newest_words(
        self, word: str, limit: int, flex_sandbox: str
    ) -> None:
        place = Place(next(iter(self.setups.values())), flex_sandbox, {"attributes_limit": limit})
        talk = [replace(MESSAGE, id=f"{n:032}", content=Text(f"{n} {word * 9}")) for n in range(400)]
        place.open(*talk[-100:], memory={"order": "1001"})
        attributes = self.told_task(place)
        size = len(orjson.dumps(attributes))
        line = len(orjson.dumps({"author": "customer", "text": talk[-1].content.text})) + 1  # type: ignore[union-attr]
        assert limit - line - SLACK < size <= limit
        assert {"order": "1001"} == attributes["memory"]
        shown = [line["text"].partition(" ")[0] for line in attributes["transcript"]]
        assert [str(n) for n in range(400 - len(shown), 400)] == shown
        assert [m.id for m in talk[-100:]] == place.marks()

    def test_a_memory_that_is_too_large_is_left_out_and_the_words_stay(self, place: Place) -> None:
        place.open(*TALK, memory={"order": "ш" * 2_000})
        attributes = self.told_task(place)
        assert "memory" not in attributes
        assert 4 == len(attributes["transcript"])

    def test_no_try_is_named_in_a_task(self, place: Place) -> None:
        place.deliver()
        assert "patchbayOpening" not in str(self.told_task(place))

    def test_a_chat_that_is_opened_for_a_message_knows_what_the_bot_knew(self, place: Place) -> None:
        place.context = {"order": "M-PB 1"}
        place.open(*TALK, memory=place.context)
        self.delete(place)
        place.deliver(replace(MORE, id="9" * 32))
        attributes = self.told_task(place)
        assert ({"order": "M-PB 1"}, False) == (attributes["memory"], "transcript" in attributes)

    def test_a_long_transcript_is_told_in_full_and_cut_in_the_task(self, place: Place) -> None:
        long = [replace(MESSAGE, id=f"{n:032}", content=Text(f"{n}" * 1_000)) for n in range(1, 6)]
        place.open(*long)
        assert [m.id for m in long] == place.marks()
        shown = orjson.loads(place.tasks[0].attributes)["transcript"]
        assert ["3", "4", "5"] == [line["text"][0] for line in shown]

    def test_words_too_long_for_a_message_are_told_in_parts(self, place: Place) -> None:
        place.open(replace(MESSAGE, content=Text("x" * 1_700)), REPLY)
        assert [1_600, 100, 9] == [len(body or "") for _, body in place.said()]
        assert [MESSAGE.id, derived_id(MESSAGE.id, 1), REPLY.id] == place.marks()

    def test_a_handoff_with_nothing_said_opens_a_chat(self, place: Place) -> None:
        place.open()
        assert (1, []) == (len(place.chats), place.said())
        assert f"shop {CUSTOMER}" == place.chats[0]["friendly_name"]

    def test_each_handoff_has_a_chat_of_its_own_once_the_last_is_over(self, place: Place) -> None:
        place.open(*TALK)
        first = place.chat
        place.close("customer")
        place.kept = Kept()
        place.deliver(MORE)
        assert first != place.chat

    # --- reports ---

    def test_what_the_customer_read_moves_his_horizon_and_never_back(self, place: Place) -> None:
        place.deliver()
        place.accept()
        for text in "abc":
            place.agent_says(text)
        assert place.horizon() is None
        for index, expected in ((0, 0), (2, 2), (1, 2), (2, 2), (3, 3), (0, 3)):
            place.report("read", index)
            assert expected == place.horizon()
        moved = [call for call in place.line.posts if "/Members/" in call or "/Participants/" in call]
        assert 3 == len(moved)

    def test_a_failure_is_told_to_the_agent_once(self, place: Place) -> None:
        place.deliver()
        for uncertain in (False, True):
            place.report("failed", 0, "63016: too late", uncertain=uncertain)
        assert ("system", "The customer could not be reached: 63016: too late") == place.said()[-1]
        assert [MESSAGE.id, derived_id(REPLY.id, "failed")] == place.marks()
        assert place.check(0).written == ()

    def test_a_failure_without_a_reason_and_one_that_is_long(self, place: Place) -> None:
        place.deliver()
        place.report("failed")
        assert ("system", "The customer could not be reached: no reason was given") == place.said()[-1]
        place.kept.handles["chat"] = place.chat
        other = replace(REPLY, id="8" * 32, metadata={"chat": place.chat, "index": 0})
        place.desk.report(StatusReport(other, "failed", "x" * 3_000, 1, place.kept.handles), place.line)
        assert 1_600 == len(place.said()[-1][1] or "")
        last = replace(REPLY, id="7" * 32, metadata={"chat": place.chat, "index": 0})
        place.desk.report(StatusReport(last, "failed", "x" * 1_562 + "🇩🇪", 1, place.kept.handles), place.line)
        assert "The customer could not be reached: " + "x" * 1_562 == place.said()[-1][1]

    def test_a_long_name_is_cut_wherever_it_is_told(self, place: Place) -> None:
        name = "👩‍👧" * 85
        place.open(replace(MESSAGE, profile=Profile(name)))
        attributes = self.told_task(place)
        assert "👩‍👧" * 23 == attributes["name"] == attributes["customerName"]

    SILENT: ClassVar[dict[str, dict[str, Any]]] = {
        "sent": {"status": "sent"},
        "delivered": {"status": "delivered"},
        "read in another chat": {"status": "read", "chat": NONE},
        "failed in another chat": {"status": "failed", "chat": NONE},
        "failed after the session": {"status": "failed", "handles": {}},
        "read while a new chat is half open": {"status": "read", "handles": {"chat": CH}, "chat": CH},
        "read, but no number is known": {"status": "read", "index": None},
    }

    @pytest.mark.parametrize("report", SILENT.values(), ids=SILENT)
    def test_no_call_is_made_for(self, report: dict[str, Any], place: Place) -> None:
        place.deliver()
        number = len(place.line.calls)
        place.report(**report)
        assert number == len(place.line.calls)

    def test_a_report_for_a_chat_that_vanished_is_nobodys(self, place: Place) -> None:
        place.deliver()
        self.delete(place)
        place.report("read", 0)
        place.report("failed", 0)
        assert place.chats == []

    # --- looks ---

    def test_a_look_brings_what_was_missed_in_order_and_drops_echoes(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.agent_says("one")
        place.api_says(CUSTOMER, "not marked")
        place.api_says("webchat_3Av81", "not marked either")
        place.agent_sends("two")
        place.api_says("system", "three")
        place.deliver(MORE)
        checkup = place.check(0)
        assert [
            ("agent", Text("one"), 1),
            ("agent", Text("two"), 4),
            ("agent", "map.png", 4),
            ("system", Text("three"), 5),
        ] == [
            (w.author, w.content.file_name if isinstance(w.content, Attachment) else w.content, w.index)
            for w in checkup.written
        ]
        assert {place.chat} == {w.alias for w in checkup.written}
        assert [False, True, False, False] == [w.more for w in checkup.written]
        assert [{"chat": place.chat, "index": i} for i in (1, 4, 4, 5)] == [w.metadata for w in checkup.written]
        assert (6, -1, False) == (checkup.seen, checkup.read, checkup.over)
        assert [w.index for w in place.check(1).written] == [4, 4, 5]
        assert place.check(6).written == ()
        assert ((), 6) == (place.check(None).written, place.check(None).seen)

    def test_a_look_and_a_webhook_give_the_same_message_the_same_name(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.agent_sends("two")
        (sid,) = [m["sid"] for m in place.chats[0]["messages"] if m["body"] == "two"]
        assert [sid, f"{sid}/1"] == [written.external_id for written in place.check(0).written]

    def test_a_look_reads_more_than_one_page(self, place: Place) -> None:
        place.deliver()
        for number in range(130):
            place.api_says(AGENT, str(number))
        checkup = place.check(0)
        assert [Text(str(number)) for number in range(130)] == [written.content for written in checkup.written]
        assert 130 == checkup.seen

    def test_a_look_at_an_empty_chat(self, place: Place) -> None:
        place.open()
        assert Checkup() == place.check()

    def test_a_look_tells_how_far_agents_read_and_not_the_customer(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.deliver(MORE)
        place.report("read", 1)
        assert -1 == place.check().read
        place.act(f"chats/{place.chat}/read")
        assert 1 == place.check().read

    def test_a_chat_that_ended_is_over_and_its_last_words_are_brought(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.agent_says("Goodbye")
        place.act(f"chats/{place.chat}/end")
        checkup = place.check(0)
        assert ([Text("Goodbye")], True) == ([written.content for written in checkup.written], checkup.over)

    def test_a_chat_that_vanished_or_never_stood_is_over(self, place: Place) -> None:
        place.kept.dies_after = 0
        with pytest.raises(Died):
            place.deliver()
        number = len(place.line.calls)
        assert Checkup(over=True) == place.check()
        assert number == len(place.line.calls)
        revive(place)
        place.deliver(uncertain=True)
        assert not place.check().over
        self.delete(place)
        assert Checkup(over=True) == place.check()

    # --- ends ---

    @pytest.mark.parametrize("who", ["customer", "silence"])
    def test_a_close_ends_the_chat_and_takes_the_webhooks_away(self, who: Who, each_place: Place) -> None:
        place = each_place
        place.deliver()
        place.close(who)
        assert place.is_over()
        assert [] == [hook for hook in place.hooks() if "url" in hook]
        before = place.state()
        place.close(who)
        assert before == place.state()

    FLOWS_TASKS: ClassVar[dict[str, tuple[tuple[str, ...], str]]] = {
        "nobody has it": ((), "canceled"),
        "somebody has it": (("accept",), "completed"),
        "it is over": (("accept", "complete"), "completed"),
    }

    @pytest.mark.parametrize(("moves", "expected"), FLOWS_TASKS.values(), ids=FLOWS_TASKS)
    @pytest.mark.parametrize("who", ["customer", "silence"])
    def test_a_task_that_a_flow_made_ends_with_its_chat(
        self, who: Who, moves: tuple[str, ...], expected: str, flex_sandbox: str
    ) -> None:
        place = Place(self.setups["studio"], flex_sandbox, self.by_flow)
        place.deliver()
        for move in moves:
            place.act(f"tasks/{place.tasks[0].sid}/{move}")
        assert not place.kept.handles.get("task")
        place.close(who)
        assert ([expected], True) == ([task.assignment_status for task in place.tasks], place.is_over())
        ended = [call for call in place.line.calls if call.method == "POST" and "/Tasks/" in call.path]
        assert (0 if "complete" in moves else 1) == len(ended)

    def test_a_flows_task_of_another_chat_is_left_alone(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox, self.by_flow)
        place.deliver()
        place.kept = Kept()
        place.deliver(replace(MESSAGE, id="9" * 32, customer="webchat:v82"))
        place.close()
        assert ["pending", "canceled"] == [task.assignment_status for task in place.tasks]

    def test_without_a_workspace_no_task_is_asked_for(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
        place.deliver()
        place.close()
        assert (True, "pending") == (place.is_over(), place.tasks[0].assignment_status)
        assert [] == [call for call in place.line.made if "taskrouter" in call or "Workspaces" in call]

    def test_an_end_over_there_takes_the_webhooks_away_and_leaves_the_task(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.end_over_there()
        place.close("platform")
        assert [] == place.hooks()
        assert "assigned" == place.tasks[0].assignment_status

    @pytest.mark.parametrize("who", ["customer", "silence", "platform"])
    def test_everything_gone_already_is_no_error(self, who: Who, each_place: Place) -> None:
        place = each_place
        place.deliver()
        self.delete(place)
        place.close(who)
        assert place.chats == []

    def test_a_session_without_a_chat_has_nothing_to_close(self, place: Place) -> None:
        place.close()
        assert not place.desk.abandon(place.session, place.line)
        assert place.line.calls == []

    def test_a_half_open_chat_is_taken_down_and_an_open_one_left(self, death: Any, flex_sandbox: str) -> None:
        setup, moment, number = death
        place = Place(setup, flex_sandbox)
        die_at(place, moment, number)
        with pytest.raises(Died):
            place.deliver()
        revive(place)
        stands, half = bool(place.kept.handles.get("ready")), bool(place.kept.handles)
        assert (half and not stands) == place.desk.abandon(place.session, place.line)
        if half:
            assert stands == bool(place.chats)
        if half and not stands:
            assert [] == [task for task in place.tasks if task.assignment_status == "pending"]
            assert place.desk.abandon(place.session, place.line)

    @pytest.mark.parametrize("who", ["", "platform", "customer"])
    def test_a_chat_that_was_found_open_ends_with_its_task_and_keeps_what_was_said_in_it(
        self, who: Any, place: Place
    ) -> None:
        place.deliver()
        place.accept()
        place.agent_says("I am with you")
        place.kept = Kept()
        place.kept.dies_before = 1
        with pytest.raises(Died):
            place.deliver(MORE)
        assert not place.is_over()
        self.give_up(place, who)
        assert [(CUSTOMER, "Where is my parcel?"), (AGENT, "I am with you")] == place.said()
        assert (True, "completed") == (place.is_over(), place.tasks[0].assignment_status)

    @pytest.mark.parametrize("who", ["", "platform", "customer"])
    @pytest.mark.parametrize("name", ["first", "studio"])
    def test_a_fresh_chat_in_which_somebody_spoke_before_it_stood_is_ended(
        self, name: str, who: Any, flex_sandbox: str
    ) -> None:
        place = Place(self.setups.get(name, next(iter(self.setups.values()))), flex_sandbox)
        place.line.instead = failing(400, "POST", "/Webhooks")
        with pytest.raises(Failure):
            place.deliver()
        place.api_says(AGENT, "Hello, how can I help you?")
        assert not place.kept.handles.get("ready")
        self.give_up(place, who)
        assert [(AGENT, "Hello, how can I help you?")] == place.said()
        assert place.is_over()
        assert [] == [task for task in place.tasks if task.assignment_status == "pending"]
        before = place.state()
        self.give_up(place, who)
        assert before == place.state()

    def test_the_next_message_after_that_opens_another_chat(self, place: Place) -> None:
        place.line.instead = failing(400, "POST", "/Webhooks")
        with pytest.raises(Failure):
            place.deliver()
        place.api_says(AGENT, "Hello")
        first = place.chat
        self.give_up(place, "")
        place.line.instead, place.kept = (lambda call: None), Kept()
        place.deliver(replace(MORE, id="9" * 32))
        assert first != place.chat
        assert [(CUSTOMER, "To people, please")] == place.said()

    @pytest.mark.parametrize("who", ["", "platform", "customer"])
    def test_a_fresh_chat_in_which_nobody_spoke_is_deleted(self, who: Any, place: Place) -> None:
        place.line.instead = failing(400, "POST", "/Webhooks")
        with pytest.raises(Failure):
            place.deliver()
        assert 1 == len(place.chats)
        self.give_up(place, who)
        assert [] == place.chats
        assert [] == [task for task in place.tasks if task.assignment_status == "pending"]

    @staticmethod
    def give_up(place: Place, who: Any) -> None:
        """With the session's end, or because the opening failed for good."""
        if who:
            place.close(who)
        else:
            assert place.desk.abandon(place.session, place.line)

    def test_a_close_takes_a_half_open_chat_down(self, place: Place) -> None:
        place.kept.dies_after = 1
        with pytest.raises(Died):
            place.deliver()
        place.close("platform")
        assert place.chats == []

    # --- files of agents ---

    def agents_file(self, place: Place) -> Attachment:
        place.deliver()
        place.accept()
        place.agent_sends()
        (written,) = place.check(0).written
        assert isinstance(written.content, Attachment)
        return written.content

    def test_a_link_to_an_agents_file_leads_to_where_it_is_now(self, place: Place) -> None:
        file = self.agents_file(place)
        assert file.url.startswith(f"{CALLBACK}/media/")
        where = place.desk.media(file.url.rpartition("/")[2], place.line)
        assert requests.get(where, timeout=5).content == b"picture"
        assert ("image", "image/png", "map.png") == (file.kind, file.mime_type, file.file_name)

    def test_a_link_that_is_not_ours_leads_nowhere(self, place: Place) -> None:
        token = self.agents_file(place).url.rpartition("/")[2]
        values = {**place.setup.values, **addresses(self.adapter_class, place.url)}
        values |= {"flex_flow_sid": "FO" + "0" * 32} if place.is_chat else {}
        settings = {**self.adapter_class.Settings().load(values), "callback": CALLBACK}
        others = {
            "another destination": self.adapter_class("other", settings),
            "another account": built(self.adapter_class, {**values, "auth_tokens": [OLD]}),
        }
        for other in others.values():
            with pytest.raises(Unverified):
                other.media(token, place.line)
        for forged in ("", "x", token[:-1], token + "x", "." + token, token.upper(), "é"):
            with pytest.raises(Unverified):
                place.desk.media(forged, place.line)

    def test_a_link_outlives_a_rotation_of_tokens(self, place: Place) -> None:
        token = self.agents_file(place).url.rpartition("/")[2]
        values = {**place.setup.values, **addresses(self.adapter_class, place.url), "auth_tokens": [OLD, TOKEN]}
        values |= {"flex_flow_sid": "FO" + "0" * 32} if place.is_chat else {}
        rotated = built(self.adapter_class, values)
        place.line.instead = lambda call: Response(200, {}, b'{"links":{"content_direct_temporary":"https://a"}}')
        assert "https://a" == rotated.media(token, place.line)

    def test_a_link_expires(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        token = self.agents_file(place).url.rpartition("/")[2]
        now = place.desk._media.links._signer.make_signer().get_timestamp()
        for after, good in ((7 * 86_400 - 5, True), (7 * 86_400 + 5, False)):
            monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self, a=after: now + a)
            if good:
                assert place.desk.media(token, place.line)
            else:
                with pytest.raises(Unverified):
                    place.desk.media(token, place.line)

    @pytest.mark.parametrize("body", [b"{}", b'{"links":null}', b'{"links":{}}', b'{"links":[]}'])
    def test_a_file_of_which_twilio_does_not_say_where_it_is(self, body: bytes, place: Place) -> None:
        token = self.agents_file(place).url.rpartition("/")[2]
        place.line.instead = lambda call: Response(200, {}, body)
        with pytest.raises(Failure) as raised:
            place.desk.media(token, place.line)
        assert errors.UNPARSEABLE == raised.value.kind


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
