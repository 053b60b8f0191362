"""Twilio-compatible REST, used through Twilio's own library."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import redis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twilio.base.exceptions import TwilioRestException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance, MessageList

from app.core.acceptance import Acceptance
from app.core.errors import StoreUnavailable
from app.core.events import Reported, Written
from app.core.message import Attachment, Content, Location, Message, Text, derived_id
from app.core.work import Achieved, Append, Done, Retry
from app.gateway import Gateway
from app.inbox import Inbox
from app.web import create_app
from app.web.rest import listing
from app.web.rest.resource import segments
from tests.support.examples import examples
from tests.support.gateway import Clock, gateway, recorder, run_until_quiet
from workers.drain import Drainer

ACCOUNT, OTHER, KEY = "AC" + "1" * 32, "AC" + "2" * 32, "SK" + "3" * 32
POOL = "MG" + "4" * 32
TOKEN, OLD_TOKEN, SECRET = "token-000001", "token-000000", "key-secret-01"
SHOP, WHATSAPP = "webchat:shop", "whatsapp:+15551239999"
ADA, BEN, CAROL = "webchat:ada", "webchat:ben", "whatsapp:+15551230001"
NOWHERE = "http://127.0.0.1:9"


def application(address: str, account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    return {
        "type": "twiml",
        "account_sid": account,
        "auth_tokens": [TOKEN, OLD_TOKEN],
        "address": address,
        "callback_url": f"{NOWHERE}/app",
        **more,
    }


CONFIGURATION: dict[str, Any] = {
    "destinations__app": application(
        SHOP, messaging_service_sid=POOL, api_key_sid=KEY, api_key_secret=SECRET, channel="chat"
    ),
    "destinations__wa": application(WHATSAPP, messaging_service_sid=POOL),
    "destinations__theirs": application("webchat:theirs", OTHER, auth_tokens=["other-token-1"]),
    "channels__chat": {"destination": "app", "handoff": "desk"},
    "channels__second": {
        "type": "webchat",
        "secrets": ["chat-secret-0002-32-characters-x"],
        "destination": "theirs",
    },
    "channels__whatsapp": {
        "type": "twilio",
        "account_sid": ACCOUNT,
        "auth_tokens": [TOKEN],
        "address": WHATSAPP,
        "api_url": NOWHERE,
        "destination": "wa",
    },
}


class InProcess(HttpClient):
    """Twilio's library without a network: its requests go to the application itself."""

    def __init__(self, web: FlaskClient) -> None:
        super().__init__(False, False, None)
        self._web = web

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        path = url.removeprefix("https://api.twilio.com") + query
        answer = self._web.open(path, method=method, data=data, headers=headers, auth=auth)
        return Response(answer.status_code, answer.text, dict(answer.headers))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built(redis_client: redis.Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setattr("app.web.rest.creating.time.time", lambda: clock() / 1000)
    return gateway(redis_client, clock, **CONFIGURATION)


@pytest.fixture
def web(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


@pytest.fixture
def messages(web: FlaskClient) -> MessageList:
    return Client(ACCOUNT, TOKEN, http_client=InProcess(web)).messages


def writes(built: Gateway, content: Content | str, customer: str = ADA, channel: str = "chat", **more: Any) -> str:
    """A customer writes; our id of it."""
    text = Text(content) if isinstance(content, str) else content
    number = len(built.store.messages.timeline(f"{channel}/{customer}", 200))
    return accept(built, channel, Written(text, external_id=f"x-{number}", customer=customer, **more))


def accept(built: Gateway, name: str, event: Any) -> str:
    inbox = Inbox(built)
    accepted = inbox.accept(name, event)
    recorder(built).publish(inbox.wakes)
    return accepted.message_id or ""


def work(built: Gateway, lane: str) -> None:
    """Work one lane alone."""
    for wake in [wake for wake in recorder(built).wakes if wake.lane == lane]:
        Drainer(built).drain(wake.lane, wake.token)
    recorder(built).wakes.clear()


class TestCreating:
    def test_a_message_goes_to_its_customer(self, messages: MessageList, built: Gateway) -> None:
        made = messages.create(to=ADA, from_=SHOP, body="Grüße & 1+1=2")
        (record,) = built.store.messages.timeline(f"chat/{ADA}")
        assert made.sid == f"SM{record.message.id}"
        assert (record.message.content, record.message.source) == (Text("Grüße & 1+1=2"), "app")
        assert [wake.lane for wake in recorder(built).wakes] == ["outbound:chat"]

    @pytest.mark.parametrize(("priority", "first"), [("bulk", "reply"), ("normal", "news"), ("", "news")])
    def test_replies_go_before_broadcasts(
        self, priority: str, first: str, web: FlaskClient, messages: MessageList, built: Gateway
    ) -> None:
        form = {"To": ADA, "From": SHOP, "Body": "news", "Priority": priority}
        login = (ACCOUNT, TOKEN)
        assert web.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data=form, auth=login).status_code == 201
        messages.create(to=ADA, from_=SHOP, body="reply")
        claim = built.store.mailboxes.work("outbound:chat", "t", None, lease=10.0).claim
        assert claim is not None
        assert claim.message is not None
        assert claim.message.content == Text(first)

    def test_another_priority_is_refused(self, web: FlaskClient) -> None:
        form = {"To": ADA, "From": SHOP, "Body": "news", "Priority": "high"}
        answer = web.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data=form, auth=(ACCOUNT, TOKEN))
        assert answer.status_code == 400
        assert answer.json is not None
        assert (answer.json["code"], answer.json["message"]) == (20001, "Priority must be normal or bulk")

    def test_a_broadcast_in_several_parts_is_called_off_whole(
        self, web: FlaskClient, messages: MessageList, built: Gateway
    ) -> None:
        form = {
            "To": ADA,
            "From": SHOP,
            "Body": "x" * 300,
            "Priority": "bulk",
            "MediaUrl": "https://cdn.example.test/a.png",
        }
        made = web.post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", data=form, auth=(ACCOUNT, TOKEN))
        assert made.json is not None
        assert messages(made.json["sid"]).update(status="canceled").status == "canceled"
        assert built.store.mailboxes.work("outbound:chat", "t", None, lease=10.0).claim is None

    def test_it_is_shown_as_twilio_shows_it(self, messages: MessageList, clock: Clock) -> None:
        made = messages.create(to=ADA, from_=SHOP, body="Hello")
        now = datetime.fromtimestamp(clock() // 1000, UTC)
        assert (made.status, made.direction, made.body) == ("queued", "outbound-api", "Hello")
        assert (made.from_, made.to, made.account_sid, made.api_version) == (SHOP, ADA, ACCOUNT, "2010-04-01")
        assert (made.date_created, made.date_sent, made.date_updated) == (now, None, now)
        assert (made.num_media, made.num_segments, made.error_code, made.error_message) == ("0", "1", None, None)
        uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{made.sid}"
        assert (made.uri, made.subresource_uris) == (f"{uri}.json", {"media": f"{uri}/Media.json"})
        assert vars(made.fetch()).keys() == vars(made).keys()
        assert made.fetch().date_created == made.date_created

    def test_its_status_is_followed(self, messages: MessageList, built: Gateway, clock: Clock) -> None:
        made = messages.create(to=ADA, from_=SHOP, body="Hello")
        clock.advance(5)
        run_until_quiet(built)
        sent = made.fetch()
        assert (sent.status, sent.date_sent) == ("sent", made.date_created)
        assert sent.date_updated == made.date_created + timedelta(seconds=5)
        accept(built, "chat", Reported(made.sid[2:], "read", customer=ADA))
        assert made.fetch().status == "read"

    def test_a_failed_one_says_why_in_twilios_codes(self, messages: MessageList, built: Gateway) -> None:
        made = messages.create(to=CAROL, from_=WHATSAPP, body="Hello")
        accept(built, "whatsapp", Reported(made.sid[2:], "failed", "rejected: 63016 outside of the window"))
        failed = made.fetch()
        assert (failed.status, failed.error_code) == ("failed", 63016)
        assert failed.error_message == "outside of the window"
        assert failed.date_sent is None

    def test_one_file_with_a_text_is_one_message(self, messages: MessageList, built: Gateway) -> None:
        made = messages.create(to=ADA, from_=SHOP, body="A cat", media_url=["https://cdn.example.test/cat.png"])
        (record,) = built.store.messages.timeline(f"chat/{ADA}")
        cat = Attachment("image", "https://cdn.example.test/cat.png", "image/png", description="A cat")
        assert (record.message.content, made.sid[:2], made.num_media, made.body) == (cat, "MM", "1", "A cat")

    def test_several_files_are_one_message_outside_and_arrive_in_order(
        self, messages: MessageList, built: Gateway
    ) -> None:
        urls = [f"https://cdn.example.test/{n}.png" for n in range(3)]
        made = messages.create(to=ADA, from_=SHOP, body="x" * 300, media_url=urls)
        records = built.store.messages.timeline(f"chat/{ADA}")
        assert [record.message.content.type for record in records] == ["text", *["attachment"] * 3]
        assert made.sid == f"MM{records[-1].message.id}"
        assert (made.num_media, made.body) == ("3", "x" * 300)
        assert [one.sid for one in messages.list()] == [made.sid]
        with pytest.raises(TwilioRestException):
            messages(f"SM{records[0].message.id}").fetch()

    @pytest.mark.parametrize("number", range(3))
    def test_it_has_failed_with_any_of_its_files(self, number: int, messages: MessageList, built: Gateway) -> None:
        urls = [f"https://cdn.example.test/{n}.png" for n in range(3)]
        made = messages.create(to=ADA, from_=SHOP, media_url=urls)
        parts = [record.message.id for record in built.store.messages.timeline(f"chat/{ADA}")]
        run_until_quiet(built)
        assert "sent" == made.fetch().status
        for n, part in enumerate(parts):
            failed = Reported(part, "failed", "rejected: 63016 too late")
            accept(built, "chat", failed if n == number else Reported(part, "delivered"))
        assert ("failed", 63016) == (made.fetch().status, made.fetch().error_code)

    def test_it_has_arrived_with_the_last_of_its_files(self, messages: MessageList, built: Gateway) -> None:
        made = messages.create(to=ADA, from_=SHOP, media_url=[f"https://cdn.example.test/{n}.png" for n in range(3)])
        parts = [record.message.id for record in built.store.messages.timeline(f"chat/{ADA}")]
        run_until_quiet(built)
        seen = []
        for part in reversed(parts):
            accept(built, "chat", Reported(part, "delivered"))
            seen.append(made.fetch().status)
        assert ["sent", "sent", "delivered"] == seen

    def test_customers_of_a_channel_of_ones_own_may_be_called_anything(self, redis_client: redis.Redis) -> None:
        changes = {**CONFIGURATION, "channels__shop": {"destination": "app"}}
        changes["destinations__app"] = {**CONFIGURATION["destinations__app"], "channel": "shop"}
        client = create_app(gateway(redis_client, **changes)).test_client()
        messages = Client(ACCOUNT, TOKEN, http_client=InProcess(client)).messages
        assert messages.create(to="webhook:Ada Lovelace/7", from_=SHOP, body="x").to == "webhook:Ada Lovelace/7"

    def test_callbacks_are_kept_for_the_application(self, messages: MessageList, built: Gateway) -> None:
        messages.create(to=ADA, from_=SHOP, body="x", status_callback="https://app.example.test/status?a=1")
        (record,) = built.store.messages.timeline(f"chat/{ADA}")
        expected = [{"url": "https://app.example.test/status?a=1", "method": "POST"}]
        assert record.message.metadata["status_callbacks"] == expected

    @pytest.mark.parametrize(("to", "sender"), [(ADA, SHOP), (CAROL, WHATSAPP)])
    def test_a_service_takes_the_sender_that_reaches_the_customer(
        self, to: str, sender: str, messages: MessageList
    ) -> None:
        made = messages.create(to=to, messaging_service_sid=POOL, body="x")
        assert (made.from_, made.messaging_service_sid) == (sender, POOL)
        assert made.fetch().messaging_service_sid == POOL

    def test_its_price_is_what_was_booked(self, redis_client: redis.Redis) -> None:
        prices = {"currency": "EUR", "channels": {"chat": {"inbound": "0.002", "outbound": "0.0075"}}}
        built = gateway(redis_client, **CONFIGURATION, costs={**prices, "destinations": {"app": {"turn": "0.5"}}})
        messages = Client(ACCOUNT, TOKEN, http_client=InProcess(create_app(built).test_client())).messages
        wrote, made = writes(built, "x"), messages.create(to=ADA, from_=SHOP, body="x")
        assert (made.price, made.price_unit) == (None, "EUR")
        run_until_quiet(built)
        assert (made.fetch().price, messages(f"SM{wrote}").fetch().price) == ("-0.0075", "-0.002")

    def test_a_template_goes_where_twilio_carries_it(self, messages: MessageList, built: Gateway) -> None:
        messages.create(to=CAROL, from_=WHATSAPP, content_sid="HX1", content_variables='{"1":"Ada"}')
        (record,) = built.store.messages.timeline(f"whatsapp/{CAROL}")
        assert record.message.metadata["content_sid"] == "HX1"
        assert record.message.metadata["content_variables"] == {"1": "Ada"}

    def test_whoever_opted_out_gets_nothing(self, messages: MessageList, built: Gateway) -> None:
        built.store.consents.write(f"chat/{ADA}", "out", "they wrote STOP")
        with pytest.raises(TwilioRestException) as refused:
            messages.create(to=ADA, from_=SHOP, body="x")
        assert (refused.value.code, refused.value.status) == (21610, 400)
        assert built.store.messages.timeline(f"chat/{ADA}") == []
        assert messages.create(to=BEN, from_=SHOP, body="x").status == "queued"


class TestWhoSends:
    def test_a_service_may_stand_as_the_sender(self, messages: MessageList) -> None:
        made = messages.create(to=CAROL, from_=POOL, body="x")
        assert (made.from_, made.messaging_service_sid) == (WHATSAPP, POOL)
        with pytest.raises(TwilioRestException) as refused:
            messages.create(to=CAROL, from_="MG" + "9" * 32, body="x")
        assert refused.value.code == 21701

    def test_nor_does_a_sender_hide_a_service_that_there_is_not(self, messages: MessageList) -> None:
        with pytest.raises(TwilioRestException) as refused:
            messages.create(to=CAROL, from_=POOL, messaging_service_sid="MG" + "9" * 32, body="x")
        assert refused.value.code == 21701

    def test_what_only_begins_like_a_service_is_a_sender(self, messages: MessageList) -> None:
        with pytest.raises(TwilioRestException) as refused:
            messages.create(to=CAROL, from_=f"{POOL}0", body="x")
        assert refused.value.code == 21606

    def test_rcs_has_addresses_like_others(self, redis_client: redis.Redis) -> None:
        changes = {**CONFIGURATION, "destinations__agent": application("rcs:shop_agent")}
        rich = {"address": "rcs:shop_agent", "destination": "agent"}
        changes["channels__rich"] = {**CONFIGURATION["channels__whatsapp"], **rich}
        web = create_app(gateway(redis_client, **changes)).test_client()
        messages = Client(ACCOUNT, TOKEN, http_client=InProcess(web)).messages
        made = messages.create(to="rcs:+15551230001", from_="rcs:shop_agent", body="x")
        assert (made.from_, made.to, made.num_segments) == ("rcs:shop_agent", "rcs:+15551230001", "1")


class TestTheAccount:
    def test_it_is_there(self, web: FlaskClient) -> None:
        found = Client(ACCOUNT, TOKEN, http_client=InProcess(web)).api.accounts(ACCOUNT).fetch()
        assert (found.sid, found.status, found.auth_token) == (ACCOUNT, "active", None)

    def test_for_nobody_else(self, web: FlaskClient) -> None:
        assert web.get(f"/2010-04-01/Accounts/{ACCOUNT}.json", auth=(ACCOUNT, "x" * 12)).status_code == 401


class TestFeedback:
    @pytest.mark.parametrize("outcome", ["confirmed", "unconfirmed"])
    def test_it_is_counted(self, outcome: str, messages: MessageList, built: Gateway) -> None:
        made = messages.create(**GOOD)
        given = messages(made.sid).feedback.create(outcome=outcome)
        assert (given.message_sid, given.outcome) == (made.sid, outcome)
        assert {f"feedback:chat:{outcome}": 1}.items() <= built.store.lanes.counts().items()

    def test_it_confirms_unless_it_says_otherwise(self, messages: MessageList) -> None:
        assert "confirmed" == messages(messages.create(**GOOD).sid).feedback.create().outcome

    def test_of_another_kind_it_is_refused(self, messages: MessageList) -> None:
        with pytest.raises(TwilioRestException) as refused:
            messages(messages.create(**GOOD).sid).feedback.create(outcome="great")
        assert refused.value.code == 20001


LONG_HOST = f"https://{'a' * 64}.example.test/"
GOOD = {"to": ADA, "from_": SHOP, "body": "x"}
REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "nobody to send to": ({"to": ""}, 21604),
    "an address without a provider": ({"to": "ada"}, 21211),
    "an address without an identifier": ({"to": "webchat:"}, 21211),
    "an address with a space before its identifier": ({"to": "webchat: ada"}, 21211),
    "an address with a line break": ({"to": "webchat:a\nb"}, 21211),
    "an address that is too long": ({"to": f"webchat:{'a' * 250}"}, 21211),
    "a number that is too short": ({"to": "+12"}, 21211),
    "a number that is none": ({"to": "whatsapp:+1555abc"}, 21211),
    "a text number that is none": ({"to": "sms:ada"}, 21211),
    "a number that no channel of the sender reaches": ({"to": "+15551230001"}, 21612),
    "a customer on a channel of another sender": ({"to": CAROL}, 21612),
    "nobody who sends": ({"from_": ""}, 21603),
    "somebody else's sender": ({"from_": "webchat:theirs"}, 21606),
    "a sender that is none": ({"from_": "+15550000000"}, 21606),
    "a service that is none": ({"from_": "", "messaging_service_sid": "MG" + "9" * 32}, 21701),
    "a service without a way": ({"from_": "", "messaging_service_sid": POOL, "to": "+15551230001"}, 21703),
    "a sender outside of the service": ({"from_": "webchat:theirs", "messaging_service_sid": POOL}, 21606),
    "nothing to say": ({"body": ""}, 21602),
    "a body too long": ({"body": "x" * 1_601}, 21617),
    "a file without an address": ({"media_url": ["cat.png"]}, 21620),
    "a file with too long an address": ({"media_url": ["https://cdn.example.test/" + "x" * 2_000]}, 21620),
    "too many files": ({"media_url": [f"https://cdn.example.test/{n}" for n in range(11)]}, 21623),
    "a callback that is none": ({"status_callback": "status"}, 21609),
    "a callback to a host with an underscore": ({"status_callback": "https://my_host.example.test/"}, 21609),
    "a callback to a host that is none": ({"status_callback": LONG_HOST}, 21609),
    "a template on a channel that knows none": ({"content_sid": "HX1"}, 21655),
    "a template with files": ({"content_sid": "HX1", "media_url": ["https://cdn.example.test/1.png"]}, 20001),
    "variables without a template": ({"content_variables": "{}"}, 21656),
    "later": ({"send_at": datetime(2030, 1, 1, tzinfo=UTC), "schedule_type": "fixed"}, 20001),
    "for a while": ({"validity_period": 60}, 20001),
}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_sent_is_refused_with_twilios_code(
    changes: dict[str, Any], code: int, messages: MessageList, built: Gateway
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        messages.create(**{**GOOD, **changes})
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert refused.value.msg.strip() not in ("", "Unable to create record")
    assert recorder(built).wakes == []


NESTED = '{"1":' + "[" * 300 + "]" * 300 + "}"
LARGE = '{"1":"' + "x" * 20_000 + '"}'


@pytest.mark.parametrize("variables", ["no json", "[]", "7", NESTED, LARGE], ids=lambda value: value[:9])
def test_variables_that_are_no_object_or_too_much_of_one(variables: str, messages: MessageList) -> None:
    with pytest.raises(TwilioRestException) as refused:
        messages.create(to=CAROL, from_=WHATSAPP, content_sid="HX1", content_variables=variables)
    assert refused.value.code == 21656


def test_what_changes_nothing_for_the_customer_is_passed_over(messages: MessageList) -> None:
    assert messages.create(**GOOD, smart_encoded=True, provide_feedback=True, max_price=1.0).status == "queued"


def test_a_full_mailbox_asks_for_patience(redis_client: redis.Redis) -> None:
    built = gateway(redis_client, **CONFIGURATION, gateway={"mailbox_limit": 1})
    web = create_app(built).test_client()
    path, form = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", {"To": ADA, "From": SHOP, "Body": "x"}
    first, second = (web.post(path, data=form, auth=(ACCOUNT, TOKEN)) for _ in range(2))
    assert (first.status_code, second.status_code, second.json["code"]) == (201, 429, 20429)
    assert second.headers["Retry-After"] == "5"


CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}


