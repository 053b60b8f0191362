"""The receiver: every answer that a platform may get, and that nothing is acknowledged before it is recorded."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
import redis
import requests
import structlog
from flask.testing import FlaskClient
from standardwebhooks.webhooks import Webhook as Signer
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from app.core.errors import StoreUnavailable
from app.core.events import Written
from app.core.message import Attachment, Message, Text
from app.gateway import Gateway, limits_of
from app.inbox import Inbox
from app.log import redactor
from app.parked import unpark
from app.platforms.respondio.contacts import contact_id
from app.platforms.twilio.links import Links
from app.platforms.twilio.webhooks import FORM
from app.store import Store
from app.store.connection import connect
from app.web import create_app, receive
from tests.sandbox.flex import PASSWORD, SERVICE, SETTINGS
from tests.support import fixtures
from tests.support.gateway import SECRET, Recorder, gateway, recorder, run_until_quiet, settings
from tests.support.processes import RedisServer, free_port
from tests.support.sink import Sink, Told

TOKEN = "desk-token-0001"
CONVERSATION = "shop/webhook:customer-42"
CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    return gateway(redis_client)


@pytest.fixture
def client(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret).sign("msg_1", now, body.decode("utf-8", "replace")),
    }


def post(client: FlaskClient, body: bytes, path: str = "/channels/shop", **options: Any) -> TestResponse:
    return client.post(path, data=body, **{"headers": signed(body)} | options)


def message(**changes: Any) -> bytes:
    data = {"id": "shop-1", "from": {"id": "customer-42"}, "content": {"type": "text", "text": "Hi"}, **changes}
    return orjson.dumps({"type": "message.created", "data": data})


def agent(client: FlaskClient, body: dict[str, Any] | bytes, token: str = TOKEN, path: str = "message") -> TestResponse:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(f"/destinations/desk/{path}", data=raw, headers={"Authorization": f"Bearer {token}"})


def to_customer(text: str = "It left today.", **changes: Any) -> dict[str, Any]:
    return {"contactId": contact_id(CONVERSATION), "message": {"type": "text", "text": text}, **changes}


def refused(response: TestResponse) -> tuple[int, dict[str, str]]:
    """Status and error of an answer that must be JSON and hold no trace."""
    assert response.mimetype == "application/json"
    assert "Traceback" not in response.text
    assert list(response.get_json()) == ["error"]
    error: dict[str, str] = response.get_json()["error"]
    return response.status_code, error


# --- taken ---


def test_a_message_is_recorded_and_acknowledged_with_our_id(built: Gateway, client: FlaskClient) -> None:
    response = post(client, message())
    assert response.status_code == 202
    (line,) = response.get_json()["accepted"]
    assert (line["id"], line["duplicate"]) == ("shop-1", False)
    record = built.store.messages.read(line["message_id"])
    assert record is not None
    assert (Text("Hi"), "queued", CONVERSATION) == (
        record.message.content,
        record.status,
        record.message.conversation,
    )
    assert [wake.lane for wake in recorder(built).wakes] == ["inbound:helper"]


def test_a_repeated_message_gets_the_same_answer_and_is_recorded_once(built: Gateway, client: FlaskClient) -> None:
    first, second = (post(client, message()).get_json()["accepted"][0] for _ in range(2))
    assert (first["message_id"], False, True) == (second["message_id"], first["duplicate"], second["duplicate"])
    assert built.store.lanes.state("inbound:helper", 0).waiting == 1


@pytest.mark.parametrize("name", fixtures.names("webhook", "unsupported_"))
def test_an_event_that_we_do_not_know_is_acknowledged_and_counted(
    name: str, built: Gateway, client: FlaskClient
) -> None:
    kind = fixtures.value("webhook", name)["type"]
    response = post(client, fixtures.raw("webhook", name))
    assert (202, {"accepted": [{"ignored": kind}]}) == (response.status_code, response.get_json())
    assert {f"ignored:shop:{kind}": 1} == built.store.lanes.counts()


ODD = {"id": "customer-42", "email": "", "country": "USA", "name": "x" * 300, "picture": "me.png"}


def test_details_that_were_dropped_or_cut_are_counted_by_channel_and_field(built: Gateway, client: FlaskClient) -> None:
    for number in range(2):
        assert 202 == post(client, message(id=f"m-{number}", **{"from": ODD})).status_code
    assert 202 == post(client, message(id="m-2", metadata=[])).status_code
    assert {
        "cut:shop:name": 2,
        "dropped:shop:country": 2,
        "dropped:shop:email": 2,
        "dropped:shop:metadata": 1,
        "dropped:shop:picture": 2,
    } == built.store.lanes.counts()


def test_an_agents_details_are_counted_too(built: Gateway, client: FlaskClient) -> None:
    post(client, message())
    file = {"type": "image", "url": "https://cdn.example.test/a.png", "fileName": ""}
    assert 200 == agent(client, to_customer(message={"type": "attachment", "attachment": file})).status_code
    assert {"dropped:desk:fileName": 1} == built.store.lanes.counts()


def test_for_a_mere_count_no_webhook_is_refused(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(what: str) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(built.store.lanes, "count", away)
    assert 202 == post(client, message(**{"from": ODD})).status_code


def test_an_agents_message_is_recorded_and_takes_the_conversation(built: Gateway, client: FlaskClient) -> None:
    post(client, message())
    response = agent(client, to_customer())
    assert response.status_code == 200
    assert list(response.get_json()) == ["mId"]
    record = built.store.messages.read(response.get_json()["mId"])
    assert record is not None
    assert (record.message.direction, record.message.author, record.message.source) == ("outbound", "agent", "desk")
    session = built.store.sessions.read(CONVERSATION)
    assert session is not None
    assert (session.destination, session.mode) == ("desk", "human")


def test_an_agents_message_that_comes_twice_at_once_is_one(client: FlaskClient) -> None:
    first, again, other = (agent(client, to_customer(text)).get_json()["mId"] for text in ("A", "A", "B"))
    assert first == again
    assert first != other


def test_with_phone_numbers_an_agent_writes_first(redis_client: redis.Redis) -> None:
    built = gateway(redis_client, destinations__desk={"id_type": "phone", "channel": "shop"})
    response = agent(create_app(built).test_client(), to_customer(contactId="+15550000001"))
    record = built.store.messages.read(response.get_json()["mId"])
    assert record is not None
    assert (record.message.channel, record.message.customer) == ("shop", "webhook:+15550000001")


def test_a_body_that_comes_in_chunks_is_read(client: FlaskClient) -> None:
    body = message()
    response = client.post(
        "/channels/shop",
        input_stream=io.BytesIO(body),
        headers=signed(body),
        environ_overrides=CHUNKED,
    )
    assert response.status_code == 202


# --- refused ---


def test_a_webhook_that_does_not_verify_is_401(built: Gateway, client: FlaskClient) -> None:
    status, error = refused(client.post("/channels/shop", data=message()))
    assert (status, error) == (401, {"message": "Not verified: the header webhook-id is missing."})
    assert refused(agent(client, to_customer(), token="desk-token-0002"))[0] == 401
    assert refused(client.post("/channels/chat", json={}))[0] == 401
    assert refused(client.post("/destinations/helper", json={}))[0] == 401
    assert built.store.lanes.state("inbound:helper", 0).waiting == 0


BAD: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "", "The body is empty."),
    "not JSON": (b"{", "", "The body is not JSON"),
    "a list": (b"[]", "", "The body must be a JSON object."),
    "no data": (b'{"type":"message.created"}', "data", "Missing data for required field."),
    "an empty text": (
        message(content={"type": "text", "text": ""}),
        "data.content.text",
        "Length must be between 1 and 7000.",
    ),
}


@pytest.mark.parametrize(("body", "field", "words"), BAD.values(), ids=BAD)
def test_a_malformed_body_is_400_and_names_the_field(body: bytes, field: str, words: str, client: FlaskClient) -> None:
    status, error = refused(post(client, body))
    assert (400, field) == (status, error.get("field", ""))
    assert error["message"].startswith(words)


def test_an_agent_reads_the_field_and_the_rule_in_one_sentence(client: FlaskClient) -> None:
    status, error = refused(agent(client, to_customer(message={"type": "text", "text": ""})))
    assert (status, error) == (400, {"message": "message.text: Length must be between 1 and 7000."})


STRANGERS = {
    "another channel's conversation": "other/webhook:customer-42",
    "an alias that nobody remembers": "shop/webhook:" + "x" * 100,
}


@pytest.mark.parametrize("conversation", STRANGERS.values(), ids=STRANGERS)
def test_a_contact_that_is_not_known_here_is_404(conversation: str, client: FlaskClient) -> None:
    status, error = refused(agent(client, to_customer(contactId=contact_id(conversation))))
    assert (status, error) == (404, {"message": "This contact is not known here."})


def test_a_destination_may_not_write_where_no_channel_names_it(redis_client: redis.Redis) -> None:
    second = {
        "type": "respondio",
        "webhook_url": "http://127.0.0.1:9/",
        "channel_id": "ch_2",
        "api_token": "second-token-01",
    }
    built = gateway(redis_client, channels__shop={"handoff": "second"}, destinations__second=second)
    assert refused(agent(create_app(built).test_client(), to_customer()))[0] == 404


UNKNOWN = ["/channels/nobody", "/channels/desk", "/destinations/nobody", "/destinations/shop", "/elsewhere", "/"]


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_address_that_there_is_not_is_404(path: str, client: FlaskClient) -> None:
    assert refused(post(client, message(), path))[0] == 404


@pytest.mark.parametrize("path", ["/channels/shop", "/destinations/desk/message"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405_and_says_which_one_is_good(method: str, path: str, client: FlaskClient) -> None:
    response = client.open(path, method=method)
    assert refused(response)[0] == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/channels/shop", "/channels/shop/status", "/channels/chat"])
def test_a_channel_takes_webhooks_only_by_its_own_method(path: str, built: Gateway, client: FlaskClient) -> None:
    response = client.get(path)
    assert (405, {"message": "This channel's webhooks come by POST."}) == refused(response)
    assert "POST" == response.headers["Allow"]
    assert 405 == client.head(path).status_code


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "in chunks"])
def test_a_body_too_large_is_413(chunked: bool, redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client, gateway={"max_body": 1024})).test_client()
    fits, too_large = b"x" * 1024, b"x" * 1025
    environ = CHUNKED if chunked else {}
    assert refused(post(client, fits, environ_overrides=environ))[0] == 400
    assert refused(post(client, too_large, environ_overrides=environ))[0] == 413


def test_a_full_mailbox_is_429_with_a_time(redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client, gateway={"mailbox_limit": 1})).test_client()
    assert post(client, message(id="1")).status_code == 202
    response = post(client, message(id="2"))
    assert refused(response)[0] == 429
    assert response.headers["Retry-After"] == "5"
    assert post(client, message(id="3", **{"from": {"id": "somebody-else"}})).status_code == 202
    assert post(client, message(id="1")).status_code == 202, "a repeat is no new message"


def test_a_full_lane_is_503_with_a_time(redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client, gateway={"lane_limit": 1})).test_client()
    assert post(client, message(id="1")).status_code == 202
    response = post(client, message(id="2", **{"from": {"id": "somebody-else"}}))
    assert refused(response)[0] == 503
    assert response.headers["Retry-After"] == "10"
    assert agent(client, to_customer()).status_code == 200, "another lane is not full"


def test_an_agent_is_told_when_a_mailbox_is_full(redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client, gateway={"mailbox_limit": 1})).test_client()
    assert agent(client, to_customer("1")).status_code == 200
    response = agent(client, to_customer("2"))
    assert (refused(response)[0], response.headers["Retry-After"]) == (429, "5")


# --- the store ---


@pytest.fixture
def away() -> FlaskClient:
    """A receiver whose Redis is not there."""
    chosen = settings()
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    return create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()


WEBHOOKS: dict[str, Callable[[FlaskClient], TestResponse]] = {
    "a message": lambda client: post(client, message()),
    "a report": lambda client: post(client, fixtures.raw("webhook", "status_delivered")),
    "an end": lambda client: post(client, fixtures.raw("webhook", "ended")),
    "something unknown": lambda client: post(client, fixtures.raw("webhook", "unsupported_poll")),
    "an agent's message": lambda client: agent(client, to_customer()),
}


@pytest.mark.parametrize("webhook", WEBHOOKS.values(), ids=WEBHOOKS)
def test_while_redis_is_away_everything_is_503_with_a_time(
    webhook: Callable[[FlaskClient], TestResponse], away: FlaskClient
) -> None:
    response = webhook(away)
    assert (refused(response)[0], response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize(("window", "most"), [(3.0, 1), (5.0, 3), (60.0, 5)])
def test_who_is_told_of_a_time_out_comes_again_while_a_repeat_is_recognised(
    window: float, most: int, redis_client: redis.Redis, redis_server: RedisServer
) -> None:
    chosen = settings(destinations__desk={"repeat_window": window})
    store = Store(connect(redis_server.url, timeout=0.3, name="tests"), limits_of(chosen))
    built = Gateway(chosen, store, Recorder())
    built.declare()
    client = create_app(built).test_client()
    post(client, message())
    redis_client.client_pause(500, all=True)
    late = agent(client, to_customer())
    assert (503, str(most)) == (late.status_code, late.headers["Retry-After"])
    assert "did not answer in time" in refused(late)[1]["message"]
    redis_client.ping()  # answered when the pause is over
    assert 200 == agent(client, to_customer()).status_code
    assert 2 == len(built.store.messages.timeline(CONVERSATION, 10)), "hers and one of the agent's"


def test_a_webhook_that_names_its_messages_may_take_longer(
    redis_client: redis.Redis, redis_server: RedisServer
) -> None:
    chosen = settings()
    store = Store(connect(redis_server.url, timeout=0.3, name="tests"), limits_of(chosen))
    client = create_app(Gateway(chosen, store, Recorder())).test_client()
    redis_client.client_pause(500, all=True)
    late = post(client, message())
    assert (503, "5") == (late.status_code, late.headers["Retry-After"])


def test_a_webhook_that_cannot_even_be_parked_is_503(away: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_parse(away, monkeypatch)
    assert refused(post(away, message()))[0] == 503


def test_nothing_is_acknowledged_before_it_is_recorded(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    accept, acknowledge = built.store.mailboxes.accept, built.channels["shop"].acknowledge
    monkeypatch.setattr(built.store.mailboxes, "accept", lambda *a, **k: (accept(*a, **k), steps.append("recorded"))[0])
    monkeypatch.setattr(
        built.channels["shop"], "acknowledge", lambda *a: (steps.append("acknowledged"), acknowledge(*a))[1]
    )
    assert post(client, message()).status_code == 202
    assert steps == ["recorded", "acknowledged"]


def test_a_store_that_fails_while_recording_is_no_acknowledgement(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable("OOM command not allowed")

    monkeypatch.setattr(built.store.mailboxes, "accept", fail)
    status, error = refused(post(client, message()))
    assert status == 503
    assert "OOM" not in error["message"]
    assert built.store.dead_letters.count() == 0


# --- bugs ---


def spoil_parse(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(webhook: Any) -> Any:
        raise RuntimeError(f"a bug that holds {TOKEN}")

    for adapter in built_of(client).offers.webhooks.values():
        monkeypatch.setattr(adapter, "parse", fail)


def built_of(client: FlaskClient) -> Gateway:
    found: Gateway = client.application.extensions["patchbay"]
    return found


def test_a_bug_while_parsing_parks_the_webhook_and_acknowledges(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_parse(client, monkeypatch)
    body = message(content={"type": "text", "text": "Grüße \0"})
    response = post(client, body, "/channels/shop?a=b")
    assert response.status_code == 202
    (letter,) = built.store.dead_letters.newest()
    assert {"parked": letter.id} == response.get_json()
    assert (
        letter.where,
        letter.reason,
        letter.error,
    ) == ("shop", "unexpected", "RuntimeError: a bug that holds [redacted]")
    webhook = unpark(letter.webhook)
    assert ("POST", "http://127.0.0.1:8000/channels/shop?a=b", "/channels/shop", body) == (
        webhook.method,
        webhook.url,
        webhook.path,
        webhook.body,
    )


def test_a_parked_webhook_can_be_read_after_the_fix_and_holds_no_secret(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as spoiled:
        spoil_parse(client, spoiled)
        agent(client, to_customer())
    (letter,) = built.store.dead_letters.newest()
    assert TOKEN not in letter.webhook
    (event,) = built.destinations["desk"].parse(unpark(letter.webhook))
    assert Text("It left today.") == getattr(event, "content", None)


def test_a_bug_while_recording_parks_the_webhook_too(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise TypeError("a bug")

    monkeypatch.setattr(built.store.mailboxes, "accept", fail)
    assert post(client, message()).status_code == 202
    assert built.store.dead_letters.count() == 1


def test_no_answer_ever_holds_a_trace(built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"a bug that holds {TOKEN}")

    monkeypatch.setattr(built.channels["shop"], "verify", fail)
    monkeypatch.setattr(built.destinations["desk"], "acknowledge", fail)
    for response in (post(client, message()), agent(client, to_customer())):
        assert refused(response) == (500, {"message": "An unexpected error; it has been logged."})


# --- Flex: signed forms, and links to agents' files ---

PEOPLE: dict[str, Any] = {
    "type": "flex_conversations",
    "account_sid": SETTINGS.twilio_account_sid,
    "auth_tokens": [SETTINGS.twilio_auth_token],
    "routing": {"type": "studio", "flow_sid": "FW" + "3" * 32},
}
EVENTS = "http://127.0.0.1:8000/destinations/people/events"


@pytest.fixture
def with_flex(redis_client: redis.Redis, flex_sandbox: str) -> Gateway:
    """A gateway whose people are in the sandbox's Flex."""
    urls = {"flex_url": "flex-api", "media_url": "mcs", "conversations_url": "conversations"}
    people = PEOPLE | {key: f"{flex_sandbox}/twilio/{name}" for key, name in urls.items()}
    return gateway(redis_client, destinations__people=people, channels__shop={"handoff": "people"})


