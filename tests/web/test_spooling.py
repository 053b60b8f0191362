"""While Redis is away: what platforms send only once is kept, everything else is refused; then all is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from app.core.message import Text
from app.gateway import Gateway, limits_of
from app.spool import Spool, Spooled
from app.store import Store
from app.store.connection import connect
from app.web import create_app
from app.web.spooling import Replayer
from tests.support.gateway import Recorder, gateway, recorder, settings
from tests.support.processes import free_port
from tests.support.shop import message, signed

TOKEN = "twilio-token-0001"
SMS = {
    "type": "twilio",
    "account_sid": "AC" + "3" * 32,
    "auth_tokens": [TOKEN],
    "address": "+15551239999",
    "destination": "desk",
}


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Of a configuration with a spool, and a channel of which each webhook comes once."""
    return {"gateway": {"spool": str(tmp_path / "spool"), "spool_bytes": 1024 * 1024}, "channels__sms": SMS}


@pytest.fixture
def cut_off(options: dict[str, Any]) -> Gateway:
    """Its Redis is away."""
    chosen = settings(**options)
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    return Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())


@pytest.fixture
def client(cut_off: Gateway) -> FlaskClient:
    return create_app(cut_off).test_client()


@pytest.fixture
def back(redis_client: redis.Redis, options: dict[str, Any]) -> Gateway:
    """The same gateway when Redis is there."""
    return gateway(redis_client, **options)


def says(
    client: FlaskClient, text: str, sid: str, *, headers: Mapping[str, str] = MappingProxyType({}), **fields: str
) -> TestResponse:
    """An SMS as Twilio brings it."""
    form = {"MessageSid": sid, "From": "+15551230001", "To": "+15551239999", "Body": text, "NumMedia": "0", **fields}
    url = "http://127.0.0.1:8000/channels/sms"
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    return client.post("/channels/sms", data=form, headers={"X-Twilio-Signature": signature, **headers})


def sid(number: int) -> str:
    return f"SM{number:032x}"


def spool_of(built: Gateway) -> Spool:
    return Spool(Path(built.settings.gateway["spool"]), built.settings.gateway["spool_bytes"])


def recorded(built: Gateway) -> list[str]:
    """What the customer wrote, in order."""
    timeline = built.store.messages.timeline("sms/sms:+15551230001")
    return [one.message.content.text for one in timeline if isinstance(one.message.content, Text)]


def test_what_comes_once_is_answered_and_recorded_later(client: FlaskClient, back: Gateway) -> None:
    for number in range(3):
        answer = says(client, f"m{number}", sid(number))
        assert (200, b"<Response/>") == (answer.status_code, answer.data)
    assert says(client, "m2", sid(2)).status_code == 200  # once more
    Replayer(back, spool_of(back)).look()
    assert recorded(back) == ["m0", "m1", "m2"]
    assert spool_of(back).size is None
    assert recorder(back).wakes
    assert back.store.lanes.counts()["spooled:sms"] == 4


def test_its_message_is_as_old_as_its_webhook(client: FlaskClient, back: Gateway) -> None:
    says(client, "m0", sid(0))
    spooled: list[int] = []
    spool = spool_of(back)
    with pytest.raises(KeyError):
        spool.replay(lambda one: spooled.append(one.at) or {}[0], lambda _: None)  # type: ignore[func-returns-value]
    Replayer(back, spool).look()
    assert [one.message.at for one in back.store.messages.timeline("sms/sms:+15551230001")] == spooled


def test_what_comes_later_stands_behind_it(client: FlaskClient, back: Gateway) -> None:
    says(client, "m0", sid(0))
    again = create_app(back)
    assert says(again.test_client(), "m1", sid(1)).status_code == 200
    Replayer(back, spool_of(back)).look()
    assert says(again.test_client(), "m2", sid(2)).status_code == 200
    Replayer(back, spool_of(back)).look()
    assert recorded(back) == ["m0", "m1", "m2"]


