"""Messages over REST, with Twilio's own SDK."""

import datetime

import pytest
import requests
from twilio.rest import Client

from .flex import connect, wait_until
from .messaging import (
    ADA,
    ADA_MESSENGER,
    ADA_WHATSAPP,
    API,
    NUMBER,
    PAGE,
    PASSWORD,
    READY_CONTENT,
    SERVICE,
    SETTINGS,
    WHATSAPP,
    say,
    seen,
    wait_idle,
)
from .test_flex_rest import refused

NOBODY = "0" * 32
CALL = "CA" + "1" * 32


def send(twilio: Client, body: str = "It left today.", **more):
    return twilio.messages.create(**({"to": ADA, "from_": NUMBER, "body": body} | more))


def post(served, form, path="/Messages.json"):
    return requests.post(f"{served}{API}{path}", data=form, auth=PASSWORD)


def test_an_answer_has_every_field(served):
    answer = post(served, {"To": ADA_WHATSAPP, "From": WHATSAPP, "Body": "It left today."})
    made = answer.json()
    sid, date = made.pop("sid"), made.pop("date_created")
    assert (answer.status_code, sid[:2], len(sid)) == (201, "SM", 34)
    assert datetime.datetime.strptime(date, "%a, %d %b %Y %H:%M:%S %z").utcoffset() == datetime.timedelta(0)
    place = f"/2010-04-01/Accounts/{SETTINGS.twilio_account_sid}/Messages/{sid}"
    assert made == {
        "account_sid": SETTINGS.twilio_account_sid,
        "api_version": "2010-04-01",
        "status": "queued",
        "direction": "outbound-api",
        "to": ADA_WHATSAPP,
        "from": WHATSAPP,
        "body": "It left today.",
        "num_media": "0",
        "num_segments": "1",
        "messaging_service_sid": None,
        "error_code": None,
        "error_message": None,
        "date_updated": date,
        "date_sent": None,
        "price": None,
        "price_unit": "USD",
        "uri": f"{place}.json",
        "subresource_uris": {"media": f"{place}/Media.json"},
    }


def test_a_message_is_created_and_fetched(served, twilio):
    made = send(twilio)
    wait_until(lambda: made.fetch().status == "delivered")
    found = twilio.messages(made.sid).fetch()
    assert (found.body, found.to, found.from_) == ("It left today.", ADA, NUMBER)
    assert found.date_sent.tzinfo is not None


@pytest.mark.parametrize(("to", "sender"), [(ADA, NUMBER), (ADA_WHATSAPP, WHATSAPP), (ADA_MESSENGER, PAGE)])
def test_a_messaging_service_chooses_the_sender(twilio, to, sender):
    made = twilio.messages.create(to=to, messaging_service_sid=SERVICE, body="Hi")
    assert (made.status, made.from_, made.messaging_service_sid) == ("accepted", sender, SERVICE)


@pytest.mark.parametrize(
    ("body", "segments"), [("a" * 160, "1"), ("a" * 161, "2"), ("é" * 71, "2"), ("a" * 1600, "11")]
)
def test_long_texts_have_segments(twilio, body, segments):
    assert send(twilio, body).num_segments == segments


@pytest.mark.parametrize(
    ("message", "price"),
    [
        ({"to": ADA, "from_": NUMBER, "body": "a" * 161}, "-0.01580"),
        ({"to": ADA_WHATSAPP, "from_": WHATSAPP, "body": "Hi"}, "-0.00500"),
        (
            {"to": ADA_WHATSAPP, "from_": WHATSAPP, "content_sid": READY_CONTENT, "content_variables": '{"1": "Ada"}'},
            "-0.01350",
        ),
        ({"to": ADA_MESSENGER, "from_": PAGE, "body": "Hi"}, "-0.00500"),
    ],
    ids=["two segments", "WhatsApp", "a template", "Messenger"],
)
def test_the_price_is_known_once_it_was_sent(twilio, message, price):
    made = twilio.messages.create(**message)
    assert (made.price, made.price_unit) == (None, "USD")
    wait_until(lambda: made.fetch().status == "delivered")
    assert made.fetch().price == price


def test_a_customers_message_has_a_price_at_once(texts):
    say(texts, "Hi")
    (message,) = connect(texts).messages.list()
    assert message.price == "-0.00790"


def test_content_is_filled_with_variables(served, twilio):
    made = twilio.messages.create(
        to=ADA_WHATSAPP, from_=WHATSAPP, content_sid=READY_CONTENT, content_variables='{"1": "Ada"}'
    )
    assert made.body == "Hello Ada, how can we help?"