def said(client: FlaskClient, token: str = SETTINGS.twilio_auth_token, **fields: str) -> TestResponse:
    """A webhook of Flex, signed with that token."""
    form = fixtures.value("flex_conversations", "message_agent") | fields
    signature = RequestValidator(token).compute_signature(EVENTS, form)
    headers = {"X-Twilio-Signature": signature, "Host": "evil.example.test"}
    return client.post("/destinations/people/events", data=form, headers=headers)


def test_a_webhook_of_flex_is_recorded(with_flex: Gateway) -> None:
    client = create_app(with_flex).test_client()
    response = said(client, ConversationSid="CH5")
    assert (200, b"") == (response.status_code, response.data)  # nobody's chat: no error that Twilio could mend
    assert 200 == said(client, EventType="onConversationUpdated").status_code
    assert {"ignored:people:onConversationUpdated": 1}.items() <= with_flex.store.lanes.counts().items()


def test_a_forged_webhook_of_flex_is_403(with_flex: Gateway) -> None:
    client = create_app(with_flex).test_client()
    form = fixtures.value("flex_conversations", "message_agent")
    forgeries = [
        said(client, token="another-twilio-token"),
        client.post("/destinations/people/events", data=form),
        client.post("/destinations/people/events", json=form),
        client.post("/destinations/people/events", data=b"a=%FF", content_type=FORM),
        client.post("/destinations/people/new-message", data=form, headers=[*said_headers(form)]),
    ]
    assert [403] * 5 == [refused(response)[0] for response in forgeries]
    assert 403 != client.post("/destinations/people/events", data=form, headers=[*said_headers(form)]).status_code


