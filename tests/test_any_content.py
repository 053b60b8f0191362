"""Whatever content waits for a platform: it is brought there or refused in the palette's words, and never a bug."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.config.schema import build_channel, build_destination
from app.core.errors import Failure
from app.core.message import Attachment, Card, Content, Image, Location, Message, Profile, QuickReply, Text
from app.core.render import render
from app.core.session import Session
from app.platforms.channel import Outgoing
from app.platforms.destination import Delivery, Handoff, TakesOver
from tests.platforms.conformance import ANSWER, Answering
from tests.support.examples import examples
from tests.support.gateway import settings as configured
from tests.support.values import ODD_TEXTS, contents
from tests.web.test_any_bytes import ACCOUNT, CONFIGURATION, TOKEN

APPLICATION: dict[str, Any] = {
    "type": "twiml",
    "account_sid": ACCOUNT,
    "auth_tokens": [TOKEN],
    "address": "webchat:shop",
    "callback_url": "https://app.example.test/in",
}
SETTINGS = configured(**CONFIGURATION, destinations__app=APPLICATION, channels__chat={"handoff": "app"})
CHANNELS = {name: build_channel(platform) for name, platform in SETTINGS.channels.items()}
DESTINATIONS = {name: build_destination(platform) for name, platform in SETTINGS.destinations.items()}
MESSAGE = Message("a" * 32, "outbound", "shop", "webhook:ada", Text("Hi"), "agent", "desk", 1_767_225_600_000)

odd = st.sampled_from([*ODD_TEXTS, "//[x", "http://[", "a;b\r\nc: d", "x" * 9_000])
URL = "https://cdn.example.test/a.png"
odd_contents: st.SearchStrategy[Content] = st.one_of(
    contents,
    st.builds(Text, odd),
    st.builds(Attachment, st.just("image"), st.just(URL), odd, odd, odd),
    st.builds(Location, st.floats(-90, 90), st.floats(-180, 180), odd),
    st.builds(QuickReply, odd, st.lists(odd, min_size=1, max_size=3).map(tuple)),
    st.builds(Card, odd, st.lists(st.builds(Image, st.just(URL), odd), max_size=2).map(tuple)),
)
customers = st.sampled_from(
    ["whatsapp:+5215512345678", "webhook:ü", "sms:72345", "webchat:" + "x" * 240, "webhook:a/b|c"]
)
profiles = st.none() | st.builds(Profile, odd, odd, odd, odd, odd, odd)
messages = st.builds(
    lambda content, customer, profile, metadata: replace(
        MESSAGE, content=content, customer=customer, profile=profile, metadata=metadata
    ),
    odd_contents,
    customers,
    profiles,
    st.sampled_from([{}, {"content_sid": "HX1", "content_variables": {"1": "\ud83d"}}, {"target_task": "ü\ud83d"}]),
)
bounded = settings(deadline=None, max_examples=examples(150), suppress_health_check=list(HealthCheck))


def taken() -> Answering:
    return Answering(200, {"content-type": "application/json"}, orjson.dumps(ANSWER), ())


def kept(*args: Any, **kwargs: Any) -> None:
    """Whatever is to be remembered."""


@pytest.mark.parametrize("name", CHANNELS)
def test_any_content_goes_to_a_channel(name: str) -> None:
    @bounded
    @given(messages, st.booleans())
    def holds(message: Message, uncertain: bool) -> None:
        channel = CHANNELS[name]
        for part, content in enumerate(render(message.content, channel.capabilities)):
            with suppress(Failure):
                channel.send(Outgoing(message, content, part, uncertain), taken())

    holds()


@pytest.mark.parametrize("name", DESTINATIONS)
def test_any_content_goes_to_a_destination(name: str) -> None:
    @bounded
    @given(messages, st.booleans())
    def holds(message: Message, uncertain: bool) -> None:
        destination, inbound = DESTINATIONS[name], replace(message, direction="inbound")
        for part, content in enumerate(render(message.content, destination.capabilities)):
            delivery = Delivery(inbound, content, Session(name), kept, keep=kept, part=part, uncertain=uncertain)
            with suppress(Failure):
                destination.deliver(delivery, taken())
        transcript = [inbound, replace(message, author="bot")]
        if not isinstance(destination, TakesOver):
            return
        with suppress(Failure):
            destination.open(Handoff(message.conversation, Session(name), transcript, kept, keep=kept), taken())

    holds()