GOOD = {"To": ADA, "From": NUMBER, "Body": "Hi"}
WRONG = {
    "no To": ({"To": ""}, 21604),
    "a To that is no number": ({"To": "5551230001"}, 21211),
    "a To of an unknown channel": ({"To": "viber:1"}, 21211),
    "no From": ({"From": ""}, 21603),
    "a From that is not ours": ({"From": "+15550000000"}, 21606),
    "a From of another channel": ({"From": WHATSAPP}, 21910),
    "an unknown service": ({"From": "", "MessagingServiceSid": "MG" + NOBODY}, 21701),
    "no Body": ({"Body": ""}, 21602),
    "a long Body": ({"Body": "x" * 1601}, 21617),
    "a relative callback": ({"StatusCallback": "/status"}, 21609),
    "a callback without host": ({"StatusCallback": "http:///status"}, 21609),
    "a callback with an underscore": ({"StatusCallback": "https://my_gateway.example/status"}, 21609),
    "a relative file": ({"MediaUrl": "picture.png"}, 21620),
    "eleven files": ({"MediaUrl": ["https://files.example/a.png"] * 11}, 21623),
    "unknown content": ({"ContentSid": "HX" + NOBODY}, 21655),
    "variables that are no JSON": ({"ContentSid": READY_CONTENT, "ContentVariables": "{"}, 21656),
    "a variable that is missing": ({"ContentSid": READY_CONTENT, "ContentVariables": '{"2": "x"}'}, 21656),
    "a variable that is no text": ({"ContentSid": READY_CONTENT, "ContentVariables": '{"1": 1}'}, 21656),
    "variables without content": ({"ContentVariables": "{}"}, 20001),
    "a validity of nothing": ({"ValidityPeriod": "0"}, 20001),
    "a validity that is too long": ({"ValidityPeriod": "36001"}, 20001),
    "a schedule without a service": ({"SendAt": "2030-01-01T00:00:00Z", "ScheduleType": "fixed"}, 35118),
    "a time without a schedule": ({"SendAt": "2030-01-01T00:00:00Z"}, 20001),
    "an unknown parameter": ({"Text": "Hi"}, 20001),
    "a parameter given twice": ({"To": [ADA, ADA]}, 20001),
}