def said_headers(form: dict[str, str]) -> list[tuple[str, str]]:
    validator = RequestValidator(SETTINGS.twilio_auth_token)
    return [("X-Twilio-Signature", validator.compute_signature(EVENTS, form))]


def test_a_webhook_of_flex_that_breaks_a_rule_is_400_and_names_the_field(with_flex: Gateway) -> None:
    client = create_app(with_flex).test_client()
    status, error = refused(said(client, Index="four"))
    assert (400, "Index: Not a valid integer.") == (status, error["message"])
    assert with_flex.store.dead_letters.count() == 0


def link(built: Gateway, sid: str = "ME" + "0" * 32) -> str:
    """The path of a link to an agent's file."""
    return Links(PEOPLE | {"callback": "/destinations/people", "media_keep": 60}, "media of people").to(SERVICE, sid)


def test_a_link_leads_to_where_the_file_is_now(with_flex: Gateway, flex_sandbox: str) -> None:
    answer = requests.post(
        f"{flex_sandbox}/twilio/mcs/v1/Services/{SERVICE}/Media",
        data=b"picture",
        headers={"content-type": "image/png"},
        auth=PASSWORD,
        timeout=5,
    )
    response = create_app(with_flex).test_client().get(link(with_flex, answer.json()["sid"]))
    assert (302, b"", "private, max-age=60") == (
        response.status_code,
        response.data,
        response.headers["Cache-Control"],
    )
    assert b"picture" == requests.get(response.headers["Location"], timeout=5).content


