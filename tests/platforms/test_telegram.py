"""Channel `telegram`, with `python-telegram-bot` as the oracle for what we read and what we send."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import orjson
import pytest
import redis
import telegram
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure, Unverified
from app.core.events import Accepted, Event, File, Ignored, Opted, Receipt, Reply, Webhook, Written
from app.core.message import Attachment, Card, Content, Image, Location, Message, Profile, QuickReply, Text
from app.core.render import render
from app.core.text import length
from app.http import Http
from app.inbox import Inbox
from app.platforms.channel import Ends, Outgoing, Types
from app.platforms.offers import HoldsFiles, Reports
from app.platforms.provision import Provisions, Run
from app.platforms.tables import Table, Tables
from app.platforms.telegram.api import MAX_FILE, MAX_SAID
from app.platforms.telegram.channel import TelegramChannel
from app.platforms.telegram.inbound import ALLOWED
from app.platforms.telegram.outbound import CAPTION_UNITS, TEXT_UNITS, UNIT
from tests.platforms.conformance import BASE, OUTCOMES, Answering, Calling, Signing, changed, post
from tests.support import fixtures
from tests.support.examples import examples
from tests.support.gateway import gateway
from tests.support.sink import Call, Sink, Told
from tests.support.values import ODD_TEXTS, contents

TOKEN, SECRET, OLD = "7700001:AAH-made_up_0123456789abcdefghijk", "tg_secret-0123456789ABCdef", "tg_secret-0000000000"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
CUSTOMER = "telegram:4242"
MESSAGE = Message(
    "0123456789abcdef0123456789abcdef", "outbound", "desk", CUSTOMER, Text("It left today. *Größe* & _1"), "agent",
    "people", 1_767_225_600_123,
)  # fmt: skip
VALUES: dict[str, Any] = {
    "type": "telegram",
    "token": TOKEN,
    "secret_tokens": [SECRET],
    "destination": "helper",
    "api_url": "http://127.0.0.1:9",
}
ADA = Profile(name="Ada Byron", locale="en")
PICTURE = Attachment("image", "https://cdn.example.test/a.jpg", "image/jpeg", description="The box")
FILE_ID = "AgACAgIAAxx"


def built(**changes: Any) -> TelegramChannel:
    """The channel, named `desk`, as the configuration makes it."""
    values = TelegramChannel.Settings().load({**VALUES, **changes})
    return TelegramChannel("desk", {**values, "callback": f"{BASE}/channels/desk"})


def signed(body: bytes, secret: str = SECRET) -> Webhook:
    return post("/channels/desk", body, {HEADER: secret, "content-type": "application/json"})


def update(name: str) -> Webhook:
    return signed(fixtures.raw("telegram", name))


def ok(result: Any) -> Told:
    return Told(200, orjson.dumps({"ok": True, "result": result}))


def refused(status: int, description: str, **more: Any) -> Told:
    return Told(status, orjson.dumps({"ok": False, "error_code": status, "description": description, **more}))


SENT = {"message_id": 8, "date": 1_767_225_601, "chat": {"id": 4242, "type": "private", "first_name": "Ada"}}


class TestTelegramChannel(Signing, Calling):
    adapter_class = TelegramChannel
    platform = "telegram"
    good = "message_text"
    url_key = "api_url"
    values: ClassVar[dict[str, Any]] = VALUES
    answer: ClassVar[dict[str, Any]] = {
        "ok": True,
        "result": {**SENT, "file_path": "photos/file_1.jpg"},
        "description": "Bad Request: wrong file_id",
        "parameters": {"retry_after": 5},
    }

    def build(self, **changes: Any) -> TelegramChannel:
        return built(**changes)

    def sign(self, body: bytes, **changes: Any) -> Webhook:
        return signed(body, **changes)

    def rotated(self) -> TelegramChannel:
        channel = built(secret_tokens=[SECRET, OLD])
        channel.verify(signed(b"{}", OLD))
        return channel

    def webhooks(self) -> list[str]:
        return [name for name in fixtures.names("telegram") if not name.startswith("several_")]

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        header = "x_telegram_bot_api_secret_token"
        given = {
            "no header": None,
            "an empty one": "",
            "another case": SECRET.upper(),
            "a prefix": SECRET[:-1],
            "more": f"{SECRET}x",
            "an old one": OLD,
            "the bot's token": TOKEN,
            "no ASCII": "ü",
        }
        return {label: lambda good, value=value: changed(good, **{header: value}) for label, value in given.items()}

    def bad_bodies(self) -> dict[str, tuple[Any, str]]:
        good = fixtures.value("telegram", "message_text")
        photo = fixtures.value("telegram", "message_photo")["message"]
        pressed = fixtures.value("telegram", "callback_query")["callback_query"]

        def message(**changes: Any) -> dict[str, Any]:
            return {"update_id": 1, "message": {**good["message"], **changes}}

        return {
            "no update_id": ({"message": good["message"]}, "update_id"),
            "a message that is a word": ({"update_id": 1, "message": "hi"}, "message"),
            "no message_id": (message(message_id=None), "message.message_id"),
            "no chat": (message(chat=None), "message.chat"),
            "a chat without id": (message(chat={"type": "private"}), "message.chat.id"),
            "a chat without type": (message(chat={"id": 1}), "message.chat.type"),
            "a text that is a number": (message(text=5), "message.text"),
            "a text too long": (message(text="x" * 7_001), "message.text"),
            "a photo without sizes": ({"update_id": 1, "message": {**photo, "photo": []}}, "message.photo"),
            "a photo without id": ({"update_id": 1, "message": {**photo, "photo": [{}]}}, "message.photo.0.file_id"),
            "a place that is none": (
                message(text=None, location={"latitude": 91, "longitude": 0}),
                "message.location.latitude",
            ),
            "a button without id": (
                {"update_id": 1, "callback_query": {**pressed, "id": None}},
                "callback_query.id",
            ),
            "a block without status": (
                {"update_id": 1, "my_chat_member": {"chat": {"id": 1, "type": "private"}, "new_chat_member": {}}},
                "my_chat_member.old_chat_member",
            ),
        }

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        channel = built()
        link = link_of(channel, "message_photo")
        return {
            "send": lambda adapter, http: adapter.send(Outgoing(MESSAGE, MESSAGE.content), http),
            "typing": lambda adapter, http: adapter.typing(CUSTOMER, http),
            "media": lambda adapter, http: adapter.media(link, http, io.BytesIO()),
            "provision": lambda adapter, http: adapter.provision(Run(http)),
        }

    def answered(self) -> dict[str, Callable[[Any, Http], object]]:
        """A file may be there no more."""
        media = self.calls()["media"]

        def looked(adapter: Any, http: Http) -> object:
            with suppress(Unverified):
                return media(adapter, http)
            return None

        return {**self.calls(), "media": looked}

    def outcomes(self) -> dict[str, Any]:
        """A wrong token is told by 404, because it stands in the address."""
        return {
            **OUTCOMES,
            "404": (Told(404), errors.UNAUTHORISED, False, None),
            "409": (Told(409), errors.MISCONFIGURED, False, None),
        }


def link_of(channel: TelegramChannel, name: str) -> str:
    """The last part of the link to a fixture's file."""
    found = [event.content for event in channel.parse(update(name)) if isinstance(event, Written)]
    return next(content.url for content in found if isinstance(content, Attachment)).rpartition("/")[2]


