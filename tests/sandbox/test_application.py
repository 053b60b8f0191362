"""The TwiML application by itself. Twilio's own library signs what it is told, and is what it writes with."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect
from twilio.request_validator import RequestValidator

from app.sandbox import SandboxSettings, create_app
from app.sandbox.application.memory import WRITTEN_FIRST, Memory, Message, Status
from tests.support.browser import phone_page

from .calls import inspect
from .messaging import SETTINGS, Answer

ACCOUNT, TOKEN, ADDRESS = (
    SETTINGS.application_account_sid,
    SETTINGS.application_auth_token,
    SETTINGS.application_address,
)
HERE = "http://localhost"
SID = "SM" + "5" * 32
ADA = "webchat:ada"
ORDER = ("queued", "sent", "failed", "delivered", "read")  # one that failed may arrive all the same
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


def inbound(body="Hello", sid=SID, customer=ADA, **more):
    return {"MessageSid": sid, "From": customer, "To": ADDRESS, "Body": body, "NumMedia": "0", **more}


def call(client, url, form, base=HERE, token=TOKEN):
    """As Twilio calls it: signed over the address that it was given, wherever the request then arrives."""
    signature = RequestValidator(token).compute_signature(base + url, form)
    return client.post(url, data=form, headers={"X-Twilio-Signature": signature})


def tell(client, body="Hello", path="message", **more):
    answer = call(client, f"/application/{path}", inbound(body, **more))
    assert (answer.status_code, answer.content_type) == (200, "text/xml"), answer.text
    return parse(answer)


def parse(answer):
    return ElementTree.fromstring(answer.text)  # noqa: S314 - our own


def report(client, url, status, **more):
    return call(client, url, {"MessageSid": "SM" + "6" * 32, "MessageStatus": status, **more}).status_code


def callback(document):
    """Where statuses of the answer go: path and query."""
    url = urlsplit(document.find("Message").get("statusCallback"))
    return f"{url.path}?{url.query}"


def shown(client, customer=ADA):
    answer = client.get("/application/api/messages", query_string={"customer": customer})
    return [(one["author"], one["message"]["text"], one["status"]) for one in answer.get_json()["messages"]]


def send(client, to=ADA, text="Good day", picture=False):
    return client.post("/application/api/messages", json={"to": to, "text": text, "picture": picture})


def made(to=ADA, sid="SM" + "7" * 32):
    """What Twilio answers to a message that it takes."""
    body = json.dumps({"sid": sid, "status": "queued", "to": to, "from": ADDRESS, "direction": "outbound-api"})
    return Answer(201, body, "application/json")


def refusal(code, message, status=400):
    return Answer(status, json.dumps({"code": code, "message": message, "status": status}), "application/json")


@pytest.fixture
def writer(hooks, monkeypatch):
    """A sandbox whose application writes to `hooks`, not to a proxy that the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    return create_app(SandboxSettings(gateway_url=hooks.url)).test_client()


@pytest.mark.parametrize("path", ["message", "menu", "fallback", "status"])
@pytest.mark.parametrize("token", ["another-token", None])
def test_only_twilio_is_heard(client, path, token):
    form = inbound(MessageStatus="sent")
    url = f"/application/{path}"
    answer = call(client, url, form, token=token) if token else client.post(url, data=form)
    assert (answer.status_code, answer.text) == (403, "X-Twilio-Signature does not fit this request")
    assert inspect(client, "application") == {"messages": []}


@pytest.mark.parametrize("base", ["https://sandbox.example.test", "https://example.test/behind"])
def test_the_signature_is_one_over_the_public_address(base):
    client = create_app(SandboxSettings(public_url=base)).test_client()
    status = "/application/status?reply=x%20y"
    assert call(client, "/application/message", inbound("Grüße & 1+1=2"), base).status_code == 200
    assert call(client, status, {"MessageSid": SID, "MessageStatus": "sent"}, base).status_code == 204
    assert call(client, "/application/message", inbound(), HERE).status_code == 403
    document = parse(call(client, "/application/message", inbound("picture"), base))
    assert document.find("Message/Media").text == f"{base}/static/quote.png"
    assert document.find("Message").get("statusCallback").startswith(f"{base}/application/status?reply=")


@pytest.mark.parametrize(
    ("customer", "channel"),
    [
        (ADA, "Web chat"),
        ("+15551230001", "SMS"),
        ("whatsapp:+15551230001", "WhatsApp"),
        ("messenger:7001", "Messenger"),
        ("shop:7001", "shop"),
    ],
)
def test_words_come_back_with_the_channels_name(client, customer, channel):
    document = tell(client, "<b>Grüße</b> & so", customer=customer)
    said = f"You said: <b>Grüße</b> & so\n(over {channel}; say menu for more)"
    assert [body.text for body in document.iterfind("Message/Body")] == [said]
    assert shown(client, customer) == [("customer", "<b>Grüße</b> & so", "received"), ("twiml", said, "queued")]
    (conversation,) = client.get("/application/api/conversations").get_json()["conversations"]
    assert (conversation["contactId"], conversation["via"]) == (customer, channel)