def test_a_link_that_is_forged_expired_or_of_another_destination_is_404(
    with_flex: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = create_app(with_flex).test_client(), link(with_flex)
    for bad in (
        path[:-1],
        path + "x",
        path.replace("people", "desk"),
        path.replace("people", "nobody"),
        "/destinations/people/media/x",
    ):
        status, error = refused(client.get(bad))
        assert (404, "This link is not valid, or not any more.") == (status, error["message"])
    now = int(time.time())
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: now + 7 * 86_400 + 1)
    assert 404 == refused(client.get(path))[0]


def test_a_file_that_twilio_does_not_show_is_502_with_a_time(with_flex: Gateway, flex_sandbox: str) -> None:
    client = create_app(with_flex).test_client()
    for fault in (None, {"kind": "fail", "status": 503}, {"kind": "close"}):
        if fault:
            requests.post(f"{flex_sandbox}/faults", json={"target": "flex", **fault}, timeout=5)
        response = client.get(link(with_flex))
        assert (refused(response)[0], response.headers["Retry-After"]) == (502, "10")
        assert SETTINGS.twilio_auth_token not in response.text


# --- Twilio Messaging: TwiML, three addresses, GET, and links to customers' files ---

WA = "http://127.0.0.1:8000/channels/wa"
LOST = "This link is not valid, or not any more."


