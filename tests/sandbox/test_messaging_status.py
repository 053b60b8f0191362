"""Status callbacks of messages to customers: the ladder, its form, and the switches that spoil it."""

import pytest
import requests

from .flex import connect, wait_until
from .messaging import (
    ADA,
    ADA_MESSENGER,
    ADA_WHATSAPP,
    NUMBER,
    PAGE,
    SERVICE,
    SETTINGS,
    WHATSAPP,
    Answer,
    end_with,
    fault,
    phone,
    seen,
    shown,
    switch,
    wait_idle,
)

PICTURE = "\x89PNG picture"


@pytest.fixture
def twilio(texts):
    return connect(texts)


@pytest.fixture
def send(twilio, hooks):
    def send(to=ADA, body="Hi", path="/status", **more):
        sender = {ADA: NUMBER, ADA_WHATSAPP: WHATSAPP, ADA_MESSENGER: PAGE}[to]
        callback = {"status_callback": hooks.url + path} if path else {}
        return twilio.messages.create(to=to, from_=sender, body=body, **callback, **more)

    return send


def test_a_text_is_called_back_step_by_step(texts, hooks, send):
    made = send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "sent", "delivered"]
    form = hooks.posts[2].form
    assert form == {
        "MessageSid": made.sid,
        "SmsSid": made.sid,
        "MessageStatus": "delivered",
        "SmsStatus": "delivered",
        "From": NUMBER,
        "To": ADA,
        "AccountSid": SETTINGS.twilio_account_sid,
        "ApiVersion": "2010-04-01",
    }


def test_the_headers(texts, hooks, send):
    send(path="/status?channel=sms")
    wait_idle(texts)
    assert all(post.is_signed for post in hooks.posts)
    types = {post.headers["Content-Type"] for post in hooks.posts}
    assert types == {"application/x-www-form-urlencoded; charset=utf-8"}
    assert len({post.headers["I-Twilio-Idempotency-Token"] for post in hooks.posts}) == 3


def test_without_a_callback_nobody_is_called(texts, hooks, send):
    made = send(path="")
    wait_idle(texts)
    assert (hooks.posts, made.fetch().status) == ([], "delivered")


@pytest.mark.parametrize(
    ("to", "prefix", "masked"), [(ADA_WHATSAPP, "whatsapp", "+1555123XXXX"), (ADA_MESSENGER, "messenger", "XXXX")]
)
def test_a_channel_says_more_and_is_read(texts, hooks, send, to, prefix, masked):
    made = send(to)
    wait_idle(texts)
    assert hooks.statuses == ["queued", "sent", "delivered"]
    phone(texts, to, "read")
    phone(texts, to, "read")
    wait_idle(texts)
    assert (hooks.statuses[3:], made.fetch().status) == (["read"], "read")
    form = hooks.posts[3].form
    assert (form["ChannelPrefix"], form["ChannelToAddress"]) == (prefix, masked)
    assert (form["ChannelInstallSid"][:2], form["StructuredMessage"]) == ("XE", "false")
    assert ("ExternalUserId" in form, "EventType" in form) == (to == ADA_WHATSAPP, False)


def test_a_text_is_never_read(texts, hooks, send):
    made = send()
    wait_idle(texts)
    phone(texts, ADA, "read")
    wait_idle(texts)
    assert (hooks.statuses, made.fetch().status) == (["queued", "sent", "delivered"], "delivered")


def test_a_service_is_named(texts, hooks, twilio):
    twilio.messages.create(to=ADA, messaging_service_sid=SERVICE, body="Hi", status_callback=f"{hooks.url}/status")
    wait_idle(texts)
    assert {post.form["MessagingServiceSid"] for post in hooks.posts} == {SERVICE}


@pytest.mark.parametrize(
    ("status", "code", "steps"),
    [
        ("undelivered", 30003, ["queued", "sent", "undelivered"]),
        ("undelivered", 63018, ["queued", "sent", "undelivered"]),
        ("failed", 63016, ["queued", "failed"]),
    ],
)
def test_a_message_may_end_badly(texts, hooks, send, status, code, steps):
    end_with(texts, status, error_code=code)
    made, second = send(), send(path="")
    wait_idle(texts)
    assert hooks.statuses == steps
    assert [post.form.get("ErrorCode") for post in hooks.posts] == [None] * (len(steps) - 1) + [str(code)]
    assert hooks.posts[-1].form["ErrorMessage"]
    found = made.fetch()
    assert (found.status, found.error_code, bool(found.error_message)) == (status, code, True)
    assert second.fetch().status == "delivered"
    assert shown(texts)[0]["error"].startswith(f"{code}: ")