# --- what comes in ---


def written(content: Content, message: object = None, **more: Any) -> Written:
    more = {"customer": CUSTOMER, "profile": ADA, "metadata": {"username": "ada_b"}, **more}
    return Written(content, external_id=f"4242/{message}", **more)


def file(kind: str, mime_type: str, name: str | None = None, about: str | None = None) -> Attachment:
    return Attachment(kind, "", mime_type, name, about)


PLACE = (52.520008, 13.404954)
ANSWERED = {"username": "ada_b", "reply_to": "4242/5"}
READ: dict[str, Content | Event] = {
    "message_text": Text("Where is my parcel? 🎁"),
    "message_bare": Written(Text("Hi"), "4243/8", "telegram:4243", profile=Profile(name="G")),
    "message_start": Text("/start spring-sale"),
    "message_entities": Text("Look here: my order"),
    "message_photo": file("image", "image/jpeg", about="The box was open"),
    "message_album": file("image", "image/jpeg"),
    "message_document": file("file", "application/pdf", "invoice.pdf"),
    "message_document_image": file("image", "image/png", "scan.png"),
    "message_voice": file("audio", "audio/ogg"),
    "message_audio": file("audio", "audio/mpeg", "notes.mp3"),
    "message_video": file("video", "video/mp4", "door.mp4", "At my door"),
    "message_video_note": file("video", "video/mp4"),
    "message_animation": file("video", "video/mp4", "cat.gif.mp4"),
    "message_sticker": file("image", "image/webp", about="👍"),
    "message_sticker_animated": file("file", "application/x-tgsticker", about="🎉"),
    "message_location": Location(*PLACE),
    "message_venue": Location(*PLACE, "Town hall, Main Street 1"),
    "message_contact": Text("Charles B.\n+436601234567"),
    "message_reply": Text("This one"),
    "message_forwarded": Text("They told me this"),
    "message_large": Text("[long.mp4: larger than the 20 MB that Telegram gives to bots]"),
    "callback_query": Written(
        Text("order-7"), "callback/4382bfdwdsb323b2d9", CUSTOMER, profile=ADA, metadata={"button_payload": "order-7"}
    ),
    "member_blocked": Opted(CUSTOMER, "out"),
    "member_back": Opted(CUSTOMER, "in"),
}
METADATA: dict[str, dict[str, Any]] = {
    "message_start": {"start": "spring-sale"},
    "message_album": {"media_group_id": "13900000000000001"},
    "message_reply": {"reply_to": "4242/5"},
    "message_forwarded": {"forwarded": True},
}