def test_the_menu_is_at_another_address_and_names_every_command(client):
    document = tell(client, " Menu ")
    assert [(verb.tag, verb.text) for verb in document] == [("Redirect", f"{HERE}/application/menu")]
    listed = tell(client, " Menu ", path="menu").find("Message/Body").text
    assert [line.partition(":")[0] for line in listed.splitlines()] == ["menu", "picture", "broken", "stop"]
    assert [text for _, text, _ in shown(client)] == [" Menu ", listed]


def test_a_picture_is_one_that_can_be_fetched(client):
    document = tell(client, "picture")
    (media,) = document.iterfind("Message/Media")
    picture = client.get(urlsplit(media.text).path)
    assert (picture.content_type, picture.data[:4]) == ("image/png", b"\x89PNG")
    assert document.find("Message/Body").text == "Parcel S, next day."
    _, answer = client.get(f"/application/api/messages?customer={ADA}").get_json()["messages"]
    assert answer["message"]["files"] == [
        {"type": "image", "url": media.text, "fileName": "quote.png", "description": ""}
    ]


def test_what_is_broken_is_answered_by_the_fallback(client):
    assert call(client, "/application/message", inbound("broken")).status_code == 500
    document = tell(client, "broken", path="fallback", ErrorCode="11200", ErrorUrl=f"{HERE}/application/message")
    assert "11200" in document.find("Message/Body").text
    assert [author for author, _, _ in shown(client)] == ["customer", "twiml"]


def test_the_fallback_may_be_the_first_to_hear_of_a_message(client):
    tell(client, path="fallback", ErrorCode="11205", ErrorUrl=f"{HERE}/application/message")
    assert shown(client)[0] == ("customer", "Hello", "received")


def test_files_places_and_names_of_customers_are_shown(client):
    media = {f"MediaUrl{n}": f"https://files.test/{n}/{name}?x" for n, name in enumerate(("a.png", "b.pdf"))}
    kinds = {"MediaContentType0": "image/png", "MediaContentType1": "application/pdf"}
    tell(client, "", **media, **kinds, NumMedia="2", ProfileName="Ada")
    tell(client, "", sid="SM" + "8" * 32, Latitude="52.52", Longitude="13.405", Address="Alexanderplatz")
    first, _, place, _ = client.get(f"/application/api/messages?customer={ADA}").get_json()["messages"]
    assert [(one["type"], one["fileName"]) for one in first["message"]["files"]] == [
        ("image", "a.png"),
        ("file", "b.pdf"),
    ]
    assert place["message"]["text"] == "52.52, 13.405 Alexanderplatz"
    (conversation,) = client.get("/application/api/conversations").get_json()["conversations"]
    assert conversation["name"] == "Ada"  # although the last message named nobody


def test_a_message_that_is_brought_again_is_the_same_one(client):
    first, before = tell(client), inspect(client, "application")
    assert ElementTree.tostring(first) == ElementTree.tostring(tell(client))
    assert before == inspect(client, "application")
    assert len(before["messages"]) == 2


def test_a_reset_forgets_everything(client):
    report(client, callback(tell(client)), "read")
    assert client.delete("/inspect").status_code == 204
    assert inspect(client, "application") == {"messages": []}
    tell(client)
    assert shown(client)[-1][2] == "queued"


def test_an_answers_status_is_shown_and_a_failure_says_why(client):
    document = tell(client)
    url = callback(document)
    seen = []
    for status in ("sent", "read", "delivered", "read", "queued"):
        assert report(client, url, status) == 204
        seen.append(shown(client)[-1][2])
    assert seen == ["sent", "read", "read", "read", "read"]
    url = callback(tell(client, sid="SM" + "9" * 32))
    assert report(client, url, "failed", ErrorCode="21610", ErrorMessage="Opted out") == 204
    *_, last = client.get(f"/application/api/messages?customer={ADA}").get_json()["messages"]
    assert (last["status"], last["error"]) == ("failed", "21610: Opted out")
    assert shown(client)[1][2] == "read"  # nothing became of the other one


def test_a_status_that_does_not_exist_is_refused(client):
    answer = call(client, "/application/status", {"MessageSid": SID, "MessageStatus": "eaten"})
    assert (answer.status_code, answer.text[:28]) == (400, "MessageStatus: must be one o")


@given(st.lists(st.sampled_from(ORDER), min_size=1))
def test_statuses_never_go_back_whatever_their_order(words):
    memory, message, seen = Memory(), Message(SID, ADA, WRITTEN_FIRST, "Good day"), []
    for word in words:
        memory.report(SID, Status(word))
        seen.append(ORDER.index(memory.status(message).word))
    assert seen == sorted(seen)
    assert seen[-1] == max(map(ORDER.index, words))


