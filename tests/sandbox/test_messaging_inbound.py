"""What customers send: the webhook's form for every kind, retries and the fallback, TwiML, keywords."""

import json

import pytest
import requests

from app.sandbox import SandboxSettings, create_app
from app.sandbox.messaging import policy

from .flex import connect, wait_until
from .messaging import (
    ADA,
    ADA_MESSENGER,
    ADA_WHATSAPP,
    NUMBER,
    PAGE,
    PASSWORD,
    READY_CONTENT,
    SETTINGS,
    WHATSAPP,
    Answer,
    fault,
    phone,
    say,
    seen,
    shown,
    switch,
    wait_idle,
)
from .test_flex_rest import refused

PICTURE = bytes(range(256)) * 8
SCOPED = "whatsapp:DE.12345678"


@pytest.fixture
def twilio(texts):
    return connect(texts)


def common(post, sender, **more):
    sid = post.form["MessageSid"]
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": SETTINGS.twilio_account_sid,
        "ApiVersion": "2010-04-01",
        "SmsStatus": "received",
        "NumSegments": "1",
        "NumMedia": "0",
        "To": sender,
        **more,
    }


def of_whatsapp(name="Ada", wa_id="15551230001", **more):
    context = {"ProfileName": name, "WaId": wa_id}
    return {
        "ProfileName": name,
        "WaId": wa_id,
        "MessageType": "text",
        "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": context}}, separators=(",", ":")),
        **more,
    }


def test_a_text(texts, hooks):
    sid = say(texts, "Grüße & 1+1=2")["mId"]
    (post,) = hooks.wait_for(1)
    home = {f"{side}{name}": "" for side in ("From", "To") for name in ("City", "State", "Zip")}
    assert post.form == common(post, NUMBER, From=ADA, Body="Grüße & 1+1=2") | home | {
        "FromCountry": "US",
        "ToCountry": "US",
    }
    assert (post.form["MessageSid"], sid[:2]) == (sid, "SM")
    assert post.path == "/channels/sms"


def test_the_headers(texts, hooks):
    say(texts, "Hello")
    (post,) = hooks.wait_for(1)
    assert post.is_signed
    assert post.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert post.headers["User-Agent"] == "TwilioProxy/1.1"
    assert len(post.headers["I-Twilio-Idempotency-Token"]) > 20
    assert "X-Home-Region" in post.headers


def test_a_whatsapp_message(texts, hooks):
    requests.post(
        f"{texts}/phone/api/customers", json={"kind": "whatsapp", "address": ADA_WHATSAPP, "name": "Ada Lovelace"}
    )
    say(texts, "Hello", ADA_WHATSAPP)
    (post,) = hooks.wait_for(1)
    scoped = post.form.pop("ExternalUserId")
    assert scoped.startswith("whatsapp:US.")
    assert post.form == common(post, WHATSAPP, From=ADA_WHATSAPP, Body="Hello") | of_whatsapp("Ada Lovelace")
    assert post.path == "/channels/whatsapp"


def test_a_whatsapp_user_without_a_number(texts, hooks):
    say(texts, "Hello", SCOPED)
    (post,) = hooks.wait_for(1)
    assert (post.form["From"], post.form["ExternalUserId"]) == (SCOPED, SCOPED)
    assert "WaId" not in post.form


def test_a_messenger_message(texts, hooks):
    say(texts, "Hello", ADA_MESSENGER)
    (post,) = hooks.wait_for(1)
    assert post.form == common(post, PAGE, From=ADA_MESSENGER, Body="Hello")
    assert post.path == "/channels/messenger"


@pytest.mark.parametrize("address", [ADA, ADA_WHATSAPP, ADA_MESSENGER])
def test_a_picture(texts, hooks, address):
    headers = {"Content-Type": "image/png"}
    phone(texts, address, "media", data=PICTURE, headers=headers, params={"filename": "a.png", "text": "Look"})
    (post,) = hooks.wait_for(1)
    form = post.form
    assert (form["NumMedia"], form["MediaContentType0"], form["Body"]) == ("1", "image/png", "Look")
    assert form["MessageSid"].startswith("MM")
    assert form.get("MessageType") == ("image" if address == ADA_WHATSAPP else None)
    assert form["MediaUrl0"].startswith(f"{texts}/twilio/api/2010-04-01/Accounts/")
    assert post.is_signed
    assert requests.get(form["MediaUrl0"]).status_code == 401
    moved = requests.get(form["MediaUrl0"], auth=PASSWORD, allow_redirects=False)
    assert moved.status_code == 307
    down = requests.get(moved.headers["Location"])
    assert (down.content, down.headers["Content-Type"]) == (PICTURE, "image/png")
    assert requests.get(moved.headers["Location"].replace("Signature=", "Signature=0")).status_code == 403
    switch(texts, direct_media=True)
    direct = requests.get(form["MediaUrl0"], auth=PASSWORD, allow_redirects=False)
    assert (direct.status_code, direct.content) == (200, PICTURE)