@pytest.fixture
def with_twilio(redis_client: redis.Redis, outside: Sink) -> Gateway:
    wa = {
        "type": "twilio",
        "account_sid": SETTINGS.twilio_account_sid,
        "auth_tokens": [SETTINGS.twilio_auth_token],
        "address": "whatsapp:+15551239999",
        "api_url": outside.url,
        "destination": "helper",
    }
    return gateway(redis_client, channels__wa=wa)


def twilio_says(
    built: Gateway, name: str, path: str = "", token: str = "", method: str = "POST", **fields: str
) -> TestResponse:
    """A fixture as Twilio sends it to one of the channel's addresses."""
    form = fixtures.value("twilio", name) | fields
    url, rest = f"{WA}{path}", {"data": form}
    if method == "GET":
        url, rest, form = f"{url}?{urlencode(form)}", {}, {}
    signature = RequestValidator(SETTINGS.twilio_auth_token).compute_signature(url, form)
    headers = {"X-Twilio-Signature": signature} | ({"I-Twilio-Idempotency-Token": token} if token else {})
    where = url.removeprefix("http://127.0.0.1:8000")
    return create_app(built).test_client().open(where, method=method, headers=headers, **rest)  # type: ignore[arg-type]


def kept(built: Gateway) -> list[str | None]:
    """The external ids of what the customer said, in order."""
    timeline = built.store.messages.timeline("wa/whatsapp:+15551230001")
    return [record.message.external_id for record in timeline]