def test_a_channel_without_receipts_stops_at_sent(texts, hooks, send):
    end_with(texts, "sent")
    send(ADA_MESSENGER)
    wait_idle(texts)
    assert hooks.statuses == ["queued", "sent"]


def test_an_outcome_may_be_for_one_customer_and_several_times(texts, send):
    end_with(texts, "failed", error_code=63016, error_message="Too late", to=ADA_WHATSAPP, times=2)
    made = [send(to, path="") for to in (ADA, ADA_WHATSAPP, ADA_WHATSAPP, ADA_WHATSAPP)]
    wait_idle(texts)
    statuses = [one.fetch().status for one in made]
    assert (statuses[0], sorted(statuses[1:])) == ("delivered", ["delivered", "failed", "failed"])
    assert {one.fetch().error_message for one in made} == {None, "Too late"}
    end_with(texts, "failed")
    requests.delete(f"{texts}/messaging/outcomes")
    made = send(path="")
    wait_idle(texts)
    assert made.fetch().status == "delivered"


@pytest.mark.parametrize("body", [{"status": "read"}, {"status": "failed", "code": 1}, {"error_code": 63018}, []])
def test_an_outcome_that_cannot_be(texts, body):
    assert requests.post(f"{texts}/messaging/outcomes", json=body).status_code == 400


def test_callbacks_may_be_doubled(texts, hooks, send):
    fault(texts, "duplicate", times=3)
    send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "queued", "sent", "sent", "delivered", "delivered"]


def test_callbacks_may_be_dropped(texts, hooks, send):
    fault(texts, "drop", event="sent")
    send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "delivered"]


def test_callbacks_may_come_out_of_order(texts, hooks, send):
    fault(texts, "reorder", event="sent")
    send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "delivered", "sent"]


def test_what_is_held_back_goes_out_when_faults_are_switched_off(texts, hooks, send):
    fault(texts, "reorder", event="delivered")
    send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "sent"]
    requests.delete(f"{texts}/faults")
    hooks.wait_for(3)
    assert hooks.statuses[2] == "delivered"


def test_a_callback_is_not_tried_again(texts, hooks, send):
    hooks.answers = [Answer(500)] * 3
    send()
    wait_idle(texts)
    assert hooks.statuses == ["queued", "sent", "delivered"]


def test_unless_its_url_asks_for_it(texts, hooks, send):
    hooks.answers = [Answer(500), Answer(503)]
    send(path="/status#rc=2&rp=5xx")
    wait_idle(texts)
    assert hooks.statuses == ["queued", "queued", "queued", "sent", "delivered"]
    assert all(post.is_signed and post.path == "/status" for post in hooks.posts)


def test_a_canceled_message_is_called_back(texts, hooks, twilio):
    made = twilio.messages.create(
        to=ADA,
        messaging_service_sid=SERVICE,
        body="Later",
        schedule_type="fixed",
        send_at="2030-01-01T00:00:00Z",
        status_callback=f"{hooks.url}/status",
    )
    made.update(status="canceled")
    wait_idle(texts)
    assert hooks.statuses == ["canceled"]


def test_files_are_fetched_before_they_are_sent(texts, hooks, send):
    hooks.files = {"/files/a.png": Answer(200, PICTURE, "image/png")}
    made = send(ADA_WHATSAPP, media_url=[f"{hooks.url}/files/a.png"] * 2)
    assert (made.sid[:2], made.num_media) == ("MM", "2")
    wait_idle(texts)
    assert [media.content_type for media in made.media.list()] == ["image/png"] * 2
    files = shown(texts, ADA_WHATSAPP)[0]["message"]["files"]
    assert [(file["type"], file["fileName"]) for file in files] == [("image", "a.png")] * 2
    assert requests.get(files[0]["url"]).content == PICTURE.encode("latin-1")