def test_files_over_rest(texts, hooks, twilio):
    sid = phone(texts, ADA, "media", data=b"%PDF", headers={"Content-Type": "application/pdf"})["mId"]
    message = twilio.messages(sid).fetch()
    assert (message.num_media, message.direction, message.status) == ("1", "inbound", "received")
    (media,) = message.media.list()
    assert (media.content_type, media.parent_sid) == ("application/pdf", sid)
    assert twilio.messages(sid).media(media.sid).fetch().sid == media.sid
    assert media.delete()
    assert message.media.list() == []
    assert requests.get(hooks.wait_for(1)[0].form["MediaUrl0"], auth=PASSWORD).status_code == 404
    assert shown(texts)[0]["message"]["files"], "the customer keeps it"


def test_a_file_is_found_below_its_own_message_only(texts, hooks, twilio):
    files = [phone(texts, ADA, "media", data=b"x", headers={"Content-Type": "image/png"})["mId"] for _ in range(2)]
    (media,) = twilio.messages(files[0]).media.list()
    assert (404, 20404) == refused(twilio.messages(files[1]).media(media.sid).fetch)


@pytest.mark.parametrize(
    ("content_type", "kind"), [("video/mp4", "video"), ("audio/ogg", "audio"), ("application/pdf", "document")]
)
def test_whatsapp_names_the_kind_of_file(texts, hooks, content_type, kind):
    phone(texts, ADA_WHATSAPP, "media", data=b"x", headers={"Content-Type": content_type})
    assert hooks.wait_for(1)[0].form["MessageType"] == kind


def test_a_location(texts, hooks):
    place = {"latitude": 52.52, "longitude": -13.405, "address": "Alexanderplatz", "label": "Office"}
    phone(texts, ADA_WHATSAPP, "location", json=place)
    form = hooks.wait_for(1)[0].form
    assert (form["Latitude"], form["Longitude"]) == ("52.52", "-13.405")
    assert (form["Address"], form["Label"], form["Body"]) == ("Alexanderplatz", "Office", "")
    assert form["MessageType"] == "location"


def test_a_button(texts, hooks, twilio):
    ours = twilio.messages.create(
        to=ADA_WHATSAPP, from_=WHATSAPP, content_sid=READY_CONTENT, content_variables='{"1": "Ada"}'
    )
    pressed = phone(texts, ADA_WHATSAPP, "buttons", json={"message": ours.sid, "payload": "person"})
    form = hooks.wait_for(1)[0].form
    assert (form["ButtonText"], form["ButtonPayload"]) == ("Talk to a person", "person")
    assert (form["Body"], form["MessageType"]) == ("Talk to a person", "button")
    assert (form["OriginalRepliedMessageSid"], form["OriginalRepliedMessageSender"]) == (ours.sid, WHATSAPP)
    assert pressed["message"]["quote"] == "Hello Ada, how can we help?"


def test_a_reply(texts, hooks, twilio):
    ours = twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="Which order?")
    say(texts, "4711", ADA_WHATSAPP, replyTo=ours.sid)
    form = hooks.wait_for(1)[0].form
    assert (form["OriginalRepliedMessageSid"], form["OriginalRepliedMessageSender"]) == (ours.sid, WHATSAPP)
    assert (form["Forwarded"], form["MessageType"]) == ("false", "text")


NOT_POSSIBLE = {
    "an empty text": (ADA, "messages", {"text": " "}, 400),
    "a location by text": (ADA, "location", {"latitude": 1, "longitude": 2}, 400),
    "a place that is nowhere": (ADA_WHATSAPP, "location", {"latitude": 91, "longitude": 2}, 400),
    "a reply by text": (ADA, "messages", {"text": "a", "replyTo": "SM0"}, 400),
    "a reply to nothing": (ADA_WHATSAPP, "messages", {"text": "a", "replyTo": "SM0"}, 404),
    "a button of nothing": (ADA_WHATSAPP, "buttons", {"message": "SM0", "payload": "x"}, 404),
    "somebody unknown": ("+15550000000", "messages", {"text": "a"}, 404),
    "a field too many": (ADA, "messages", {"text": "a", "to": "b"}, 400),
}