@pytest.mark.parametrize(("name", "expected"), READ.items(), ids=READ)
def test_it_reads(name: str, expected: Content | Event) -> None:
    (event,) = built().parse(update(name))
    if isinstance(expected, Event):
        assert expected == event
        return
    assert isinstance(event, Written)
    content = event.content
    if isinstance(content, Attachment):
        assert content.url.startswith(f"{BASE}/channels/desk/media/")
        content = replace(content, url="")
    about = {"username": "ada_b", **METADATA.get(name, {})}
    number = fixtures.value("telegram", name)["message"]["message_id"]
    assert written(expected, number, metadata=about) == replace(event, content=content)


def test_every_fixture_is_in_the_table() -> None:
    told = set(READ) | set(fixtures.names("telegram", "unsupported_")) | {"several_caption"}
    assert told == set(fixtures.names("telegram"))


def test_a_long_caption_follows_its_picture() -> None:
    picture, words = built().parse(update("several_caption"))
    number = fixtures.value("telegram", "several_caption")["message"]["message_id"]
    assert isinstance(picture, Written)
    assert isinstance(words, Written)
    assert ("image", None) == (picture.content.kind, picture.content.description)  # type: ignore[union-attr]
    assert f"4242/{number}" == picture.external_id
    assert written(Text("It came like this. " * 20), f"{number}/1", metadata={}, part=1) == words


IGNORED = {
    "unsupported_edited_message": "edited_message",
    "unsupported_message_reaction": "message_reaction",
    "unsupported_group": "message.group",
    "unsupported_pinned": "message.pinned_message",
    "unsupported_poll": "message.poll",
    "unsupported_member_joined": "my_chat_member",
    "unsupported_member_group": "my_chat_member",
    "unsupported_channel_post": "channel_post",
    "unsupported_callback_game": "callback_query.game",
}


@pytest.mark.parametrize(("name", "kind"), IGNORED.items(), ids=IGNORED)
def test_what_is_no_turn_is_counted_under_its_kind(name: str, kind: str) -> None:
    assert [Ignored(kind)] == built().parse(update(name))


def test_no_fixture_is_counted_under_a_kind_that_nobody_chose() -> None:
    assert set(IGNORED) == set(fixtures.names("telegram", "unsupported_"))
    assert [Ignored("message.other")] == built().parse(
        signed(b'{"update_id":1,"message":{"message_id":1,"chat":{"id":1,"type":"private"},"brand_new":{}}}')
    )


