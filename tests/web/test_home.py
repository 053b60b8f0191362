"""The gateway's own address, as people and programs find it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import redis
from flask.testing import FlaskClient

from app.web import create_app
from tests.support.gateway import gateway

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAMS = {"nothing said": {}, "anything": {"Accept": "*/*"}, "JSON": {"Accept": "application/json"}}


@pytest.fixture
def client(redis_client: redis.Redis) -> FlaskClient:
    return create_app(gateway(redis_client)).test_client()


def test_a_browser_is_told_what_this_is_and_where_its_health_is(client: FlaskClient) -> None:
    page = client.get("/", headers=BROWSER)
    assert (page.status_code, page.mimetype, page.headers["Vary"]) == (200, "text/html", "Accept")
    assert "This is a Patchbay gateway" in page.text
    addresses = set(re.findall(r'href="([^"]+)"', page.text))
    assert {"/healthz", "/readyz"} <= addresses
    assert {200} == {client.get(address).status_code for address in addresses}
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("headers", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_finds_nothing_there(client: FlaskClient, headers: Mapping[str, str]) -> None:
    answer = client.get("/", headers=headers)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")
    assert answer.get_json()["error"]["message"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://127.0.0.1:8001/"])
@pytest.mark.parametrize("headers", [BROWSER, {"Accept": "*/*"}], ids=["browser", "anything"])
def test_with_the_sandbox_it_leads_to_its_home_page(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, headers: Mapping[str, str], url: str
) -> None:
    monkeypatch.setenv("SANDBOX_PUBLIC_URL", url)
    answer = client.get("/", headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:8001/")
    assert client.get("/", headers=PROGRAMS["JSON"]).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_done_there(client: FlaskClient, method: str) -> None:
    answer = client.open("/", method=method, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (404, "application/json")


def test_every_address_has_an_icon(client: FlaskClient) -> None:
    icon = client.get("/favicon.ico")
    assert (icon.status_code, icon.mimetype) == (200, "image/svg+xml")