@pytest.mark.parametrize(("address", "act", "body", "status"), NOT_POSSIBLE.values(), ids=NOT_POSSIBLE)
def test_what_a_phone_cannot_do(texts, hooks, address, act, body, status):
    for kind, known in (("sms", ADA), ("whatsapp", ADA_WHATSAPP)):
        requests.post(f"{texts}/phone/api/customers", json={"kind": kind, "address": known})
    answer = requests.post(f"{texts}/phone/api/customers/{address}/{act}", json=body)
    assert (answer.status_code, bool(answer.json()["error"]["message"])) == (status, True)
    assert seen(texts)["messages"] == []


def test_a_button_that_is_not_there(texts, twilio):
    ours = twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="No buttons")
    answer = requests.post(
        f"{texts}/phone/api/customers/{ADA_WHATSAPP}/buttons", json={"message": ours.sid, "payload": "x"}
    )
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "payload")


@pytest.mark.parametrize("body", [{"kind": "fax"}, {"kind": "sms", "address": ADA_WHATSAPP}, {"kind": "sms", "x": "y"}])
def test_a_customer_that_cannot_be(texts, body):
    assert requests.post(f"{texts}/phone/api/customers", json=body).status_code == 400


@pytest.mark.parametrize(("kind", "prefix"), [("sms", "+1"), ("whatsapp", "whatsapp:+1"), ("messenger", "messenger:")])
def test_addresses_are_made_up(texts, kind, prefix):
    made = [requests.post(f"{texts}/phone/api/customers", json={"kind": kind}).json() for _ in range(2)]
    assert all(customer["contactId"].startswith(prefix) for customer in made)
    assert made[0]["contactId"] != made[1]["contactId"]
    assert len(seen(texts)["customers"]) == 2


def test_another_site_may_not_play_the_customer(texts):
    headers = {"Origin": "https://elsewhere.example"}
    answer = requests.post(f"{texts}/phone/api/customers", json={"kind": "sms"}, headers=headers)
    assert answer.status_code == 403


BAD = {
    "an error": (Answer(500), 11200),
    "a refusal": (Answer(403), 11200),
    "a redirect": (Answer(302), 11200),
    "no answer": (None, 11205),
    "broken XML": (Answer(body="<Response>"), 12100),
    "another root": (Answer(body="<Answer/>"), 12100),
    "a document type": (Answer(body='<!DOCTYPE x [<!ENTITY a "b">]><Response/>'), 12100),
    "JSON": (Answer(body="{}", content_type="application/json"), 12300),
    "an unknown verb": (Answer(body="<Response><Say>Hi</Say></Response>"), 12200),
    "an empty message": (Answer(body="<Response><Message/></Response>"), 12200),
    "an unknown attribute": (Answer(body='<Response><Message form="x">Hi</Message></Response>'), 12200),
    "words outside": (Answer(body="<Response>Hi</Response>"), 12200),
    "a relative file": (Answer(body="<Response><Message><Media>a.png</Media></Message></Response>"), 12200),
}


@pytest.mark.parametrize(("answer", "code"), BAD.values(), ids=BAD)
def test_a_failure_goes_to_the_fallback_once(texts, hooks, answer, code):
    hooks.answers = [answer]
    say(texts, "Hello")
    first, second = hooks.wait_for(2)
    wait_idle(texts)
    assert hooks.paths == ["/channels/sms", "/channels/sms/fallback"]
    failed = {"ErrorCode": str(code), "ErrorUrl": first.url}
    assert second.form == first.form | failed
    assert second.is_signed
    assert second.headers["I-Twilio-Idempotency-Token"] == first.headers["I-Twilio-Idempotency-Token"]
    assert shown(texts)[0]["status"] == "sent"
    assert [attempt["error_code"] for attempt in seen(texts)["attempts"]] == [code, None]


def test_a_fallback_that_fails_ends_it(texts, hooks):
    hooks.answers = [Answer(500)] * 9
    say(texts, "Hello")
    wait_idle(texts)
    assert len(hooks.posts) == 2
    assert (shown(texts)[0]["status"], shown(texts)[0]["error"]) == ("failed", "The gateway answered 500")