@pytest.mark.parametrize(("change", "code"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(served, change, code):
    answer = post(served, GOOD | change)
    error = answer.json()
    assert (answer.status_code, error["status"], error["code"]) == (400, 400, code)
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert error["message"]
    assert seen(served)["messages"] == []


def test_what_just_fits_is_taken(served):
    fitting = {"Body": "x" * 1600, "ValidityPeriod": "36000", "StatusCallback": "http://127.0.0.1:9/under_score"}
    assert post(served, GOOD | fitting | {"MediaUrl": ["http://127.0.0.1:9/a.png"] * 10}).status_code == 201


def test_a_wrong_token_is_refused(served):
    assert (401, 20003) == refused(send, connect(served, "wrong"))
    assert requests.get(f"{served}/twilio/api/nowhere").status_code == 401


def test_what_is_not_there_is_not_found(served, twilio):
    lookups = [
        twilio.messages("SM" + NOBODY).fetch,
        twilio.messages("SM" + NOBODY).delete,
        twilio.messages("SM" + NOBODY).media.list,
        twilio.messages(send(twilio).sid).media("ME" + NOBODY).fetch,
        twilio.calls(CALL).recordings("RE" + NOBODY).fetch,
        twilio.calls("CH" + NOBODY).recordings.list,
        twilio.api.v2010.accounts("AC" + NOBODY).messages.list,
    ]
    assert {refused(lookup) for lookup in lookups} == {(404, 20404)}


@pytest.mark.parametrize("call", ["create", "fetch"])
def test_too_many_requests_have_their_code(served, twilio, call):
    made = send(twilio)
    requests.post(f"{served}/faults", json={"target": "messaging", "kind": "fail", "status": 429, "retry_after": 3})
    assert (429, 20429) == refused(made.fetch if call == "fetch" else lambda: send(twilio))


def test_a_connection_that_is_cut_afterwards_keeps_the_message(served, twilio):
    requests.post(f"{served}/faults", json={"target": "messaging", "kind": "close_after", "method": "POST"})
    with pytest.raises(requests.ConnectionError):
        send(twilio)
    assert [message.body for message in twilio.messages.list(to=ADA)] == ["It left today."]


def test_faults_of_flex_do_not_meet_messages(served, twilio):
    requests.post(f"{served}/faults", json={"target": "flex", "kind": "fail"})
    assert send(twilio).sid


def test_the_list_is_newest_first_and_paged(twilio):
    for number in range(7):
        send(twilio, str(number))
    assert [message.body for message in twilio.messages.list()] == list("6543210")
    assert [message.body for message in twilio.messages.stream(page_size=3)] == list("6543210")
    assert [message.body for message in twilio.messages.list(limit=4, page_size=3)] == list("6543")


def test_pages_are_followed_while_new_messages_come(twilio):
    for number in range(5):
        send(twilio, str(number))
    page = twilio.messages.page(page_size=2)
    bodies = [message.body for message in page]
    send(twilio, "late")
    while page := page.next_page():
        bodies += [message.body for message in page]
    assert bodies == list("43210")


def test_a_page_says_where_it_is(served, twilio):
    for number in range(3):
        send(twilio, str(number))
    query = {"PageSize": 2, "To": ADA}
    first = requests.get(f"{served}{API}/Messages.json", params=query, auth=PASSWORD).json()
    assert (first["page"], first["page_size"], first["start"], first["end"]) == (0, 2, 0, 1)
    path = f"/2010-04-01/Accounts/{SETTINGS.twilio_account_sid}/Messages.json?To=%2B15551230001&PageSize=2"
    assert first["first_page_uri"] == f"{path}&Page=0"
    assert first["next_page_uri"] == f"{path}&Page=1&PageToken=PA{first['messages'][-1]['sid']}"
    last = requests.get(f"{served}/twilio/api{first['next_page_uri']}", auth=PASSWORD).json()
    assert [message["body"] for message in last["messages"]] == ["0"]
    assert (last["page"], last["next_page_uri"], last["uri"]) == (1, None, first["next_page_uri"])
    assert last["previous_page_uri"] == f"{path}&Page=0&PageToken=PB{last['messages'][0]['sid']}"
    back = requests.get(f"{served}/twilio/api{last['previous_page_uri']}", auth=PASSWORD).json()
    assert [message["body"] for message in back["messages"]] == ["2", "1"]
    assert back["previous_page_uri"] is None


@pytest.mark.parametrize("query", ["Page=1", "PageToken=PASM0", "PageSize=0", "Frm=x", "DateSent=yesterday"])
def test_a_list_that_does_not_fit_is_refused(served, query):
    answer = requests.get(f"{served}{API}/Messages.json?{query}", auth=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_the_list_is_filtered(served, twilio):
    send(twilio, "to Ada")
    send(twilio, "to Grace", to="+15551230002")
    say(served, "from Ada")
    wait_idle(served)
    assert [message.body for message in twilio.messages.list(to=ADA)] == ["to Ada"]
    assert [message.body for message in twilio.messages.list(from_=ADA)] == ["from Ada"]
    assert [message.direction for message in twilio.messages.list(from_=ADA)] == ["inbound"]
    assert [message.body for message in twilio.messages.list(to=ADA, from_=WHATSAPP)] == []


def test_the_list_is_filtered_by_date(served, twilio):
    send(twilio)
    sent = wait_idle(served)["messages"][0]["sent"]
    today = datetime.datetime.fromisoformat(sent)
    day = datetime.timedelta(days=1)
    for query, count in (
        ({"date_sent": today}, 1),
        ({"date_sent": today.date().isoformat()}, 1),
        ({"date_sent": (today - day).date().isoformat()}, 0),
        ({"date_sent_after": today - day}, 1),
        ({"date_sent_after": today + day}, 0),
        ({"date_sent_before": today + day}, 1),
        ({"date_sent_before": today.date().isoformat()}, 1),
        ({"date_sent_before": today - day}, 0),
    ):
        assert len(twilio.messages.list(**query)) == count, query


def test_a_message_is_redacted(served, twilio):
    made = send(twilio, "A secret")
    wait_idle(served)
    assert made.update(body="").body == ""
    assert (made.fetch().body, made.fetch().status) == ("", "delivered")


def test_a_scheduled_message_is_canceled(served, twilio):
    made = twilio.messages.create(
        to=ADA,
        messaging_service_sid=SERVICE,
        body="Later",
        schedule_type="fixed",
        send_at=datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
    )
    assert made.status == "scheduled"
    assert made.update(status="canceled").status == "canceled"
    assert made.fetch().status == "canceled"


def test_what_is_delivered_cannot_be_canceled(served, twilio):
    made = send(twilio)
    wait_idle(served)
    assert (400, 30409) == refused(made.update, status="canceled")
    assert made.fetch().status == "delivered"


@pytest.mark.parametrize("form", [{}, {"Body": "other words"}, {"Status": "sent"}, {"To": ADA}])
def test_other_updates_are_refused(served, twilio, form):
    answer = post(served, form, f"/Messages/{send(twilio).sid}.json")
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_a_message_is_deleted(served, twilio):
    made, other = send(twilio), send(twilio, "Stays")
    assert made.delete()
    assert (404, 20404) == refused(made.fetch)
    assert [message.sid for message in twilio.messages.list()] == [other.sid]


def test_a_call_is_recorded_once_at_a_time(twilio):
    recordings = twilio.calls(CALL).recordings
    made = recordings.create(recording_channels="dual", recording_track="both")
    assert (made.status, made.channels, made.call_sid, made.source) == ("in-progress", 2, CALL, "StartCallRecordingAPI")
    assert (400, 21220) == refused(recordings.create)
    assert twilio.calls("CA" + "2" * 32).recordings.create().sid != made.sid
    assert recordings(made.sid).update(status="stopped").status == "completed"
    again = recordings.create()
    assert [recording.sid for recording in recordings.list()] == [again.sid, made.sid]
    assert recordings(made.sid).fetch().start_time is not None


def test_a_reset_forgets_everything(served, twilio):
    empty = seen(served)
    say(served, "STOP")
    send(twilio, to="+15551230002")
    twilio.calls(CALL).recordings.create()
    assert empty != wait_idle(served)
    requests.delete(f"{served}/inspect")
    assert empty == seen(served)