def test_a_message_by_twilio_is_answered_with_empty_twiml(with_twilio: Gateway) -> None:
    response = twilio_says(with_twilio, "several_image_text")
    assert (200, "text/xml", b"<Response/>") == (response.status_code, response.content_type, response.data)
    first = fixtures.value("twilio", "several_image_text")["MessageSid"]
    assert [first, f"{first}/1", f"{first}/2", f"{first}/3"] == kept(with_twilio)
    assert with_twilio.store.lanes.state("inbound:helper", 0).waiting == 4


REPEATS: dict[str, list[dict[str, str]]] = {
    "the same": [{}, {}],
    "by the fallback": [{}, {"path": "/fallback", "ErrorCode": "11205", "ErrorUrl": WA}],
    "first by the fallback": [{"path": "/fallback", "ErrorCode": "11205", "ErrorUrl": WA}, {}],
    "by GET": [{}, {"method": "GET"}],
    "under another sid": [{"token": "t-1"}, {"token": "t-1", "MessageSid": "SM" + "8" * 32}],
    "under another token": [{"token": "t-1"}, {"token": "t-2"}],
}


@pytest.mark.parametrize("webhooks", REPEATS.values(), ids=REPEATS)
@pytest.mark.parametrize("name", ["message_text", "several_image_text"])
def test_what_twilio_sends_again_is_one_message(
    name: str, webhooks: list[dict[str, str]], with_twilio: Gateway
) -> None:
    counts = []
    for fields in webhooks:
        response = twilio_says(with_twilio, name, **fields)  # type: ignore[arg-type]
        assert (200, b"<Response/>") == (response.status_code, response.data)
        counts.append(len(kept(with_twilio)))
    assert [4 if name == "several_image_text" else 1] * len(webhooks) == counts


def test_a_webhook_of_twilio_that_does_not_verify_is_401(with_twilio: Gateway) -> None:
    client = create_app(with_twilio).test_client()
    form = fixtures.value("twilio", "message_text")
    query = urlencode(form)
    answers = [client.post(f"/channels/wa{path}", data=form) for path in ("", "/fallback", "/status")]
    answers.append(client.get(f"/channels/wa?{query}", headers={"X-Twilio-Signature": "x"}))
    assert [401] * 4 == [refused(answer)[0] for answer in answers]
    assert [] == kept(with_twilio)


def test_a_status_of_twilio_finds_its_message(with_twilio: Gateway, outside: Sink) -> None:
    sid = fixtures.value("twilio", "status_failed")["MessageSid"]
    outside.answers(Told(201, orjson.dumps({"sid": sid, "status": "queued"})))
    inbox = Inbox(with_twilio)
    event = Written(Text("Hello"), author="bot", conversation="wa/whatsapp:+15551230001")
    message_id = inbox.accept("helper", event).message_id or ""
    with_twilio.publisher.publish(inbox.wakes)
    run_until_quiet(with_twilio)
    assert ("queued", "") == state(with_twilio, message_id)
    assert 200 == twilio_says(with_twilio, "status_failed", "/status", ErrorCode="21610").status_code
    status, error = state(with_twilio, message_id)
    assert ("failed", "opted_out: 21610") == (status, error[:16])
    assert 200 == twilio_says(with_twilio, "status_failed", "/status", MessageStatus="delivered").status_code
    assert ("delivered", "") == state(with_twilio, message_id)


