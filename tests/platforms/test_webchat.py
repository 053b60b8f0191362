"""Channel `webchat`: who speaks is decided by the visitor's token alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from app.core.errors import Unverified
from app.core.events import Accepted, Ended, Event, Receipt, Reported, Typing, Webhook, Written
from app.core.message import Message, Profile, Text
from app.http import Http
from app.platforms.channel import Ends, GivesTokens, HasChatPage, Outgoing, Types
from app.platforms.offers import Reports
from app.platforms.webchat import SALT, WebchatChannel
from tests.platforms.conformance import Receiving, changed, post
from tests.support import fixtures

OLD, NEW = "chat-secret-0001-32-characters-x", "chat-secret-0002-32-characters-x"
VISITOR = "v15it0r"
NAMELESS = Profile(name=f"Visitor {VISITOR[-6:]}")


def token(secret: str = OLD, name: str = "desk", visitor: object = VISITOR) -> str:
    made = URLSafeTimedSerializer(secret, salt=f"{SALT}-{name}").dumps(visitor)
    return made if isinstance(made, str) else made.decode()


class TestWebchatChannel(Receiving):
    adapter_class = WebchatChannel
    platform = "webchat"
    good = "message_text"
    values: ClassVar[dict[str, Any]] = {"type": "webchat", "secrets": [OLD], "destination": "helper"}

    def sign(self, body: bytes, **changes: Any) -> Webhook:
        return post("/channels/desk", body, {"authorization": f"Bearer {token(**changes)}"})

    def rotated(self) -> WebchatChannel:
        adapter: WebchatChannel = self.build(secrets=[NEW, OLD])
        adapter.verify(self.sign(b"{}", secret=NEW))
        return adapter

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        return {
            "no header": lambda good: changed(good, authorization=None),
            "no token": lambda good: changed(good, authorization="Bearer "),
            "another scheme": lambda good: changed(good, authorization=f"Basic {token()}"),
            "only the token": lambda good: changed(good, authorization=token()),
            "another secret": lambda good: self.sign(good.body, secret="chat-secret-9999-32-characters-x"),
            "another chat's token": lambda good: self.sign(good.body, name="other"),
            "a cut token": lambda good: changed(good, authorization=f"Bearer {token()[:-1]}"),
            "a changed visitor": lambda good: changed(good, authorization=f"Bearer x{token()}"),
            "nonsense": lambda good: changed(good, authorization="Bearer ü.ü.ü"),
        }

    def bad_bodies(self) -> dict[str, tuple[Any, str]]:
        good = fixtures.value("webchat", "message_text")
        data = good["data"]
        return {
            "no type": ({"data": data}, "type"),
            "data is a word": ({**good, "data": "hi"}, "data"),
            "no id": ({**good, "data": {"content": data["content"]}}, "data.id"),
            "an id too long": ({**good, "data": {**data, "id": "x" * 257}}, "data.id"),
            "no content": ({**good, "data": {"id": "1"}}, "data.content"),
            "an empty text": ({**good, "data": {**data, "content": {"type": "text", "text": ""}}}, "data.content.text"),
            "a status that visitors cannot know": (
                {"type": "message.status", "data": {"message_id": "m", "status": "failed"}},
                "data.status",
            ),
        }


def channel(**changes: Any) -> WebchatChannel:
    built: WebchatChannel = TestWebchatChannel().build(**changes)
    return built


def sign(name: str) -> Webhook:
    return TestWebchatChannel().sign(fixtures.raw("webchat", name))


READ: dict[str, Event] = {
    "message_text": Written(
        Text("Grüß Gott!"),
        external_id="b5a0c9f2",
        customer=f"webchat:{VISITOR}",
        profile=Profile(name="Ada", locale="de-AT"),
    ),
    "message_bare": Written(Text("Hi"), external_id="b5a0c9f3", customer=f"webchat:{VISITOR}", profile=NAMELESS),
    "message_impostor": Written(
        Text("It is not me"), external_id="b5a0c9f4", customer=f"webchat:{VISITOR}", profile=NAMELESS
    ),
    "status_read": Reported("0123456789abcdef0123456789abcdef", "read", customer=f"webchat:{VISITOR}"),
    "typing": Typing(customer=f"webchat:{VISITOR}"),
    "ended": Ended(customer=f"webchat:{VISITOR}"),
}


@pytest.mark.parametrize(("name", "expected"), READ.items(), ids=READ)
def test_it_reads(name: str, expected: Event) -> None:
    assert [expected] == channel().parse(sign(name))


def test_a_new_token_is_signed_with_the_first_secret_and_names_a_visitor_of_its_own() -> None:
    issuing = channel(secrets=[NEW, OLD])
    first, second = issuing.new_token(), issuing.new_token()
    assert channel(secrets=[NEW]).visitor(first) != channel(secrets=[NEW]).visitor(second)
    with pytest.raises(Unverified):
        channel(secrets=[OLD]).visitor(first)


def test_an_old_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    made = token()
    now = TimestampSigner("x").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: now + 86_400 + 5)
    assert f"webchat:{VISITOR}" == channel(token_days=2.0).visitor(made)
    with pytest.raises(Unverified, match="expired"):
        channel(token_days=1.0).visitor(made)


def test_it_acknowledges_with_a_line_for_each_event() -> None:
    reply = channel().acknowledge(sign("typing"), [Accepted(READ["message_bare"], "m1", duplicate=True)])
    assert (
        reply.status,
        reply.body,
    ) == (202, {"accepted": [{"id": "b5a0c9f3", "message_id": "m1", "duplicate": True}]})


def test_sending_needs_no_call() -> None:
    http = Http()
    message = Message("m1", "outbound", "desk", "webchat:x", Text("Hi"), "bot", "helper", 0)
    assert Receipt() == channel().send(Outgoing(message, message.content), http)
    for calling in (Reports, Types, Ends):  # settling shows all of that
        assert not isinstance(channel(), calling)


def test_a_token_says_whose_it_is_and_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as then:
        then.setattr("itsdangerous.timed.time.time", lambda: now - 60)
        webhook = post("/channels/desk", b"{}", {"authorization": f"Bearer {token()}"})
    adapter = channel()
    assert isinstance(adapter, GivesTokens)
    assert isinstance(adapter, HasChatPage)
    holder = adapter.holder(webhook)
    assert (f"webchat:{VISITOR}", int(now - 60)) == (holder.customer, holder.made)
