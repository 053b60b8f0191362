"""Slashes too many in a path, on every face."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from app.core.events import Webhook
from app.sandbox import SandboxSettings
from app.sandbox import create_app as create_sandbox
from app.web import create_app
from tests.support.gateway import gateway
from tests.web.test_receive import TOKEN, message, signed
from tests.web.test_rest import ACCOUNT, CONFIGURATION, WHATSAPP
from tests.web.test_rest import TOKEN as TWILIO_TOKEN

WRITTEN: dict[str, Callable[[str], str]] = {
    "in front": lambda path: f"/{path}",
    "at the end": lambda path: f"{path}/",
    "within": lambda path: path.replace("/", "//"),
    "everywhere": lambda path: path.replace("/", "///") + "//",
}
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
written = pytest.mark.parametrize("how", WRITTEN.values(), ids=WRITTEN)


def ask(web: FlaskClient, path: str, method: str = "GET", **options: object) -> TestResponse:
    """A request for that very path, by a Host that the caller made up."""
    headers = {"Host": "evil.example.test", **options.pop("headers", {})}  # type: ignore[dict-item]
    environ = {"PATH_INFO": path}
    return web.open("/", method=method, headers=headers, environ_overrides=environ, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/chat/chat", "/api/costs", MESSAGES, "/nowhere"])
@written
def test_a_path_is_taken_as_if_written_once(how: Callable[[str], str], path: str, redis_client: redis.Redis) -> None:
    web = create_app(gateway(redis_client, **CONFIGURATION)).test_client()
    once, answer = ask(web, path), ask(web, how(path))
    assert once.status_code == answer.status_code
    assert "Location" not in answer.headers


@written
def test_so_is_a_webhook(how: Callable[[str], str], redis_client: redis.Redis) -> None:
    web = create_app(gateway(redis_client)).test_client()
    for path, headers, status in (
        ("/channels/shop", signed(message()), 202),
        ("/destinations/desk/message", {"Authorization": f"Bearer {TOKEN}"}, 400),
    ):
        assert status == ask(web, how(path), "POST", data=message(), headers=headers).status_code


def test_a_signature_speaks_of_the_path_as_it_was_written(redis_client: redis.Redis) -> None:
    web = create_app(gateway(redis_client, **CONFIGURATION)).test_client()
    form = {"MessageSid": "SM" + "1" * 32, "From": "whatsapp:+15551230001", "To": WHATSAPP, "Body": "Hi"}
    form |= {"AccountSid": ACCOUNT, "NumMedia": "0"}
    for path, status in (("/channels//whatsapp/", 200), ("/channels/whatsapp", 401)):
        url = f"http://127.0.0.1:8000{path}"
        headers = {"X-Twilio-Signature": RequestValidator(TWILIO_TOKEN).compute_signature(url, form)}
        assert status == ask(web, "/channels//whatsapp/", "POST", data=form, headers=headers).status_code


@pytest.mark.parametrize("path", ["/channels/shop/größe", "/channels/shop//größe", "/channels/shop/a\ufffd/"])
def test_whatever_letters_it_is_written_in(
    path: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, seen = gateway(redis_client), list[Webhook]()
    monkeypatch.setattr(built.channels["shop"], "verify", seen.append)
    ask(create_app(built).test_client(), path.encode().decode("latin-1"), "POST", data=message())
    assert f"http://127.0.0.1:8000{path}" == seen[0].url


@pytest.mark.parametrize("path", ["/inspect", "/phone", "/agent"])
@written
def test_the_sandbox_does_the_same(how: Callable[[str], str], path: str) -> None:
    web = create_sandbox(SandboxSettings()).test_client()
    once, answer = ask(web, path), ask(web, how(path))
    assert (200, 200) == (once.status_code, answer.status_code)
    assert "Location" not in answer.headers