def test_a_message_is_on_the_phone_once_its_files_are(texts, hooks, send):
    hooks.files = {"/files/a.png": Answer(200, PICTURE, "image/png")}
    send(ADA_WHATSAPP, media_url=[f"{hooks.url}/files/a.png"])
    wait_until(lambda: shown(texts, ADA_WHATSAPP))
    assert len(shown(texts, ADA_WHATSAPP)[0]["message"]["files"]) == 1


@pytest.mark.parametrize(("to", "missing", "large"), [(ADA, 11200, 30019), (ADA_WHATSAPP, 63019, 63019)])
def test_a_file_that_cannot_be_sent_fails_the_message(texts, hooks, send, to, missing, large):
    hooks.files = {
        "/large.pdf": Answer(200, "x" * 500_001, "application/pdf"),
        "/large.png": Answer(200, "x" * 500_001, "image/png"),
    }
    ends = []
    for path in ("/missing.png", "/large.pdf", "/large.png"):
        made = send(to, path="", media_url=[hooks.url + path])
        wait_idle(texts)
        ends.append((made.fetch().status, made.fetch().error_code))
    assert ends == [("failed", missing), ("failed", large), ("delivered", None)]


def test_the_phone_shows_what_became_of_it(texts, send):
    send(ADA_WHATSAPP, body="Good day")
    wait_idle(texts)
    (entry,) = shown(texts, ADA_WHATSAPP)
    assert (entry["author"], entry["status"], entry["message"]["text"]) == ("business", "delivered", "Good day")
    customers = requests.get(f"{texts}/phone/api/customers").json()["customers"]
    assert [(customer["contactId"], customer["unread"]) for customer in customers] == [(ADA_WHATSAPP, 1)]
    phone(texts, ADA_WHATSAPP, "read")
    assert requests.get(f"{texts}/phone/api/customers").json()["customers"][0]["unread"] == 0


def test_what_was_redacted_or_deleted_stays_on_the_phone(texts, send):
    redacted, deleted = send(body="One"), send(body="Two")
    wait_idle(texts)
    redacted.update(body="")
    deleted.delete()
    assert [entry["message"]["text"] for entry in shown(texts)] == ["One", "Two"]


def test_contents_may_be_added(texts, twilio):
    content = {"sid": "HX" + "1" * 32, "body": "Yes or no?", "buttons": [{"text": "Yes", "payload": "y"}]}
    assert requests.post(f"{texts}/messaging/contents", json=content).status_code == 201
    twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, content_sid=content["sid"])
    assert shown(texts, ADA_WHATSAPP)[0]["message"]["buttons"] == content["buttons"]
    assert len(requests.get(f"{texts}/messaging/contents").json()["contents"]) == 2


def test_a_place_of_ours_is_shown(texts, send):
    send(ADA_WHATSAPP, body="Our shop", persistent_action=["geo:52.52,13.405|Shop"])
    content = shown(texts, ADA_WHATSAPP)[0]["message"]
    assert (content["type"], content["latitude"], content["address"]) == ("location", 52.52, "Shop")


def test_switches_are_shown_and_switched_back(texts):
    switch(texts, advanced_opt_out=True, overrides="rc=3&rp=5xx")
    assert requests.get(f"{texts}/messaging/switches").json() == {
        "advanced_opt_out": True,
        "direct_media": False,
        "fallback": True,
        "overrides": "rc=3&rp=5xx",
    }
    assert requests.delete(f"{texts}/messaging/switches").status_code == 204
    assert seen(texts)["switches"]["advanced_opt_out"] is False
    for wrong in ({"advanced_opt_out": "yes"}, {"overrides": "#rc=1"}, {"x": True}):
        assert requests.post(f"{texts}/messaging/switches", json=wrong).status_code == 400


def test_a_reset_ends_what_is_under_way(texts, hooks, send):
    hooks.hold = lambda post: wait_until(lambda: seen(texts)["messages"] == [])
    send()
    hooks.wait_for(1)
    requests.delete(f"{texts}/inspect")
    assert (seen(texts)["attempts"], seen(texts)["idle"]) == ([], True)