@pytest.mark.parametrize("path", ["Messages.json", f"Messages/SM{'1' * 32}.json"])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"])
def test_a_body_too_large_is_413_although_it_announced_no_length(
    kind: str, path: str, redis_client: redis.Redis
) -> None:
    built = gateway(redis_client, **CONFIGURATION, gateway={"max_body": 1024})
    answer = (
        create_app(built)
        .test_client()
        .post(
            f"/2010-04-01/Accounts/{ACCOUNT}/{path}",
            input_stream=io.BytesIO(urlencode({"To": ADA, "From": SHOP, "Body": "x" * 2_000}).encode()),
            content_type=kind,
            environ_overrides=CHUNKED,
            auth=(ACCOUNT, TOKEN),
        )
    )
    assert (413, 413, 20001) == (answer.status_code, answer.json["status"], answer.json["code"])
    assert [] == built.store.messages.timeline(f"chat/{ADA}")


def test_one_that_fits_is_read(built: Gateway, web: FlaskClient) -> None:
    answer = web.post(
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        input_stream=io.BytesIO(urlencode({"To": ADA, "From": SHOP, "Body": "x"}).encode()),
        content_type="application/x-www-form-urlencoded",
        environ_overrides=CHUNKED,
        auth=(ACCOUNT, TOKEN),
    )
    assert (201, "x") == (answer.status_code, answer.json["body"])