def state(built: Gateway, message_id: str) -> tuple[str, str]:
    record = built.store.messages.read(message_id)
    assert record is not None
    return record.status, record.error


def links(built: Gateway) -> list[str]:
    records = built.store.messages.timeline("wa/whatsapp:+15551230001")
    return [record.message.content.url for record in records if isinstance(record.message.content, Attachment)]


def test_a_customers_file_is_behind_a_link_for_a_while(
    with_twilio: Gateway, outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = fixtures.value("twilio", "message_image")
    url = form["MediaUrl0"].replace(form["AccountSid"], SETTINGS.twilio_account_sid)
    twilio_says(with_twilio, "message_image", MediaUrl0=url)
    (link,) = links(with_twilio)
    assert link.startswith(f"{WA}/media/")
    client, path = create_app(with_twilio).test_client(), link.removeprefix("http://127.0.0.1:8000")
    outside.answers(Told(307, b"", {"Location": "https://media.example.test/7"}))
    response = client.get(path)
    assert (302, "https://media.example.test/7", "private, max-age=60") == (
        response.status_code,
        response.headers["Location"],
        response.headers["Cache-Control"],
    )
    assert urlsplit(url).path == outside.calls[0].path
    for bad in (path[:-1], path + "x", path.replace("/wa/", "/shop/"), path.replace("/wa/", "/nobody/")):
        status, error = refused(client.get(bad))
        assert (404, LOST) == (status, error["message"])
    now = int(time.time())
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: now + 7 * 86_400 + 1)
    assert 404 == refused(client.get(path))[0]


SHOWN = {
    "a picture": ("image/png", "image/png", "inline"),
    "a sound": ("audio/ogg; codecs=opus", "audio/ogg", "inline"),
    "a film": ("Video/MP4", "video/mp4", "inline"),
    "a picture with scripts": ("image/svg+xml", "image/svg+xml", "attachment"),
    "a document": ("application/pdf", "application/pdf", "attachment"),
    "a page": ("text/html", "text/html", "attachment"),
    "no type": ("", "application/octet-stream", "attachment"),
    "nonsense": ("image/png, text/html", "application/octet-stream", "attachment"),
}


@pytest.mark.parametrize(("said", "kind", "how"), SHOWN.values(), ids=SHOWN)
def test_a_strangers_file_is_shown_only_where_it_can_do_nothing(
    said: str, kind: str, how: str, with_twilio: Gateway, outside: Sink
) -> None:
    outside.answers(Told(200, b"\xff<script>", {"Content-Type": said} if said else {}))
    path = urlsplit(with_twilio.channels["wa"].links.to("MM" + "0" * 32, "ME" + "0" * 32)).path  # type: ignore[attr-defined]
    response = create_app(with_twilio).test_client().get(path)
    assert (200, b"\xff<script>", kind, how) == (
        response.status_code,
        response.data,
        response.content_type,
        response.headers["Content-Disposition"],
    )
    assert "nosniff" == response.headers["X-Content-Type-Options"]
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert "private, max-age=60" == response.headers["Cache-Control"]


# --- the rest ---

PEERS = {"loopback": ("127.0.0.1", 202), "IPv6 loopback": ("::1", 202)} | {
    "the network": ("10.0.0.5", 403),
    "nobody knows": ("", 403),
    "a socket": ("unix:", 403),
}
CALLERS: dict[str, tuple[dict[str, str], int]] = {
    "a name of loopback": ({"Host": "localhost:8000"}, 202),
    "another port": ({"Host": "127.0.0.1:9"}, 202),
    "IPv6": ({"Host": "[::1]:8000"}, 202),
    "another host": ({"Host": "evil.example.test"}, 403),
    "a host that begins alike": ({"Host": "127.0.0.1.evil.example.test"}, 403),
    "a host behind a name": ({"Host": "localhost@evil.example.test"}, 403),
    "no host": ({"Host": ""}, 403),
    "a broken host": ({"Host": "[::1"}, 403),
    "a page of this machine": ({"Origin": "http://localhost:3000"}, 202),
    "a page from elsewhere": ({"Origin": "https://evil.example.test"}, 403),
    "a page that hides": ({"Origin": "null"}, 403),
    "a page that says so": ({"Sec-Fetch-Site": "cross-site"}, 403),
} | {
    f"behind a proxy: {header}": ({header: "127.0.0.1"}, 403)
    for header in (
        *("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via", "CF-Ray"),
        *("CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For"),
        *("x-forwarded-server", "Fly-Client-IP", "CDN-Loop"),
    )
}


@pytest.fixture
def unverified(redis_client: redis.Redis) -> FlaskClient:
    return create_app(gateway(redis_client, channels__shop={"verification": "none", "secrets": []})).test_client()


