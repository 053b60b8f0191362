"""The log of requests: what it says, and what it keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from app.config.file import ACCESS_LOG_VARIABLE
from app.web import create_app
from tests.support.gateway import gateway
from tests.web.test_rest import CONFIGURATION

ASKED: dict[str, tuple[str, str, int, dict[str, Any]]] = {
    "a webhook": ("POST", "/channels/shop", 401, {"route": "/channels/<name>", "name": "shop"}),
    "a webhook below": ("POST", "/channels/shop/in", 401, {"route": "/channels/<name>/<path:rest>", "name": "shop"}),
    "a customer's costs": (
        *("GET", "/api/costs/conversations/shop/webhook:ada", 403),
        {"route": "/api/costs/conversations/<channel>/<path:customer>", "channel": "shop"},
    ),
    "what nobody serves": ("GET", f"/nowhere/{'x' * 1000}", 404, {"route": f"/nowhere/{'x' * 191}"}),
    "what is too large": ("POST", "/channels/shop", 413, {"bytes": 1_000_000}),
}


@pytest.mark.parametrize(("method", "path", "status", "said"), ASKED.values(), ids=ASKED)
def test_a_request_is_told_by_its_route(
    method: str,
    path: str,
    status: int,
    said: dict[str, Any],
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ACCESS_LOG_VARIABLE, "1")
    web = create_app(gateway(redis_client, **CONFIGURATION)).test_client()
    with capture_logs() as lines:
        answer = web.open(path, method=method, data=b"x" * said.get("bytes", 0), query_string={"token": "secret"})
    (line,) = [line for line in lines if line["event"] == "request"]
    assert status == answer.status_code
    assert {"method": method, "status": status, "caller": "127.0.0.1", **said}.items() <= line.items()
    assert not {"ada", "secret"} & set(str(line).replace("'", ":").split(":"))


def test_requests_are_not_logged_unless_somebody_wants_it(redis_client: redis.Redis) -> None:
    with capture_logs() as lines:
        create_app(gateway(redis_client)).test_client().get("/healthz")
    assert not [line for line in lines if line["event"] == "request"]