def test_without_a_fallback_it_ends_at_once(texts, hooks):
    switch(texts, fallback=False)
    hooks.answers = [Answer(500)] * 9
    say(texts, "Hello")
    wait_idle(texts)
    assert hooks.paths == ["/channels/sms"]


@pytest.mark.parametrize("answer", [Answer(), Answer(204, ""), Answer(200, "", "text/html"), Answer(200, "", "")])
def test_no_words_are_fine(texts, hooks, answer):
    hooks.answers = [answer]
    say(texts, "Hello")
    wait_idle(texts)
    assert len(hooks.posts) == 1
    assert len(shown(texts)) == 1


RETRIES = {
    "as often as is said": ("rc=3&rp=5xx", [Answer(500)] * 3, 3),
    "not on another cause": ("rc=3&rp=5xx", [Answer(404)], 0),
    "on client errors": ("rc=2&rp=4xx", [Answer(404)] * 2, 2),
    "on a cut connection": ("rc=1&rp=rt", [None], 1),
    "on everything": ("rc=4&rp=all", [Answer(404), Answer(500), None], 3),
    "on one of several": ("rc=5&rp=5xx,ct,rt", [Answer(503), None], 2),
    "once if no number is given": ("rp=5xx", [Answer(500)], 1),
    "never": ("rc=0&rp=all", [Answer(500)], 0),
    "at most five times": ("rc=9&rp=5xx", [Answer(500)] * 6, 5),
    "not on TwiML": ("rc=2&rp=5xx,4xx", [Answer(body="<Response>")], 0),
}


@pytest.mark.parametrize(("overrides", "answers", "retries"), RETRIES.values(), ids=RETRIES)
def test_retries(texts, hooks, overrides, answers, retries):
    switch(texts, overrides=overrides, fallback=False)
    hooks.answers = [*answers]
    say(texts, "Hello")
    wait_idle(texts)
    assert len(hooks.posts) == 1 + retries
    assert {post.path for post in hooks.posts} == {"/channels/sms"}
    assert len({post.headers["I-Twilio-Idempotency-Token"] for post in hooks.posts}) == 1
    assert all(post.is_signed for post in hooks.posts)


def test_its_patience_ends(texts, hooks, monkeypatch):
    monkeypatch.setattr(policy, "PATIENCE_SECONDS", 0.2)
    hooks.hold = lambda post: wait_for_attempt(texts) if post.path == "/channels/sms" else None
    say(texts, "Hello")
    form = hooks.wait_for(2)[1].form
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("11205", f"{hooks.url}/channels/sms")


def wait_for_attempt(base):
    wait_until(lambda: len(seen(base)["attempts"]) > 0)


def test_the_limits_are_twilios():
    _, wanted = policy.split("http://gateway.example/in")
    assert (wanted.connect, wanted.read, wanted.total) == (5.0, 15.0, 15.0)
    assert (wanted.retries, wanted.retried) == (1, {"ct"})
    url, wanted = policy.split("http://gateway.example/in?a=b#ct=200&rt=300&tt=400")
    assert url == "http://gateway.example/in?a=b"
    assert (wanted.connect, wanted.read, wanted.total) == (0.2, 0.3, 0.4)


def test_two_tries_to_connect():
    client = create_app(SandboxSettings(gateway_url="http://127.0.0.1:9")).test_client()
    client.post("/messaging/switches", json={"fallback": False})
    client.post("/phone/api/customers", json={"kind": "sms", "address": ADA})
    client.post(f"/phone/api/customers/{ADA}/messages", json={"text": "Hello"})
    wait_until(lambda: client.get("/inspect").get_json()["messaging"]["idle"])
    attempts = client.get("/inspect").get_json()["messaging"]["attempts"]
    assert [(attempt["status"], attempt["error_code"]) for attempt in attempts] == [(None, 11205)] * 2


def test_twiml_is_a_message_of_ours(texts, hooks, twilio):
    hooks.answers = [Answer(body="<Response><Message>Thanks</Message><Message><Body>Bye</Body></Message></Response>")]
    say(texts, "Hello")
    wait_idle(texts)
    assert [(entry["author"], entry["message"]["text"]) for entry in shown(texts)] == [
        ("you", "Hello"),
        ("business", "Thanks"),
        ("business", "Bye"),
    ]
    replies = twilio.messages.list(to=ADA)
    assert {(one.direction, one.from_, one.status) for one in replies} == {("outbound-reply", NUMBER, "delivered")}


