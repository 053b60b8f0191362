"""The media service; Twilio's SDK does not know it, so these are plain calls."""

import http.client
import time
from urllib.parse import urlsplit

import pytest
import requests

from app.sandbox.twilio import links

from .flex import CUSTOMER, PASSWORD, SERVICE, chat, conversation, make_channel, make_conversation, make_flow
from .test_flex_rest import switch_on

PLACE = f"/twilio/mcs/v1/Services/{SERVICE}/Media"
PICTURE = bytes(range(256)) * 8


def upload(base, data=PICTURE, content_type="image/png", **query):
    headers = {"Content-Type": content_type} if content_type else {}
    return requests.post(base + PLACE, data=data, headers=headers, params=query, auth=PASSWORD)


def link(base, sid):
    return requests.get(f"{base}{PLACE}/{sid}", auth=PASSWORD).json()["links"]["content_direct_temporary"]


def test_bytes_go_up_and_come_down(served):
    answer = upload(served, Filename="café.png")
    made = answer.json()
    assert (answer.status_code, made["sid"][:2]) == (201, "ME")
    assert (made["content_type"], made["size"], made["filename"]) == ("image/png", len(PICTURE), "café.png")
    down = requests.get(link(served, made["sid"]))
    assert (down.content, down.headers["Content-Type"]) == (PICTURE, "image/png")
    assert "sandbox" in down.headers["Content-Security-Policy"]


def test_the_lasting_link_asks_for_a_password(served):
    content = upload(served).json()["links"]["content"]
    assert requests.get(content).status_code == 401
    assert requests.get(content, auth=PASSWORD).content == PICTURE


def test_a_link_ends(served, monkeypatch):
    url = link(served, upload(served).json()["sid"])
    later = time.time() + links.LINK_SECONDS + 2
    monkeypatch.setattr(links.time, "time", lambda: later)
    assert requests.get(url).status_code == 403


@pytest.mark.parametrize("change", [("Signature=", "Signature=0"), ("Expires=", "Expires=9"), ("/ME", "/ME0")])
def test_a_link_that_was_changed_is_refused(served, change):
    url = link(served, upload(served).json()["sid"])
    assert requests.get(url.replace(*change)).status_code == 403
    assert requests.get(url).status_code == 200


WRONG = {
    "no type": (PICTURE, ""),
    "nothing": (b"", "image/png"),
    "a form": (b"a=b", "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize(("data", "content_type"), WRONG.values(), ids=WRONG)
def test_an_upload_that_does_not_fit_is_refused(served, data, content_type):
    assert upload(served, data, content_type).status_code == 400


def test_large_files_pass_but_not_all(served):
    assert upload(served, bytes(1_500_000)).json()["size"] == 1_500_000
    connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=5)
    connection.putrequest("POST", PLACE)
    connection.putheader("Content-Length", "16000001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_what_is_not_there_is_not_found(served):
    assert requests.get(f"{served}{PLACE}/ME{'0' * 32}", auth=PASSWORD).status_code == 404
    other = PLACE.replace(SERVICE, "IS" + "0" * 32)
    assert (
        requests.post(served + other, data=PICTURE, headers={"Content-Type": "image/png"}, auth=PASSWORD).status_code
        == 404
    )


def test_a_chat_message_carries_media(served, twilio):
    sid = upload(served, Filename="a.png").json()["sid"]
    channel = chat(twilio, make_channel(twilio, make_flow(twilio)).sid)
    message = channel.messages.create(from_=CUSTOMER, media_sid=sid)
    assert (message.type, message.media) == (
        "media",
        {"sid": sid, "size": len(PICTURE), "content_type": "image/png", "filename": "a.png"},
    )


def test_a_message_of_a_conversation_carries_media(served, twilio):
    sid = upload(served, Filename="a.png").json()["sid"]
    room = conversation(twilio, make_conversation(twilio).sid)
    media = room.messages.create(author=CUSTOMER, body="Look", media_sid=sid).media
    assert [(one["sid"], one["content_type"], one["filename"]) for one in media] == [(sid, "image/png", "a.png")]


def test_a_download_meets_faults(served):
    url = link(served, upload(served).json()["sid"])
    switch_on(served, "fail", path="/media/", status=500)
    assert requests.get(url).status_code == 500
    assert requests.get(url).status_code == 200