def test_no_credential_is_kept(client: FlaskClient, cut_off: Gateway) -> None:
    says(client, "m0", sid(0), headers={"Authorization": "Basic c2VjcmV0", "Cookie": "c2VjcmV0"})
    kept = (Path(cut_off.settings.gateway["spool"]) / "webhooks").read_text()
    assert "m0" in kept
    assert "c2VjcmV0" not in kept


def test_who_hears_what_was_recorded_is_refused(client: FlaskClient, cut_off: Gateway) -> None:
    body = message("m-1", "ada", "hello")
    answer = client.post("/channels/shop", data=body, headers=signed("m-1", body))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert spool_of(cut_off).size is None


def test_what_is_not_verified_or_breaks_a_rule_is_refused(client: FlaskClient, cut_off: Gateway) -> None:
    assert client.post("/channels/sms", data={"MessageSid": sid(1)}).status_code == 401
    assert says(client, "x", "").status_code == 400
    assert spool_of(cut_off).size is None


def test_a_full_spool_refuses(options: dict[str, Any], cut_off: Gateway, client: FlaskClient) -> None:
    spool_of(cut_off).keep(Spooled("sms", 0, {"body": "x" * (cut_off.settings.gateway["spool_bytes"] - 150)}))
    answer = says(client, "m0", sid(0))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.get("/readyz").status_code == 503


def test_it_is_ready_as_long_as_it_can_keep_something(client: FlaskClient, back: Gateway) -> None:
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "spooling")
    says(client, "m0", sid(0))
    assert client.get("/readyz").get_json()["spool"]["bytes"] > 100
    waiting: list[dict[str, Any]] = []
    spool_of(back).replay(
        lambda _: waiting.append(create_app(back).test_client().get("/readyz").get_json()), lambda _: None
    )
    assert [(one["status"], "spool" in one) for one in waiting] == [("ready", True)]
    assert "spool" not in create_app(back).test_client().get("/readyz").get_json()


def test_what_cannot_be_recorded_becomes_a_dead_letter(
    client: FlaskClient, options: dict[str, Any], back: Gateway
) -> None:
    says(client, "m0", sid(0))
    del options["channels__sms"]
    smaller = Gateway(settings(**options), back.store, Recorder())  # the channel left the configuration meanwhile
    Replayer(smaller, spool_of(back)).look()
    (letter,) = back.store.dead_letters.newest(10)
    assert (letter.where, letter.reason) == ("sms", "unexpected")
    assert "m0" in letter.webhook
    assert spool_of(back).size is None


def test_a_full_lane_is_waited_for(client: FlaskClient, options: dict[str, Any], back: Gateway) -> None:
    for number in range(3):
        says(client, f"m{number}", sid(number))
    options["gateway"]["lane_limit"] = 2
    small = gateway(back.store.connection.client, **options)
    Replayer(small, spool_of(back)).look()
    assert recorded(back) == ["m0", "m1"]
    assert spool_of(back).size
    Replayer(back, spool_of(back)).look()
    assert recorded(back) == ["m0", "m1", "m2"]


def test_a_full_mailbox_keeps_nobody_else_waiting(client: FlaskClient, options: dict[str, Any], back: Gateway) -> None:
    for number in range(2):
        says(client, f"m{number}", sid(number))
    says(client, "other", sid(9), From="+15551230002")
    options["gateway"]["mailbox_limit"] = 1
    small = gateway(back.store.connection.client, **options)
    Replayer(small, spool_of(back)).look()
    assert recorded(back) == ["m0"]
    assert len(back.store.messages.timeline("sms/sms:+15551230002")) == 1
    assert ["m1" in letter.webhook for letter in back.store.dead_letters.newest(10)] == [True]


def test_without_a_spool_all_is_refused(options: dict[str, Any], redis_client: redis.Redis) -> None:
    options["gateway"]["spool"] = ""
    chosen = settings(**options)
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    client = create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()
    assert says(client, "m0", sid(0)).status_code == 503
    assert client.get("/readyz").status_code == 503