@pytest.mark.parametrize("picture", [False, True])
def test_it_writes_first_with_twilios_client(writer, hooks, picture):
    hooks.answers = [made()]
    assert send(writer, text="Grüße", picture=picture).get_json() == {"contactId": ADA}
    (post,) = hooks.posts
    media = {"MediaUrl": f"{HERE}/static/quote.png"} if picture else {}
    assert (post.path, post.form) == (MESSAGES, {"To": ADA, "From": ADDRESS, "Body": "Grüße", **media})
    assert requests.auth._basic_auth_str(ACCOUNT, TOKEN) == post.headers["Authorization"]
    assert shown(writer) == [("rest", "Grüße", "queued")]
    assert report(writer, "/application/status", "delivered", MessageSid="SM" + "7" * 32) == 204
    assert shown(writer) == [("rest", "Grüße", "delivered")]


def test_a_status_may_be_faster_than_the_answer(writer, hooks):
    hooks.hold = lambda _: report(writer, "/application/status", "read", MessageSid="SM" + "7" * 32)
    hooks.answers = [made()]
    assert send(writer).status_code == 201
    assert shown(writer) == [("rest", "Good day", "read")]


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (refusal(21211, "No such 'To'"), 400, "21211: Unable to create record: No such 'To'"),
        (refusal(20003, "Authenticate", 401), 401, "20003: Unable to create record: Authenticate"),
        (Answer(502, "<p>Bad gateway", "text/html"), 502, "502: Unable to create record"),
        (None, 502, "The gateway could not be reached"),
    ],
)
def test_what_is_refused_is_said_and_not_remembered(writer, hooks, answer, status, message):
    hooks.answers = [answer]
    refused = send(writer)
    assert (refused.status_code, refused.get_json()["error"]["message"]) == (status, message)
    assert shown(writer) == []


@pytest.mark.parametrize(
    ("changes", "field"), [({"to": ""}, "to"), ({"text": "x" * 1601}, "text"), ({"picture": 1}, "picture")]
)
def test_a_form_that_does_not_fit_is_refused_unsent(writer, hooks, changes, field):
    answer = send(writer, **changes)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (400, field)
    assert hooks.posts == []


def test_another_site_cannot_write(writer, hooks):
    form = {"to": ADA, "text": "x", "picture": False}
    answer = writer.post("/application/api/messages", json=form, headers={"Origin": "https://elsewhere.test"})
    assert (answer.status_code, hooks.posts) == (403, [])


def test_the_newest_conversation_comes_first_and_a_change_shows(client):
    versions = []
    for number, customer in enumerate((ADA, "webchat:bob", ADA)):
        tell(client, sid=f"SM{number:032}", customer=customer)
        versions.append(client.get("/application/api/conversations").get_json()["version"])
    answer = client.get("/application/api/conversations").get_json()
    assert [one["contactId"] for one in answer["conversations"]] == [ADA, "webchat:bob"]
    assert versions == sorted(set(versions))
    assert answer["version"] == versions[-1]


# The page


@pytest.fixture
def page(browser: Browser, texts: str) -> Iterator[Page]:
    with phone_page(browser, f"{texts}/application") as page:
        yield page


def test_the_page_by_keyboard_on_a_phone(page, texts, hooks):
    hooks.answers = [refusal(21211, "No such 'To'"), made(), made(sid="SM" + "a" * 32), refusal(21610, "Opted out")]
    page.get_by_test_id("start-to").fill(ADA)
    page.get_by_test_id("start-text").fill("<b>Good day</b>")
    page.get_by_test_id("start-text").press("Enter")
    expect(page.locator("#start-problem")).to_contain_text("21211")
    expect(page.get_by_test_id("start-text")).to_have_value("<b>Good day</b>")
    page.get_by_test_id("start-text").press("Enter")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    expect(page.get_by_test_id("about")).not_to_contain_text(ADA)
    message = page.get_by_test_id("message")
    expect(message).to_contain_text("<b>Good day</b>")
    expect(message.get_by_text("Queued")).to_be_visible()
    form = {"MessageSid": "SM" + "7" * 32, "MessageStatus": "failed", "ErrorCode": "30003", "ErrorMessage": "Gone"}
    url = f"{texts}/application/status"
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    assert requests.post(url, data=form, headers={"X-Twilio-Signature": signature}).status_code == 204
    expect(message).to_contain_text("30003: Gone")
    assert message.get_by_text("Failed").bounding_box()["width"] > 10  # not for screen readers alone

    page.get_by_test_id("picture").check()
    page.get_by_test_id("composer-text").fill("Look")
    page.get_by_test_id("composer-text").press("Enter")
    expect(message).to_have_count(2)
    expect(message.last.get_by_role("img")).to_have_attribute("alt", "quote.png")
    assert message.last.get_by_role("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    page.get_by_test_id("composer-text").fill("Still there?")
    page.get_by_test_id("send").press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Not sent: 21610")
    expect(page.get_by_test_id("composer-text")).to_have_value("Still there?")
    assert (
        page.get_by_test_id("composer-text")
        .locator("xpath=ancestor::form")
        .evaluate("form => form.getBoundingClientRect().bottom")
        == 740
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Back to conversations").press("Enter")
    expect(page.get_by_test_id(f"contact-{ADA}")).to_be_focused()