@pytest.mark.parametrize("name", fixtures.names("telegram"))
def test_the_library_reads_every_fixture_as_we_do(name: str) -> None:
    """Oracle: nothing of a fixture is unknown to the library, and the parts that make the message are the same."""
    value = fixtures.value("telegram", name)
    read = telegram.Update.de_json(value, None)
    assert value.keys() == read.to_dict().keys()
    assert not read.api_kwargs
    message = read.message
    if message is None or message.chat.type != "private":
        return
    assert not message.api_kwargs
    events = [event for event in built().parse(signed(orjson.dumps(value))) if isinstance(event, Written)]
    for event in events:
        assert f"telegram:{message.chat_id}" == event.customer
        assert (event.external_id or "").startswith(f"{message.chat_id}/{message.message_id}")
        assert event.profile is not None
        assert message.from_user is not None
        assert message.from_user.full_name == event.profile.name
    texts = [event.content.text for event in events if isinstance(event.content, Text)]
    if message.text:
        assert [message.text] == texts
    if message.photo:
        assert FILE_ID == message.photo[1].file_id == max(message.photo, key=lambda one: one.width).file_id


def test_an_album_is_several_messages_in_order(redis_client: redis.Redis) -> None:
    setup = gateway(redis_client, channels__tg=VALUES)
    one = fixtures.value("telegram", "message_album")
    for number in range(3):
        body = orjson.dumps(
            {"update_id": 1 + number, "message": {**one["message"], "message_id": 20 + number, "caption": str(number)}}
        )
        for _ in range(2):  # Telegram repeats what was not answered well
            for event in setup.channels["tg"].parse(signed(body)):
                Inbox(setup).accept("tg", event)
    contents = [record.message.content for record in setup.store.messages.timeline(f"tg/{CUSTOMER}")]
    assert ["0", "1", "2"] == [one.description for one in contents if isinstance(one, Attachment)]


# --- what goes out ---


def call_of(asked: Call) -> tuple[str, dict[str, Any]]:
    base, token, method = asked.path.strip("/").partition(f"bot{TOKEN}/")
    assert ("", f"bot{TOKEN}/") == (base, token)
    return method, asked.json


def send(outside: Sink, content: Content, *answers: Told, **changes: Any) -> Receipt:
    outside.answers(*(answers or [ok(SENT)]))
    message = replace(MESSAGE, content=content)
    return built(api_url=outside.url, **changes).send(Outgoing(message, content), Http([outside.url]))


