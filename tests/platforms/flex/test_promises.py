"""What every adapter promises, here for both generations of Flex."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

import orjson
from msgspec.structs import replace

from app.core.events import StatusReport, Webhook
from app.core.session import Session
from app.http import Http
from app.platforms.destination import Delivery, Handoff
from app.platforms.flex.chat import FlexChatDestination
from app.platforms.flex.conversations import FlexConversationsDestination
from tests.platforms.conformance import FORM_BAD_BODIES, OUTCOMES, BadBody, Calling, Signing, changed, unused
from tests.platforms.flex.generations import CHAT, CHAT_VALUES, CONVERSATIONS, CONVERSATIONS_VALUES, GOOD, Generation
from tests.platforms.flex.world import CH, CONVERSATION, CUSTOMER, MESSAGE, OLD, REPLY, TALK, TOKEN, addresses
from tests.sandbox.flex import SERVICE
from tests.support import fixtures
from tests.support.sink import Sink


class Flexing(Signing, Calling):
    """Their tests inherit this and name the generation."""

    generation: ClassVar[Generation]
    good = GOOD
    forms = True
    url_key = "flex_url"
    tables: ClassVar[dict[str, str]] = {"late": "late_calls"}

    def build(self, **changes: Any) -> Any:
        return self.generation.build(**changes)

    def sign(self, body: bytes, token: str = TOKEN, **changes: Any) -> Webhook:
        return self.generation.sign(body, token)

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

    def all_bad_bodies(self) -> dict[str, BadBody]:
        good = fixtures.value(self.platform, self.good)

        def without(name: str) -> bytes:
            return orjson.dumps({key: value for key, value in good.items() if key != name})

        def with_(**values: str) -> bytes:
            return orjson.dumps({**good, **values})

        return {
            **FORM_BAD_BODIES,
            "empty": (b"", "EventType"),
            "no form": (b"{", "EventType"),
            "a field without a name": (b'{"":"CH1"}', "EventType"),
            "no field that we know": (b"\xff=\xff", "EventType"),
            "too many fields": (b"&".join(b"a=b" for _ in range(1_001)), ""),
            "no event": (without("EventType"), "EventType"),
            "an empty event": (with_(EventType=""), "EventType"),
            "no chat": (without(self.generation.thread_field), self.generation.thread_field),
            "an empty chat": (with_(**{self.generation.thread_field: ""}), self.generation.thread_field),
            "a chat too long": (with_(**{self.generation.thread_field: "C" * 257}), self.generation.thread_field),
            "no number": (without("Index"), "Index"),
            "a number in words": (with_(Index="four"), "Index"),
            "a number below zero": (with_(Index="-1"), "Index"),
            "no message sid": (without("MessageSid"), "MessageSid"),
            "an empty message sid": (with_(MessageSid=""), "MessageSid"),
            "no chat of an update": (
                orjson.dumps({"EventType": self.generation.read_event}),
                self.generation.thread_field,
            ),
        }

    def adapter_on(self, url: str, **changes: Any) -> tuple[Any, Http]:
        return self.build(**dict.fromkeys(addresses(self.generation.first, url), url), **changes), Http([url])

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        """The first call of each verb. Where 404 is an answer, see `late_calls`."""

        def fresh() -> Delivery:
            return Delivery(MESSAGE, MESSAGE.content, Session("desk"), unused, keep=unused)

        return {
            "deliver": lambda desk, http: desk.deliver(fresh(), http),
            "open": lambda desk, http: desk.open(
                Handoff(CONVERSATION, Session("desk"), TALK, unused, keep=unused), http
            ),
            "media": lambda desk, http: desk.media(self.generation.link(desk), http, BytesIO()),
        }

    def late_calls(self) -> dict[str, Any]:
        """Verbs that begin by asking whether something is there, and each way to fail but for that it is not."""
        handles = {"chat": CH, "service": SERVICE, "ready": True, "identity": CUSTOMER, "participant": "MB1"}
        session, half = Session("desk", handles=handles), Session("desk", handles={"chat": CH, "service": SERVICE})
        read = StatusReport(replace(REPLY, metadata={"chat": CH, "index": 1}), "read", None, 1, handles)
        verbs: dict[str, Callable[[Any, Http], object]] = {
            "poll": lambda desk, http: desk.poll(session, 1, http),
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

        asks = {label: call for label, (call, _) in self.late_calls().items() if label.endswith(": 429")}
        return {
            **asks,
            "deliver": lambda desk, http: desk.deliver(made(Delivery, MESSAGE, MESSAGE.content), http),
            "deliver again": lambda desk, http: desk.deliver(
                made(Delivery, MESSAGE, MESSAGE.content, uncertain=True), http
            ),
            "open": lambda desk, http: desk.open(made(Handoff, CONVERSATION, said=(TALK,)), http),
            "media": self.calls()["media"],
        }

    def test_a_failed_first_question_has_its_kind(self, late: Any, outside: Sink) -> None:
        call, (told, kind, maybe_done, _) = late
        outside.answers(told)
        failure = self.failure(call, outside.url)
        assert (kind, maybe_done) == (failure.kind, failure.maybe_done)


class TestFlexChat(Flexing):
    generation = CHAT
    adapter_class = FlexChatDestination
    platform = "flex_chat"
    values = CHAT_VALUES


class TestFlexConversations(Flexing):
    generation = CONVERSATIONS
    adapter_class = FlexConversationsDestination
    platform = "flex_conversations"
    values = CONVERSATIONS_VALUES