class TestLoggingIn:
    GOOD = [(ACCOUNT, TOKEN), (ACCOUNT, OLD_TOKEN), (KEY, SECRET)]
    BAD = [
        (ACCOUNT, ""),
        (ACCOUNT, SECRET),
        (ACCOUNT, "other-token-1"),
        (KEY, TOKEN),
        (OTHER, "other-token-1"),
        ("", ""),
        (ACCOUNT, "tökén"),
    ]

    @pytest.mark.parametrize("login", GOOD)
    def test_every_secret_of_the_account_is_good(self, login: tuple[str, str], web: FlaskClient) -> None:
        client = Client(*login, account_sid=ACCOUNT, http_client=InProcess(web))
        assert client.messages.list() == []

    @pytest.mark.parametrize("login", BAD)
    def test_others_are_not(self, login: tuple[str, str], web: FlaskClient) -> None:
        answer = web.get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", auth=login)
        assert (answer.status_code, answer.json["code"]) == (401, 20003)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")

    @pytest.mark.parametrize("header", ["", "Bearer x", "Basic", "Basic !!!", "Basic OnRva2Vu"])
    def test_nor_is_no_login(self, header: str, web: FlaskClient) -> None:
        headers = {"Authorization": header} if header else {}
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        assert web.get(path, headers=headers).status_code == 401
        assert web.post(path, headers=headers, data={"To": ADA, "From": SHOP, "Body": "x"}).status_code == 401

    def test_an_account_that_is_none(self, web: FlaskClient) -> None:
        assert web.get(f"/2010-04-01/Accounts/AC{'9' * 32}/Messages.json", auth=(ACCOUNT, TOKEN)).status_code == 401

    def test_another_accounts_messages_are_not_there(self, messages: MessageList, web: FlaskClient) -> None:
        made = messages.create(**GOOD)
        theirs = Client(OTHER, "other-token-1", http_client=InProcess(web)).messages
        assert theirs.list() == []
        with pytest.raises(TwilioRestException) as refused:
            theirs(made.sid).fetch()
        assert (refused.value.code, refused.value.status) == (20404, 404)

    @pytest.mark.parametrize(
        ("method", "path", "form"),
        [
            ("POST", ".json", {"Body": ""}),
            ("POST", ".json", {"Status": "canceled"}),
            ("DELETE", ".json", {}),
            ("POST", "/Feedback.json", {}),
            ("GET", "/Media.json", {}),
            ("GET", "/Media/{}.json", {}),
            ("GET", "/Media/{}", {}),
            ("DELETE", "/Media/{}.json", {}),
        ],
    )
    def test_nor_is_anything_about_them(
        self, method: str, path: str, form: dict[str, str], messages: MessageList, built: Gateway, web: FlaskClient
    ) -> None:
        made = messages.create(**{**GOOD, "media_url": ["https://cdn.example.test/1.png"]})
        run_until_quiet(built)
        before = web.get(made.uri, auth=(ACCOUNT, TOKEN)).json
        about = f"/2010-04-01/Accounts/{OTHER}/Messages/{made.sid}{path.format(made.media.list()[0].sid)}"
        answer = web.open(about, method=method, data=form, auth=(OTHER, "other-token-1"))
        assert (answer.status_code, answer.json["code"]) == (404, 20404)
        assert before == web.get(made.uri, auth=(ACCOUNT, TOKEN)).json
        assert not [name for name in built.store.lanes.counts() if name.startswith("feedback")]