KEYBOARD = {"keyboard": [[{"text": "Yes"}], [{"text": "No"}]], "one_time_keyboard": True, "resize_keyboard": True}
REPLIES = QuickReply("Is it there?", ("Yes", "No"))
POINT = {"latitude": 52.520008, "longitude": 13.404954}
LINK = "https://cdn.example.test/"
OUT: dict[str, tuple[Content, str, dict[str, Any]]] = {
    "a text": (MESSAGE.content, "sendMessage", {"text": "It left today. *Größe* & _1"}),
    "replies": (REPLIES, "sendMessage", {"text": "Is it there?", "reply_markup": KEYBOARD}),
    "a place": (Location(*PLACE), "sendLocation", POINT),
    "a place with words": (
        Location(*PLACE, "Town hall"),
        "sendVenue",
        {**POINT, "title": "Town hall", "address": "52.520008, 13.404954"},
    ),
    "a picture": (PICTURE, "sendPhoto", {"photo": PICTURE.url, "caption": "The box"}),
    "a picture of a type that nobody tells": (Attachment("image", f"{LINK}a"), "sendPhoto", {"photo": f"{LINK}a"}),
    "a GIF": (Attachment("image", f"{LINK}a", "image/gif"), "sendAnimation", {"animation": f"{LINK}a"}),
    "a GIF by its name": (Attachment("image", f"{LINK}a.gif?b=c"), "sendAnimation", {"animation": f"{LINK}a.gif?b=c"}),
    "a video": (Attachment("video", f"{LINK}a", "video/mp4"), "sendVideo", {"video": f"{LINK}a"}),
    "a song": (Attachment("audio", f"{LINK}a", "audio/mpeg"), "sendAudio", {"audio": f"{LINK}a"}),
    "a voice": (Attachment("audio", f"{LINK}a", "audio/ogg; codecs=opus"), "sendVoice", {"voice": f"{LINK}a"}),
    "a document": (Attachment("file", f"{LINK}a", "application/pdf"), "sendDocument", {"document": f"{LINK}a"}),
    "a document that goes as a link": (
        Attachment("file", f"{LINK}a.docx", None, "offer.docx"),
        "sendMessage",
        {"text": f"offer.docx: {LINK}a.docx"},
    ),
    "a picture that goes as a link": (
        Attachment("image", f"{LINK}a.svg", "image/svg+xml"),
        "sendMessage",
        {"text": f"{LINK}a.svg"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "method", "expected"), OUT.values(), ids=OUT)
def test_it_sends(content: Content, method: str, expected: dict[str, Any], outside: Sink) -> None:
    assert Receipt("4242/8") == send(outside, content)
    (asked,) = outside.calls
    assert (method, {"chat_id": 4242, **expected}) == call_of(asked)


METHODS = {
    "sendMessage": telegram.Bot.send_message,
    "sendPhoto": telegram.Bot.send_photo,
    "sendVideo": telegram.Bot.send_video,
    "sendAudio": telegram.Bot.send_audio,
    "sendVoice": telegram.Bot.send_voice,
    "sendAnimation": telegram.Bot.send_animation,
    "sendDocument": telegram.Bot.send_document,
    "sendLocation": telegram.Bot.send_location,
    "sendVenue": telegram.Bot.send_venue,
    "sendChatAction": telegram.Bot.send_chat_action,
    "setWebhook": telegram.Bot.set_webhook,
    "getWebhookInfo": telegram.Bot.get_webhook_info,
    "getFile": telegram.Bot.get_file,
}


def assert_known(method: str, parameters: dict[str, Any]) -> None:
    """Oracle: the library's method of that name has all these parameters."""
    assert set(parameters) <= set(inspect.signature(METHODS[method]).parameters)


@pytest.mark.parametrize(("content", "method", "expected"), OUT.values(), ids=OUT)
def test_the_library_knows_what_we_send(content: Content, method: str, expected: dict[str, Any], outside: Sink) -> None:
    send(outside, content)
    method, parameters = call_of(outside.calls[0])
    assert_known(method, parameters)
    if markup := parameters.get("reply_markup"):
        buttons = [[telegram.KeyboardButton(**one) for one in row] for row in markup["keyboard"]]
        keyboard = telegram.ReplyKeyboardMarkup(**{**markup, "keyboard": buttons})
        assert markup == keyboard.to_dict()


def test_limits_are_those_of_the_library() -> None:
    assert telegram.constants.MessageLimit.MAX_TEXT_LENGTH == TEXT_UNITS
    assert telegram.constants.MessageLimit.CAPTION_LENGTH == CAPTION_UNITS
    assert set(ALLOWED) <= set(telegram.constants.UpdateType)


@settings(deadline=None, max_examples=examples(50))
@given(st.text(alphabet="ab 🎁\n.", min_size=1).map(lambda text: text * 300))
def test_a_text_is_cut_at_utf16_units(text: str) -> None:
    parts = [part.text for part in render(Text(text), TelegramChannel.capabilities) if isinstance(part, Text)]
    assert text == "".join(parts)
    assert max(length(part, UNIT) for part in parts) <= TEXT_UNITS


def test_a_caption_is_cut_at_utf16_units(outside: Sink) -> None:
    send(outside, replace(PICTURE, description="🎁" * 600))
    assert "🎁" * 512 == outside.calls[0].json["caption"]


def test_half_a_character_is_none_that_telegram_would_refuse(outside: Sink) -> None:
    send(outside, Text("a\ud83dz\0"))
    text = outside.calls[0].json["text"]
    assert text == text.encode("utf-8", "surrogatepass").decode()
    assert "\0" not in text


odd = st.sampled_from([*ODD_TEXTS, "//[x", "http://[", "a;b\r\nc: d", "x" * 9_000])
odd_contents = contents | st.one_of(
    st.builds(Text, odd),
    st.builds(Attachment, st.sampled_from(["image", "file"]), odd, st.none() | odd, odd, odd),
    st.builds(Location, st.floats(-90, 90), st.floats(-180, 180), odd),
    st.builds(QuickReply, odd, st.lists(odd, min_size=1, max_size=3).map(tuple)),
)


@settings(deadline=None, max_examples=examples(150))
@given(odd_contents)
def test_any_content_is_sent_or_refused(content: Content) -> None:
    taken = Answering(200, {"content-type": "application/json"}, ok(SENT).body, ())
    for part in render(content, TelegramChannel.capabilities):
        with suppress(Failure):
            assert Receipt("4242/8") == built().send(Outgoing(MESSAGE, part), taken)


def test_a_card_is_its_text_and_its_pictures() -> None:
    card = Card("Two", (Image(f"{LINK}a.png", "A"), Image(f"{LINK}b.png")))
    kinds = [part.type for part in render(card, TelegramChannel.capabilities)]
    assert ["text", "attachment", "attachment"] == kinds


NOT_FETCHED = (
    "Bad Request: failed to get HTTP URL content",
    "Bad Request: wrong file identifier/HTTP URL specified",
    "Bad Request: wrong type of the web page content",
    "Bad Request: WEBPAGE_MEDIA_EMPTY",
    "Bad Request: invalid file HTTP URL specified: Wrong port number specified in the URL",
    "Bad Request: wrong HTTP URL specified",
    "Bad Request: wrong remote file identifier specified: Wrong padding in the string",
)


@pytest.mark.parametrize("description", NOT_FETCHED)
def test_a_file_that_telegram_cannot_fetch_goes_as_a_link(description: str, outside: Sink) -> None:
    assert Receipt("4242/8") == send(outside, PICTURE, refused(400, description), ok(SENT))
    first, second = map(call_of, outside.calls)
    assert "sendPhoto" == first[0]
    assert ("sendMessage", {"chat_id": 4242, "text": f"The box: {PICTURE.url}"}) == second


REFUSALS: dict[str, tuple[Told, errors.Kind]] = {
    "blocked": (refused(403, "Forbidden: bot was blocked by the user"), errors.OPTED_OUT),
    "deactivated": (refused(403, "Forbidden: user is deactivated"), errors.GONE),
    "kicked": (refused(403, "Forbidden: bot was kicked from the group chat"), errors.GONE),
    "first": (refused(403, "Forbidden: bot can't initiate conversation with a user"), errors.GONE),
    "no chat": (refused(400, "Bad Request: chat not found"), errors.GONE),
    "no peer": (refused(400, "Bad Request: PEER_ID_INVALID"), errors.GONE),
    "moved": (
        refused(
            400, "Bad Request: group chat was upgraded to a supergroup chat", parameters={"migrate_to_chat_id": -1}
        ),
        errors.GONE,
    ),
    "too long": (refused(400, "Bad Request: message is too long"), errors.REJECTED),
    "a file, though we sent none": (refused(400, NOT_FETCHED[0]), errors.REJECTED),
    "no token": (refused(401, "Unauthorized"), errors.UNAUTHORISED),
    "no method": (refused(404, "Not Found"), errors.UNAUTHORISED),
    "two webhooks": (refused(409, "Conflict: terminated by other getUpdates request"), errors.MISCONFIGURED),
    "too much": (refused(429, "Too Many Requests: retry after 7"), errors.THROTTLED),
    "down": (refused(500, "Internal Server Error"), errors.UNAVAILABLE),
    "no result": (Told(200, b'{"ok":true}'), errors.UNPARSEABLE),
    "not ok": (Told(200, b'{"ok":false}'), errors.UNPARSEABLE),
    "no id": (ok({}), errors.UNPARSEABLE),
}


@pytest.mark.parametrize(("told", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_has_its_kind(told: Told, kind: errors.Kind, outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        send(outside, MESSAGE.content, told)
    assert kind == raised.value.kind
    assert raised.value.maybe_done == (told.status == 200)  # what was taken may stand in the chat
    assert len(outside.calls) == 1


WAITS = {
    "seconds": (7, 7.0),
    "days": (500_000, 3_600.0),
    "a word": ("7", None),
    "truth": (True, None),
    "none": (None, None),
}


@pytest.mark.parametrize(("asked", "expected"), WAITS.values(), ids=WAITS)
def test_it_waits_for_as_long_as_telegram_asks(asked: Any, expected: float | None, outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        send(outside, MESSAGE.content, refused(429, "Too Many Requests", parameters={"retry_after": asked}))
    assert expected == raised.value.retry_after


def test_a_refusal_is_quoted_within_bounds(outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        send(outside, MESSAGE.content, refused(400, "no " * 1_000))
    assert "HTTP 400: no no" == raised.value.detail[:15]
    assert MAX_SAID == len(raised.value.detail)


def echoing(path: Callable[[str], str]) -> Iterator[Told]:
    yield Told(404, f"<p>No such page: {path(TOKEN)}</p>".encode())
    yield refused(400, f"Bad Request: {path(TOKEN)}")
    yield Told(502, ("x" * 190 + path(TOKEN)).encode())


@pytest.mark.parametrize("told", [*echoing(str), *echoing(lambda token: token.replace(":", "%3A"))])
def test_a_proxy_that_repeats_the_address_does_not_tell_the_token(told: Told, outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        send(outside, MESSAGE.content, told)
    said = str(raised.value)
    assert [part for part in (TOKEN, TOKEN[8:], TOKEN[8:20]) if part in said] == []


def test_it_shows_that_somebody_types(outside: Sink) -> None:
    outside.answers(ok(True))
    channel = built(api_url=outside.url)
    channel.typing(CUSTOMER, Http([outside.url]))
    method, parameters = call_of(outside.calls[0])
    assert ("sendChatAction", {"chat_id": 4242, "action": "typing"}) == (method, parameters)
    assert_known(method, parameters)
    assert channel.capabilities.typing


def test_what_telegram_has_not_is_not_offered() -> None:
    channel = built()
    assert [isinstance(channel, one) for one in (Types, HoldsFiles, Provisions)] == [True] * 3
    assert [isinstance(channel, one) for one in (Reports, Ends)] == [False] * 2
    assert not channel.capabilities.resend_safe


# --- answers ---


def test_whoever_pressed_a_button_is_told_that_it_was_heard() -> None:
    channel = built()
    webhook = update("callback_query")
    reply = channel.acknowledge(webhook, [Accepted(event, "m1") for event in channel.parse(webhook)])
    query = fixtures.value("telegram", "callback_query")["callback_query"]["id"]
    assert Reply(200, {"method": "answerCallbackQuery", "callback_query_id": query}) == reply
    assert {"callback_query_id"} <= set(inspect.signature(telegram.Bot.answer_callback_query).parameters)


@pytest.mark.parametrize("name", ["message_text", "member_blocked", "unsupported_poll"])
def test_anything_else_is_answered_with_nothing(name: str) -> None:
    channel = built()
    assert Reply(200, {}) == channel.acknowledge(update(name), [Accepted(one) for one in channel.parse(update(name))])


# --- files ---


def test_a_link_to_a_file_holds_no_token_and_leads_to_it(outside: Sink) -> None:
    channel = built(api_url=outside.url)
    link = link_of(channel, "message_document")
    assert TOKEN not in link
    given = {"getFile": ok({"file_id": "AgACAgIAAxd", "file_unique_id": "A", "file_path": "documents/a b#.pdf"})}
    outside.answer = lambda asked: given.get(asked.path.rpartition("/")[2], Told(200, b"%PDF-1"))
    into = io.BytesIO()
    assert File("application/pdf") == channel.media(link, Http([outside.url]), into)
    assert b"%PDF-1" == into.getvalue()
    asked, fetched = outside.calls
    assert ("getFile", {"file_id": "AgACAgIAAxd"}) == call_of(asked)
    assert f"/file/bot{TOKEN}/documents/a%20b%23.pdf" == fetched.path
    assert "AgACAgIAAxd application/pdf" == channel.check_link(link)


def test_a_file_may_be_as_large_as_telegram_gives_any(outside: Sink) -> None:
    channel, into = built(api_url=outside.url), io.BytesIO()
    outside.answers(ok({"file_path": "videos/file_1.mp4"}), Told(200, b"x" * MAX_FILE))
    channel.media(link_of(channel, "message_photo"), Http([outside.url]), into)
    assert MAX_FILE == len(into.getvalue())


def test_a_photo_is_its_largest_size() -> None:
    channel = built()
    assert f"{FILE_ID} image/jpeg" == channel.check_link(link_of(channel, "message_photo"))


@pytest.mark.parametrize("description", ["wrong file_id or the file is temporarily unavailable", "file is too big"])
def test_a_file_that_is_there_no_more_is_not_found(description: str, outside: Sink) -> None:
    channel = built(api_url=outside.url)
    outside.answers(refused(400, f"Bad Request: {description}"))
    with pytest.raises(Unverified):
        channel.media(link_of(channel, "message_photo"), Http([outside.url]), io.BytesIO())


def test_a_path_that_leads_nowhere_any_more_is_not_found(outside: Sink) -> None:
    channel = built(api_url=outside.url)
    outside.answers(ok({"file_path": "photos/file_1.jpg"}), refused(404, "Not Found"))
    with pytest.raises(Unverified):
        channel.media(link_of(channel, "message_photo"), Http([outside.url]), io.BytesIO())


FORGED = {"nonsense": "x", "another bot's": link_of(built(token=f"{TOKEN}x"), "message_photo")}


@pytest.mark.parametrize("link", FORGED.values(), ids=FORGED)
def test_a_link_of_somebody_else_is_refused(link: str) -> None:
    with pytest.raises(Unverified):
        built().check_link(link)


# --- configuration ---


class Registered:
    """Telegram, as far as it remembers a webhook."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        self.secret: str | None = None

    def answer(self, asked: Call) -> Told:
        method, parameters = call_of(asked)
        assert_known(method, parameters)
        if method == "getWebhookInfo":
            return ok(self.info)
        self.secret = parameters.pop("secret_token")
        self.info = {**self.info, **parameters}
        return ok(True)


def provisioned(outside: Sink, dry_run: bool = False, **changes: Any) -> Run:
    run = Run(Http([outside.url]), dry_run=dry_run)
    assert {} == built(api_url=outside.url, **changes).provision(run)
    return run


def test_it_sets_the_webhook_once(outside: Sink) -> None:
    there = Registered()
    outside.answer = there.answer
    (described,) = provisioned(outside, dry_run=True).calls
    assert there.secret is None
    assert [described] == provisioned(outside).calls
    assert SECRET == there.secret
    info = telegram.WebhookInfo.de_json(there.info, None)
    assert info.url.startswith(f"{BASE}/channels/desk?")
    assert (40, sorted(ALLOWED)) == (info.max_connections, sorted(info.allowed_updates))
    assert [] == provisioned(outside).calls
    for secret in (SECRET, TOKEN):
        assert secret not in described + info.url


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another address": ({"url": "https://elsewhere.example.test"}, {}),
    "other kinds": ({"allowed_updates": ["message"]}, {}),
    "another secret": ({}, {"secret_tokens": [OLD, SECRET]}),
    "fewer connections": ({}, {"connections": 5}),
}


@pytest.mark.parametrize(("there_now", "changes"), CHANGES.values(), ids=CHANGES)
def test_it_corrects_what_differs(there_now: dict[str, Any], changes: dict[str, Any], outside: Sink) -> None:
    there = Registered()
    outside.answer = there.answer
    provisioned(outside)
    there.info |= there_now
    assert 1 == len(provisioned(outside, **changes).calls)
    assert [] == provisioned(outside, **changes).calls


def test_it_says_what_went_wrong_with_the_last_webhook(outside: Sink) -> None:
    there = Registered()
    there.info["last_error_message"] = "Wrong response from the webhook: 502 Bad Gateway"
    outside.answer = there.answer
    assert "502 Bad Gateway" in provisioned(outside).notes[0]


def test_two_channels_with_one_bot_are_a_problem() -> None:
    def table(name: str, token: str) -> Table:
        return Table(name, "telegram", {"token": token}, "telegram")

    shop, other, apart = table("shop", TOKEN), table("other", TOKEN), table("apart", f"{TOKEN}x")
    tables = Tables("gate.example.test", {one.name: one for one in (shop, other, apart)}, {})
    assert [] == list(TelegramChannel.problems(shop, tables))
    assert [("token", "The channel shop has the same bot.")] == list(TelegramChannel.problems(other, tables))
    assert [] == list(TelegramChannel.problems(apart, tables))
