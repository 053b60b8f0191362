"""What webhooks of both generations say."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from app.core.events import Changed, Ended, Event, Ignored, Typing, Webhook, Written
from app.core.message import Attachment, Author, Text
from app.platforms.twilio.webhooks import FORM
from tests.platforms.conformance import BASE
from tests.platforms.flex.generations import GOOD, Generation
from tests.platforms.flex.world import AGENT, CH, CONVERSATION, CUSTOMER, MARK, Place
from tests.sandbox.flex import recording_listener
from tests.support import fixtures

# Source, author, attributes; then who wrote, None for a mere step in the count, and under which name.
ECHOES: dict[str, tuple[str | None, str, str, Author | None, str | None]] = {
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


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_whose_a_message_is(
    echo: tuple[str | None, str, str, Author | None, str | None], generation: Generation
) -> None:
    source, who, attributes, author, identity = echo
    fields = {generation.author_field: who, "Source": source, "Attributes": attributes}
    (event,) = generation.parse(GOOD, **fields)
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


def test_json_webhooks_are_read_like_forms(generation: Generation) -> None:
    form = generation.parse(GOOD)
    body = fixtures.raw(generation.type, GOOD)
    webhook = Webhook("POST", BASE + generation.path, generation.path, {"content-type": "application/json"}, body)
    assert form == generation.build().parse(webhook)


@pytest.mark.parametrize("field", ["Body", "Attributes"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_may_be_missing(field: str, value: str | None, generation: Generation) -> None:
    """A message without words is a step in the count, one without attributes is somebody's."""
    (event,) = generation.parse(GOOD, **{field: value})
    assert Changed(CH, 4) == event if field == "Body" else isinstance(event, Written)


def test_a_message_with_text_and_file_is_two(generation: Generation) -> None:
    text, file = generation.parse("echo_media_body")
    assert isinstance(text, Written)
    assert isinstance(file, Written)
    sid = "IM" + "06" * 16
    assert (Text("The way"), sid, 6, CH) == (text.content, text.external_id, text.index, text.alias)
    assert (f"{sid}/1", 6, CH, None) == (file.external_id, file.index, file.alias, file.identity)
    assert isinstance(file.content, Attachment)
    assert ("image", "image/png", "map.png") == (file.content.kind, file.content.mime_type, file.content.file_name)
    assert (True, False) == (text.more, file.more)  # the number is done with the last part


def test_a_file_alone_has_the_messages_id(generation: Generation) -> None:
    (file,) = generation.parse("message_media")
    assert isinstance(file, Written)
    assert ("IM" + "05" * 16, False) == (file.external_id, file.more)
    assert isinstance(file.content, Attachment)
    assert file.content.url.startswith(f"{BASE}/destinations/desk/media/")


def test_what_an_agent_read_is_asked_for(generation: Generation) -> None:
    (name,) = [name for name in fixtures.names(generation.type) if name.endswith("_read")]
    assert [Changed(CH)] == generation.parse(name)


def test_typing_is_a_hint(generation: Generation) -> None:
    assert [Typing(alias=CH)] == generation.parse("typing")


@pytest.mark.parametrize("event", ["onMessageRemoved", "onUserUpdated", "onSomethingNew", "onTypingEnded", "typing"])
def test_an_unknown_event_is_ignored_by_its_name(event: str, generation: Generation) -> None:
    assert [Ignored(event)] == generation.parse(GOOD, EventType=event)


def test_answers_to_webhooks(generation: Generation) -> None:
    adapter, webhook = generation.build(), generation.webhook(GOOD)
    assert (200, "") == (adapter.acknowledge(webhook, []).status, adapter.acknowledge(webhook, []).body)
    assert (200, "") == (adapter.refuse(webhook, 404, "x").status, adapter.refuse(webhook, 404, "x").body)
    assert 403 == adapter.refuse(webhook, 401, "x").status
    assert (400, {"error": {"message": "Index: No."}}) == (
        adapter.refuse(webhook, 400, "Index: No.").status,
        adapter.refuse(webhook, 400, "Index: No.").body,
    )


def test_what_the_sandbox_sends_is_verified_and_read(flex_sandbox: str, generation: Generation) -> None:
    """The whole way of a chat: each webhook as the stand-in, which knows the contract alone, makes it."""
    with recording_listener() as listener:
        base = listener.url.partition("/destinations")[0]
        setup = generation.first
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