class TestListing:
    def test_both_directions_the_newest_first(self, messages: MessageList, built: Gateway, clock: Clock) -> None:
        asked = writes(built, "a question")
        clock.advance(1)
        reply = derived_id(asked, "reply")
        answered = messages.create(to=ADA, from_=SHOP, body="an answer")
        found = messages.list()
        assert [one.sid for one in found] == [answered.sid, f"SM{asked}"]
        inbound = found[1]
        assert (inbound.direction, inbound.status, inbound.from_, inbound.to) == ("inbound", "received", ADA, SHOP)
        assert (inbound.body, inbound.date_sent, reply != asked) == ("a question", inbound.date_created, True)

    def test_what_others_say_on_the_channel_is_a_reply(self, messages: MessageList, built: Gateway) -> None:
        accept(built, "desk", Written(Text("an agent"), conversation=f"chat/{ADA}", author="agent", window=1.0))
        (found,) = messages.list()
        assert (found.direction, found.from_, found.to) == ("outbound-reply", SHOP, ADA)

    def test_channels_that_are_not_the_accounts_are_not_listed(self, messages: MessageList, built: Gateway) -> None:
        writes(built, "x", channel="second")
        writes(built, "x", channel="shop", customer="webhook:ada")
        assert messages.list() == []

    @pytest.mark.parametrize(
        ("narrow", "bodies"),
        [
            ({"to": ADA}, ["to ada"]),
            ({"from_": ADA}, ["from ada"]),
            ({"to": SHOP}, ["from ben", "from ada"]),
            ({"from_": SHOP}, ["to ada"]),
            ({"from_": BEN, "to": SHOP}, ["from ben"]),
            ({"from_": CAROL}, ["from carol"]),
            ({"from_": "webchat:nobody"}, []),
        ],
    )
    def test_it_is_narrowed_by_who_wrote_to_whom(
        self, narrow: dict[str, str], bodies: list[str], messages: MessageList, built: Gateway, clock: Clock
    ) -> None:
        writes(built, "from ada")
        clock.advance(1)
        messages.create(to=ADA, from_=SHOP, body="to ada")
        clock.advance(1)
        writes(built, "from ben", BEN)
        clock.advance(1)
        writes(built, "from carol", CAROL, "whatsapp")
        assert [one.body for one in messages.list(**narrow)] == bodies

    @pytest.mark.parametrize(
        ("narrow", "bodies"),
        [
            ({"date_sent": date(2027, 1, 15)}, ["noon", "morning"]),
            ({"date_sent_after": date(2027, 1, 15)}, ["next day", "noon", "morning"]),
            ({"date_sent_before": date(2027, 1, 15)}, ["morning", "day before"]),
            ({"date_sent_after": datetime(2027, 1, 15, 12, tzinfo=UTC)}, ["next day", "noon"]),
            ({"date_sent_before": datetime(2027, 1, 15, 11, 59, 59, tzinfo=UTC)}, ["morning", "day before"]),
            (
                {"date_sent_after": date(2027, 1, 15), "date_sent_before": datetime(2027, 1, 15, 9, tzinfo=UTC)},
                ["morning"],
            ),
        ],
    )
    def test_it_is_narrowed_by_day(
        self, narrow: dict[str, Any], bodies: list[str], messages: MessageList, built: Gateway, clock: Clock
    ) -> None:
        for body, moment in (
            ("day before", datetime(2027, 1, 14, 23, 59, 59, 999_000, UTC)),
            ("morning", datetime(2027, 1, 15, 0, 0, 0, 0, UTC)),
            ("noon", datetime(2027, 1, 15, 12, 0, 0, 0, UTC)),
            ("next day", datetime(2027, 1, 16, 0, 0, 0, 0, UTC)),
        ):
            clock.now = int(moment.timestamp() * 1000)
            writes(built, body)
        assert [one.body for one in messages.list(**narrow)] == bodies

    @pytest.mark.parametrize(
        "query",
        [
            *("DateSent=yesterday", "DateSent=0001-01-01T00:00:00%2B14:00", "DateSent<=9999-12-31T23:59:59-12:00"),
            *("PageSize=0", "PageSize=x", f"PageSize={'9' * 5_000}", "Page=-1", "PageToken=PAx", "PageToken=PA1-zz"),
            f"PageToken=PA{'9' * 5_000}-{'a' * 32}",
        ],
        ids=lambda query: query[:40],
    )
    def test_a_query_that_makes_no_sense_is_named(self, query: str, web: FlaskClient) -> None:
        answer = web.get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}", auth=(ACCOUNT, TOKEN))
        assert (answer.status_code, answer.json["code"]) == (400, 20001)
        assert query.partition("=")[0] in answer.json["message"]

    @pytest.mark.parametrize(("name", "least"), [("PageSize", 1), ("Page", 0)])
    @pytest.mark.parametrize("value", ["99999999999", "00000000001", "-1", "1.0"])
    def test_a_number_that_is_refused_is_told_the_whole_rule(
        self, name: str, least: int, value: str, web: FlaskClient
    ) -> None:
        query = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{name}="
        rule = f"{name} must be a whole number from {least}, of at most 10 digits"
        assert web.get(query + value, auth=(ACCOUNT, TOKEN)).json["message"] == rule
        assert web.get(query + "9999999999", auth=(ACCOUNT, TOKEN)).status_code == 200

    def test_the_last_of_all_days_is_a_day(self, messages: MessageList) -> None:
        assert messages.list(date_sent=date.max) == []

    def test_a_page_is_what_twilio_calls_one(self, messages: MessageList, web: FlaskClient) -> None:
        for number in range(3):
            messages.create(to=ADA, from_=SHOP, body=f"{number}")
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        page = web.get(f"{path}?PageSize=2&To={ADA}", auth=(ACCOUNT, TOKEN)).json
        assert len(page.pop("messages")) == 2
        following = page.pop("next_page_uri")
        assert following.startswith(f"{path}?To=webchat%3Aada&PageSize=2&Page=1&PageToken=PA")
        uri = f"{path}?To=webchat%3Aada&PageSize=2&Page=0"
        assert page == {
            "page": 0,
            "page_size": 2,
            "start": 0,
            "end": 1,
            "uri": uri,
            "first_page_uri": uri,
            "previous_page_uri": None,
        }
        last = web.get(following, auth=(ACCOUNT, TOKEN)).json
        assert (len(last["messages"]), last["page"], last["start"], last["next_page_uri"]) == (1, 1, 2, None)

    def test_pages_are_turned_back_as_they_came(self, messages: MessageList, web: FlaskClient, clock: Clock) -> None:
        for number in range(7):
            messages.create(to=ADA, from_=SHOP, body=f"{number}")
            messages.create(to=BEN, from_=SHOP, body="x")
            clock.advance(number % 2)
        page = web.get(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=2&To={ADA}", auth=(ACCOUNT, TOKEN)).json
        forward = [page]
        while page["next_page_uri"]:
            page = web.get(page["next_page_uri"], auth=(ACCOUNT, TOKEN)).json
            forward.append(page)
        assert [2, 2, 2, 1] == [len(one["messages"]) for one in forward]
        back = [page]
        while page["previous_page_uri"]:
            page = web.get(page["previous_page_uri"], auth=(ACCOUNT, TOKEN)).json
            back.append(page)
        assert [(p["page"], p["messages"]) for p in reversed(forward)] == [(p["page"], p["messages"]) for p in back]
        assert forward[0]["previous_page_uri"] is None

    def test_nothing_lies_before_the_first_page(self, messages: MessageList, web: FlaskClient, clock: Clock) -> None:
        def page(uri: str) -> dict[str, Any]:
            found: dict[str, Any] = web.get(uri, auth=(ACCOUNT, TOKEN)).json
            return found

        moment = datetime(2027, 1, 15, tzinfo=UTC)
        for number in range(6):
            clock.now = int((moment + timedelta(days=number // 3)).timestamp() * 1000) + number
            messages.create(to=ADA, from_=SHOP, body=f"{number}")
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=2"
        first = page(f"{path}&DateSent=2027-01-15")
        second = page(first["next_page_uri"])
        assert ["2", "1", "0"] == [one["body"] for found in (first, second) for one in found["messages"]]
        assert first == page(second["previous_page_uri"]), "what is newer than the day is none of the list"
        assert page(f"{path}&Page=1")["previous_page_uri"] is None, "without a token it is the first one"
        second = page(page(path)["next_page_uri"])
        token = parse_qs(urlsplit(second["next_page_uri"]).query)["PageToken"][0]
        third = page(f"{path}&PageToken={token}")
        assert second["messages"] == page(third["previous_page_uri"])["messages"], (
            "with one it is not, without a number"
        )

    def test_messages_that_come_while_one_turns_the_pages_move_nothing(
        self, messages: MessageList, clock: Clock
    ) -> None:
        old = [messages.create(to=ADA, from_=SHOP, body=f"{n}").sid for n in range(4)]
        stream = messages.stream(page_size=2)
        seen = [next(stream).sid for _ in range(2)]
        clock.advance(1)
        messages.create(to=ADA, from_=SHOP, body="new")
        seen += [one.sid for one in stream]
        assert sorted(seen) == sorted(old)

    def test_a_page_that_would_be_looked_for_too_long_leads_on(
        self, messages: MessageList, built: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "LOOKED_AT", 3)
        writes(built, "from ben", BEN)
        for number in range(7):
            writes(built, f"{number}")
        assert [one.body for one in messages.list(from_=BEN)] == ["from ben"]

    def test_nor_is_the_page_before_looked_for_without_end(
        self, messages: MessageList, web: FlaskClient, monkeypatch: pytest.MonkeyPatch, clock: Clock
    ) -> None:
        monkeypatch.setattr(listing, "LOOKED_AT", 3)
        for customer in (ADA, *[BEN] * 6, ADA, ADA):
            messages.create(to=customer, from_=SHOP, body="x")
            clock.advance(1)
        uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=1&To={ADA}"
        while uri:
            page = web.get(uri, auth=(ACCOUNT, TOKEN)).json
            uri = page["next_page_uri"]
        first = page["previous_page_uri"]
        assert ("Page=0" in first, "PageToken" in first) == (True, False)


class TestPages:
    """Every message once, in one order, whatever the pages are and however many came in one millisecond."""

    @pytest.fixture
    def filled(self, built: Gateway, web: FlaskClient, clock: Clock) -> MessageList:
        for number in range(40):
            writes(built, f"{number}", (ADA, BEN)[number % 2])
            clock.advance(0.001 * (number % 5 == 0))
        return Client(ACCOUNT, TOKEN, http_client=InProcess(web)).messages

    @given(size=st.integers(1, 50), narrow=st.sampled_from([{}, {"from_": ADA}, {"to": SHOP}]))
    @settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_every_message_once(self, size: int, narrow: dict[str, str], filled: MessageList) -> None:
        found = list(filled.stream(page_size=size, **narrow))
        assert len({one.sid for one in found}) == len(found) == (20 if narrow.get("from_") else 40)
        assert [one.date_created for one in found] == sorted((one.date_created for one in found), reverse=True)


def sent(built: Gateway, messages: MessageList, **more: Any) -> MessageInstance:
    made = messages.create(**{**GOOD, **more})
    run_until_quiet(built)
    return made


class TestChanging:
    def test_a_text_is_redacted(self, built: Gateway, messages: MessageList, redis_client: redis.Redis) -> None:
        made = sent(built, messages, body="secret", media_url=["https://cdn.example.test/cat.png"])
        assert made.update(body="").body == ""
        again = made.fetch()
        assert (again.body, again.num_media, again.status) == ("", "1", "sent")
        assert "secret" not in (redis_client.hget(f"{{patchbay}}:m:{made.sid[2:]}", "body") or "")

    def test_all_parts_are_redacted(self, built: Gateway, messages: MessageList) -> None:
        made = sent(built, messages, body="secret" * 100, media_url=["https://cdn.example.test/cat.png"])
        made.update(body="")
        assert all("secret" not in str(record) for record in built.store.messages.timeline(f"chat/{ADA}"))
        assert made.fetch().body == ""

    def test_what_a_customer_wrote_is_redacted(self, built: Gateway, messages: MessageList) -> None:
        wrote = writes(built, "secret", metadata={"twilio": {"Body": "secret", "Other": "kept"}})
        with pytest.raises(TwilioRestException) as refused:
            messages(f"SM{wrote}").update(body="")
        assert (refused.value.code, refused.value.status) == (20009, 409)  # the application has not got it yet
        settle_inbound(built)
        assert messages(f"SM{wrote}").update(body="").body == ""
        record = built.store.messages.read(wrote)
        assert record is not None
        assert (record.message.content, record.message.metadata) == (
            Text(""),
            {"twilio": {"Body": "", "Other": "kept"}},
        )

    def test_a_place_stays(self, built: Gateway, messages: MessageList) -> None:
        wrote = writes(built, Location(1.0, 2.0))
        settle_inbound(built)
        messages(f"SM{wrote}").update(body="")
        record = built.store.messages.read(wrote)
        assert record is not None
        assert record.message.content == Location(1.0, 2.0)

    def test_a_message_is_deleted(self, built: Gateway, messages: MessageList, redis_client: redis.Redis) -> None:
        made, other = sent(built, messages), sent(built, messages)
        assert made.delete() is True
        assert [one.sid for one in messages.list()] == [other.sid]
        assert redis_client.lrange(f"{{patchbay}}:t:chat/{ADA}", 0, -1) == [other.sid[2:]]
        for again in (made.delete, made.fetch):
            with pytest.raises(TwilioRestException) as refused:
                again()
            assert (refused.value.code, refused.value.status) == (20404, 404)

    def test_one_of_its_files_is_deleted(self, built: Gateway, messages: MessageList) -> None:
        urls = [f"https://cdn.example.test/{n}.png" for n in range(3)]
        made = messages.create(**{**GOOD, "media_url": urls})
        with pytest.raises(TwilioRestException) as refused:
            made.media.list()[1].delete()
        assert refused.value.code == 20009  # it still waits
        run_until_quiet(built)
        before = [one.sid for one in made.media.list()]
        assert messages(made.sid).media(before[1]).delete()
        assert [before[0], before[2]] == [one.sid for one in made.media.list()]
        assert (made.sid, "2") == (made.fetch().sid, made.fetch().num_media)
        assert not any(urls[1] in str(record) for record in built.store.messages.timeline(f"chat/{ADA}"))
        with pytest.raises(TwilioRestException) as refused:
            messages(made.sid).media(before[1]).delete()
        assert refused.value.status == 404

    def test_the_only_file_of_a_customers_message_is_deleted(self, built: Gateway, messages: MessageList) -> None:
        wrote = f"MM{writes(built, Attachment('image', 'https://cdn.example.test/a.png', description='Look'))}"
        settle_inbound(built)
        (file,) = messages(wrote).media.list()
        assert file.delete()
        found = messages(wrote).fetch()
        assert (wrote, "Look", "0") == (found.sid, found.body, found.num_media)

    def test_one_that_waits_is_not_deleted(self, messages: MessageList) -> None:
        made = messages.create(**GOOD)
        with pytest.raises(TwilioRestException) as refused:
            made.delete()
        assert (refused.value.code, refused.value.status) == (20009, 409)
        assert made.fetch().status == "queued"

    def test_one_that_waits_is_called_off(self, built: Gateway, messages: MessageList) -> None:
        first, made, last = (messages.create(**{**GOOD, "body": body}) for body in ("first", "second", "last"))
        assert made.update(status="canceled").status == "canceled"
        run_until_quiet(built)
        assert [one.fetch().status for one in (first, made, last)] == ["sent", "canceled", "sent"]
        assert (made.fetch().error_code, made.fetch().date_sent) == (None, None)
        assert built.store.lanes.state("outbound:chat", 0).waiting == 0

    def test_all_its_parts_are_called_off(self, built: Gateway, messages: MessageList) -> None:
        made = messages.create(**{**GOOD, "media_url": [f"https://cdn.example.test/{n}.png" for n in range(3)]})
        made.update(status="canceled")
        assert [record.status for record in built.store.messages.timeline(f"chat/{ADA}")] == ["failed"] * 3
        assert built.store.lanes.state("outbound:chat", 0).waiting == 0
        assert built.store.lanes.state("outbound:chat", 0).ready == 0

    def test_its_parts_are_found_however_much_came_since(self, built: Gateway, messages: MessageList) -> None:
        made = messages.create(**{**GOOD, "media_url": [f"https://cdn.example.test/{n}.png" for n in range(3)]})
        first = built.store.messages.timeline(f"chat/{ADA}")[0].message.id
        for number in range(210):
            write = Message(f"{number:032x}", "outbound", "chat", ADA, Text("x"), "bot", "app", 1)
            built.store.mailboxes.accept(Acceptance(entry=Append(write, "outbound:chat")))
        made.update(status="canceled")
        part = built.store.messages.read(first)
        assert part is not None
        assert part.status == "failed"
        assert built.store.lanes.state("outbound:chat", 0).waiting == 210

    @pytest.mark.parametrize("stranger", ["a message of its own", "a part elsewhere", "none"])
    def test_nobody_elses_messages_are_its_parts(self, stranger: str, built: Gateway, messages: MessageList) -> None:
        metadata = {"twilio": {"part": True}} if stranger == "a part elsewhere" else {}
        other = Message("a" * 32, "outbound", "chat", BEN, Text("secret"), "bot", "app", 1, metadata=metadata)
        if stranger == "a message of its own":
            other = replace(other, customer=ADA)
        named = {"parts": 7 if stranger == "none" else [other.id], "twilio": {"body": "x"}}
        mine = Message("b" * 32, "outbound", "chat", ADA, Text("secret"), "bot", "app", 1, metadata=named)
        for one in (other, mine):
            recorder(built).publish(built.store.mailboxes.accept(Acceptance(entry=Append(one, "outbound:chat"))).wakes)
        run_until_quiet(built)
        messages(f"SM{mine.id}").update(body="")
        kept = built.store.messages.read(other.id)
        assert kept is not None
        assert kept.message.content == Text("secret")

    def test_one_that_was_sent_is_too_late(self, built: Gateway, messages: MessageList) -> None:
        made = sent(built, messages)
        with pytest.raises(TwilioRestException) as refused:
            made.update(status="canceled")
        assert (refused.value.code, refused.value.status) == (30409, 409)
        assert made.fetch().status == "sent"

    @pytest.mark.parametrize("how", ["in hand", "tried", "begun", "claimed by a worker that died"])
    def test_one_that_may_be_on_its_way_is_too_late(
        self, how: str, built: Gateway, messages: MessageList, clock: Clock
    ) -> None:
        made = messages.create(**GOOD)
        behind = messages.create(**GOOD)
        mailboxes = built.store.mailboxes
        claim = mailboxes.work("outbound:chat", "t", None, lease=10.0).claim
        assert claim is not None
        if how == "tried":
            mailboxes.settle(Retry(claim, due=5.0, uncertain=True))
        if how == "begun":  # its first part was sent, and surely not its second one
            assert mailboxes.remember(claim, 10.0, Achieved(progress={"part": 1}))
            mailboxes.settle(Retry(claim, due=5.0))
        if how == "claimed by a worker that died":
            clock.advance(20)
            mailboxes.sweep()
        with pytest.raises(TwilioRestException) as refused:
            made.update(status="canceled")
        assert refused.value.code == 30409
        assert behind.update(status="canceled").status == "canceled"
        assert made.fetch().status == "queued"

    def test_one_that_is_only_tried_again_is_not(self, built: Gateway, messages: MessageList) -> None:
        made = messages.create(**GOOD)
        claim = built.store.mailboxes.work("outbound:chat", "t", None, lease=10.0).claim
        assert claim is not None
        built.store.mailboxes.settle(Retry(claim, due=60.0))
        assert made.update(status="canceled").status == "canceled"
        assert built.store.lanes.state("outbound:chat", 0).ready == 0

    @pytest.mark.parametrize("changes", [{"body": "other words"}, {"status": "sent"}, {}])
    def test_nothing_else_can_be_changed(self, changes: dict[str, str], built: Gateway, messages: MessageList) -> None:
        made = sent(built, messages)
        with pytest.raises(TwilioRestException) as refused:
            made.update(**changes)
        assert (refused.value.code, refused.value.status) == (20001, 400)
        assert made.fetch().body == "x"


def settle_inbound(built: Gateway) -> None:
    """The application has got what the customer wrote."""
    while claim := built.store.mailboxes.work("inbound:app", "t", None, lease=10.0).claim:
        built.store.mailboxes.settle(Done(claim, status="delivered"))


class TestMedia:
    URLS = ["https://cdn.example.test/cat.png", "https://cdn.example.test/price-list"]

    def test_the_files_are_listed_and_lead_to_where_they_are(self, messages: MessageList, web: FlaskClient) -> None:
        made = messages.create(to=ADA, from_=SHOP, media_url=self.URLS)
        found = made.media.list()
        assert [one.content_type for one in found] == ["image/png", "application/octet-stream"]
        assert all(one.parent_sid == made.sid for one in found)
        assert made.media(found[1].sid).fetch().uri == found[1].uri
        answer = web.get(found[1].uri.removesuffix(".json"), auth=(ACCOUNT, TOKEN))
        assert (answer.status_code, answer.headers["Location"]) == (307, self.URLS[1])

    def test_a_file_that_is_none(self, messages: MessageList) -> None:
        made = messages.create(to=ADA, from_=SHOP, media_url=self.URLS)
        with pytest.raises(TwilioRestException) as refused:
            made.media("ME" + "0" * 32).fetch()
        assert refused.value.status == 404


def test_what_another_accounts_application_says_on_the_same_channel_is_not_there(redis_client: redis.Redis) -> None:
    theirs = application("webchat:theirs", OTHER, auth_tokens=["other-token-1"], channel="chat")
    shared = {"channels__chat": {"destination": "app", "handoff": "theirs"}, "destinations__theirs": theirs}
    built = gateway(redis_client, **{**CONFIGURATION, **shared})
    http = InProcess(create_app(built).test_client())
    mine, other = (Client(*login, http_client=http).messages for login in ((ACCOUNT, TOKEN), (OTHER, "other-token-1")))
    made = mine.create(**GOOD)
    wrote = writes(built, "hello")
    for messages, sids in ((mine, {made.sid, f"SM{wrote}"}), (other, {f"SM{wrote}"})):
        assert {one.sid for one in messages.list()} == sids
    with pytest.raises(TwilioRestException) as refused:
        other(made.sid).update(status="canceled")
    assert refused.value.status == 404


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", f"/Accounts/{ACCOUNT}/Calls.json", 404, 20404),
            ("GET", f"/Accounts/{ACCOUNT}/Messages/SMx.json", 404, 20404),
            ("GET", f"/Accounts/{ACCOUNT}/Messages/SM{'0' * 32}.json", 404, 20404),
            ("DELETE", f"/Accounts/{ACCOUNT}/Messages.json", 404, 20404),
            ("PUT", f"/Accounts/{ACCOUNT}/Messages.json", 404, 20404),
        ],
    )
    def test_what_is_not_there(self, method: str, path: str, status: int, code: int, web: FlaskClient) -> None:
        answer = web.open(f"/2010-04-01{path}", method=method, auth=(ACCOUNT, TOKEN))
        assert answer.status_code == status
        assert answer.json == {
            "code": code,
            "message": answer.json["message"],
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }

    def test_a_body_that_is_too_large(self, web: FlaskClient) -> None:
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        answer = web.post(path, data={"Body": "x" * 300_000}, auth=(ACCOUNT, TOKEN))
        assert (answer.status_code, answer.json["status"]) == (413, 413)

    @pytest.mark.parametrize(
        ("raised", "status", "code"), [(StoreUnavailable("away"), 503, 20503), (RuntimeError("a bug"), 500, 20500)]
    )
    def test_what_is_our_fault(
        self, raised: Exception, status: int, code: int, built: Gateway, web: FlaskClient
    ) -> None:
        def fail(*args: Any, **options: Any) -> Any:
            raise raised

        built.store.mailboxes.accept = fail  # type: ignore[method-assign]  # Redis is out of reach, or a bug
        path, form = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", {"To": ADA, "From": SHOP, "Body": "x"}
        answer = web.post(path, data=form, auth=(ACCOUNT, TOKEN))
        assert (answer.status_code, answer.json["code"]) == (status, code)
        assert str(raised) not in answer.text


SEGMENTS: dict[str, tuple[str, int]] = {
    "nothing": ("", 1),
    "160 letters": ("a" * 160, 1),
    "161 letters": ("a" * 161, 2),
    "306 letters": ("a" * 306, 2),
    "307 letters": ("a" * 307, 3),
    "80 of two septets": ("€" * 80, 1),
    "81 of two septets": ("€" * 81, 2),
    "70 others": ("ї" * 70, 1),
    "71 others": ("ї" * 71, 2),
    "35 of two units": ("😀" * 35, 1),
    "36 of two units": ("😀" * 36, 2),
}


@pytest.mark.parametrize(("body", "count"), SEGMENTS.values(), ids=SEGMENTS)
def test_texts_are_counted_as_the_networks_do(body: str, count: int) -> None:
    assert segments(body) == count