def test_twiml_with_a_file_and_a_callback(texts, hooks):
    hooks.files = {"/files/a.png": Answer(200, "picture", "image/png")}
    reply = f'<Message statusCallback="{hooks.url}/status">Look<Media>{hooks.url}/files/a.png</Media></Message>'
    hooks.answers = [Answer(body=f"<Response>{reply}</Response>")]
    say(texts, "Hello")
    wait_idle(texts)
    content = shown(texts)[1]["message"]
    assert content["text"] == "Look"
    assert requests.get(content["files"][0]["url"]).content == b"picture"
    assert [post.form["MessageStatus"] for post in hooks.posts[1:]] == ["queued", "sent", "delivered"]


@pytest.mark.parametrize("word", ["STOP", " stop ", "Unsubscribe", "OPTOUT"])
def test_stop_and_start(texts, hooks, twilio, word):
    say(texts, word)
    assert shown(texts)[1]["author"] == "network"
    assert (400, 21610) == refused(lambda: twilio.messages.create(to=ADA, from_=NUMBER, body="Hi"))
    assert (400, 21610) == refused(
        lambda: twilio.messages.create(to=ADA, messaging_service_sid="MG" + "9a" * 16, body="Hi")
    )
    assert twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="Other channels stay").sid
    assert [message.body for message in twilio.messages.list()] == ["Other channels stay", word]
    say(texts, "START")
    assert twilio.messages.create(to=ADA, from_=NUMBER, body="Hi").sid
    assert [post.form["Body"] for post in hooks.wait_for(2)] == [word, "START"]
    assert all("OptOutType" not in post.form for post in hooks.posts)


def test_one_is_answered_once(texts):
    for word in ("START", "HELP", "STOP", "STOP", "HELP", "START"):
        say(texts, word)
    authors = [entry["author"] for entry in shown(texts)]
    assert authors == ["you", "you", "network", "you", "network", "you", "you", "you", "network"]


def test_keywords_in_a_sentence_are_none(texts, hooks, twilio):
    say(texts, "Please stop")
    say(texts, "STOP", ADA_WHATSAPP)
    for to, sender in ((ADA, NUMBER), (ADA_WHATSAPP, WHATSAPP)):
        assert twilio.messages.create(to=to, from_=sender, body="Hi").sid


def test_advanced_opt_out_names_the_keyword(texts, hooks):
    switch(texts, advanced_opt_out=True)
    for word in ("QUIT", "UNSTOP", "INFO", "Hello"):
        say(texts, word)
    assert [post.form.get("OptOutType") for post in hooks.wait_for(4)] == ["STOP", "START", "HELP", None]


def test_who_has_stopped_gets_no_twiml(texts, hooks, twilio):
    hooks.answers = [Answer(body="<Response><Message>Bye</Message></Response>")]
    say(texts, "STOP")
    wait_idle(texts)
    (reply,) = twilio.messages.list(to=ADA)
    assert (reply.status, reply.error_code) == ("failed", 21610)


def test_webhooks_of_a_customer_come_in_order(texts, hooks):
    for number in range(10):
        say(texts, str(number))
    assert [post.form["Body"] for post in hooks.wait_for(10)] == [str(number) for number in range(10)]


def test_a_slow_webhook_holds_its_customer_only(texts, hooks):
    hooks.hold = lambda post: wait_for_other(hooks) if post.form["From"] == ADA else None
    say(texts, "slow")
    say(texts, "quick", "+15551230002")
    wait_idle(texts)
    assert [entry["status"] for entry in shown(texts)] == ["sent"]


def wait_for_other(hooks):
    wait_until(lambda: any(post.form["From"] != ADA for post in hooks.posts))


def test_inbound_faults(texts, hooks):
    fault(texts, "duplicate", event="inbound")
    say(texts, "twice")
    wait_idle(texts)
    fault(texts, "drop", event="inbound")
    say(texts, "lost")
    wait_idle(texts)
    fault(texts, "reorder", event="inbound")
    say(texts, "late")
    say(texts, "early")
    wait_idle(texts)
    assert [post.form["Body"] for post in hooks.posts] == ["twice", "twice", "early", "late"]
    assert hooks.posts[0].form == hooks.posts[1].form
