"""The forms of the Twilio-compatible REST, as bytes: one that is odd costs a character, and never the other fields."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web import create_app
from tests.support.gateway import Clock, gateway, run_until_quiet
from tests.web.test_rest import ACCOUNT, ADA, CONFIGURATION, SHOP, TOKEN

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FORM = "application/x-www-form-urlencoded"
TO_AND_FROM = f"To={quote(ADA)}&From={quote(SHOP)}&".encode()


@pytest.fixture
def web(redis_client: redis.Redis) -> FlaskClient:
    return create_app(gateway(redis_client, Clock(), **CONFIGURATION)).test_client()


def post(web: FlaskClient, path: str, body: bytes, kind: str = FORM) -> TestResponse:
    return web.post(path, data=body, content_type=kind, auth=(ACCOUNT, TOKEN))


BODIES: dict[str, tuple[str, bytes, str]] = {
    "plain": (FORM, b"Body=caf%C3%A9", "café"),
    "UTF-8 as it is": (FORM, "Body=café".encode(), "café"),
    "no UTF-8": (FORM, b"Body=caf\xe9!", "caf\ufffd!"),
    "no UTF-8, escaped": (FORM, b"Body=caf%E9!", "caf\ufffd!"),
    "Latin-1": (f"{FORM}; charset=iso-8859-1", b"Body=caf%E9", "café"),
    "Latin-1 as it is": (f"{FORM}; charset=iso-8859-1", b"Body=caf\xe9", "café"),
    "a charset that nobody knows": (f"{FORM}; charset=klingon", b"Body=caf%C3%A9", "café"),
    "an odd byte in another field": (FORM, b"MaxPrice=\xff\xfe&Body=hello", "hello"),
    "in parts": (
        "multipart/form-data; boundary=b",
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name, value)
            for name, value in ((b"To", ADA.encode()), (b"From", SHOP.encode()), (b"Body", b"caf\xc3\xa9"))
        )
        + b"--b--\r\n",
        "café",
    ),
}


@pytest.mark.parametrize(("kind", "fields", "text"), BODIES.values(), ids=BODIES)
def test_a_create_is_read_in_its_charset(kind: str, fields: bytes, text: str, web: FlaskClient) -> None:
    answer = post(web, MESSAGES, TO_AND_FROM + fields if kind.startswith(FORM) else fields, kind)
    assert (answer.status_code, answer.json and answer.json.get("body")) == (201, text)


def test_so_are_changes_and_feedback(redis_client: redis.Redis) -> None:
    built = gateway(redis_client, Clock(), **CONFIGURATION)
    web = create_app(built).test_client()
    sid = post(web, MESSAGES, TO_AND_FROM + b"Body=x").get_json()["sid"]
    run_until_quiet(built)
    of_it = MESSAGES.replace(".json", f"/{sid}")
    feedback = post(web, f"{of_it}/Feedback.json", b"x=\xff&Outcome=unconfirmed")
    assert (feedback.status_code, feedback.get_json()["outcome"]) == (201, "unconfirmed")
    emptied = post(web, f"{of_it}.json", b"x=\xff&Body=")
    assert (emptied.status_code, emptied.get_json()["body"]) == (200, "")


def test_a_form_of_too_many_fields_is_refused_with_how_many_it_may_have(web: FlaskClient) -> None:
    assert post(web, MESSAGES, TO_AND_FROM + b"Body=x" + b"&a=" * 997).status_code == 201
    refused = post(web, MESSAGES, TO_AND_FROM + b"Body=x" + b"&a=" * 998)
    assert (413, "The form has more than 1000 fields") == (refused.status_code, refused.get_json()["message"])