@pytest.mark.parametrize(("address", "status"), PEERS.values(), ids=PEERS)
def test_a_channel_without_verification_listens_to_loopback_only(
    address: str, status: int, unverified: FlaskClient
) -> None:
    response = unverified.post("/channels/shop", data=message(), environ_overrides={"REMOTE_ADDR": address})
    assert status == response.status_code


@pytest.mark.parametrize(("headers", "status"), CALLERS.values(), ids=CALLERS)
def test_and_there_to_nobody_who_calls_for_somebody_else(
    headers: dict[str, str], status: int, unverified: FlaskClient
) -> None:
    assert status == unverified.post("/channels/shop", data=message(), headers=headers).status_code


def test_even_an_empty_trace_of_a_proxy_is_one(unverified: FlaskClient) -> None:
    assert 403 == unverified.post("/channels/shop", data=message(), headers={"X-Forwarded-For": ""}).status_code


def test_adapters_see_the_public_url_whatever_the_host_header_says(
    built: Gateway, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(built.channels["shop"], "verify", seen.append)
    client.post("/channels/shop/sub/path?a=b%26c", data=message(), headers={"Host": "evil.example.test"})
    assert (seen[0].url, seen[0].query) == ("http://127.0.0.1:8000/channels/shop/sub/path?a=b%26c", {"a": "b&c"})


def test_a_lost_wake_up_is_no_refusal(built: Gateway, client: FlaskClient) -> None:
    recorder(built).lost = True
    assert post(client, message()).status_code == 202


def test_the_log_says_why_and_holds_no_secret(
    client: FlaskClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "log", structlog.wrap_logger(Lines(built_of(client)), processors=[as_text]))
    agent(client, to_customer(), token="not-the-right-one")
    spoil_parse(client, monkeypatch)
    agent(client, to_customer())
    lines = "\n".join(Lines.written)
    assert "the bearer token does not match" in lines
    assert "webhook parked" in lines
    assert "not-the-right-one" not in lines
    assert TOKEN not in lines


class Lines:
    written: list[str] = []

    def __init__(self, built: Gateway) -> None:
        self._blot = redactor(built.settings.secrets)
        self.written.clear()

    def msg(self, line: str) -> None:
        self.written.append(self._blot(line))

    warning = error = msg


def as_text(_: Any, __: str, event: dict[str, Any]) -> str:
    return str(event)


def test_whose_message_it_is_does_not_depend_on_the_body_in_a_chat(built: Gateway, client: FlaskClient) -> None:
    token = client.post("/chat/chat/visitor").get_json()["token"]
    response = client.post(
        "/channels/chat", data=fixtures.raw("webchat", "message_impostor"), headers={"Authorization": f"Bearer {token}"}
    )
    record = built.store.messages.read(response.get_json()["accepted"][0]["message_id"])
    assert record is not None
    assert isinstance(record.message, Message)
    assert built.channels["chat"].visitor(token) == record.message.customer  # type: ignore[attr-defined]


# --- numbers that no plan has any more ---


@pytest.mark.parametrize("number", ["+5215512345678", "+22312345", "+2901234", "+123456789012345"])
def test_a_customer_whom_no_numbering_plan_knows_is_answered_all_the_same(
    number: str, redis_client: redis.Redis, outside: Sink
) -> None:
    """From WhatsApp to agents who know customers by their numbers, and back."""
    account = {"account_sid": SETTINGS.twilio_account_sid, "auth_tokens": [TOKEN], "address": "whatsapp:+15551239999"}
    built = gateway(
        redis_client,
        desk_url=outside.url,
        channels__whatsapp={"type": "twilio", "destination": "desk", "api_url": outside.url, **account},
        destinations__desk={"id_type": "phone", "channel": "whatsapp"},
    )
    client, url = create_app(built).test_client(), "/channels/whatsapp"
    form = {**fixtures.value("twilio", "message_text"), "From": f"whatsapp:{number}", "WaId": number[1:]}
    signature = RequestValidator(TOKEN).compute_signature(f"http://127.0.0.1:8000{url}", form)
    assert 200 == client.post(url, data=form, headers={"X-Twilio-Signature": signature}).status_code
    run_until_quiet(built)
    assert number == outside.calls[0].json["contactId"]
    outside.answers(Told(201, b'{"sid":"SM1","status":"queued"}'))
    assert 200 == agent(client, to_customer(contactId=number)).status_code
    run_until_quiet(built)
    assert [f"whatsapp:{number}"] == outside.calls[-1].form["To"]
    assert [] == built.store.dead_letters.newest()
