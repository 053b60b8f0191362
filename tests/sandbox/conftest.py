"""A sandbox per test: in-process for most, served on loopback where sockets matter."""

import threading
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from twilio.rest import Client
from werkzeug.serving import BaseWSGIServer

from app.sandbox import SandboxSettings, create_app, make_server

from .flex import Listener, connect, recording_listener
from .gateway import Gateway, recording_gateway
from .messaging import Hooks, recording_hooks


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with recording_gateway() as gateway:
        yield gateway


@pytest.fixture
def settings(gateway: Gateway) -> SandboxSettings:
    return SandboxSettings(gateway_url=gateway.url)


@pytest.fixture
def client(settings: SandboxSettings) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.fixture
def phone_client(gateway: Gateway) -> FlaskClient:
    return create_app(SandboxSettings(gateway_url=gateway.url, respondio_id_type="phone")).test_client()


def _serve(server: BaseWSGIServer) -> None:
    server.serve_forever(poll_interval=0.01)


@pytest.fixture
def served(settings: SandboxSettings) -> Iterator[str]:
    """The base URL of a sandbox that really listens."""
    server = make_server("127.0.0.1", 0, settings)
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def twilio(served: str) -> Client:
    """Twilio's SDK, pointed at a sandbox that listens."""
    return connect(served)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Somebody who takes webhooks."""
    with recording_listener() as listener:
        yield listener


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """A gateway with webhooks for messages."""
    with recording_hooks() as hooks:
        yield hooks


@pytest.fixture
def texts(hooks: Hooks) -> Iterator[str]:
    """The base URL of a sandbox whose messages go to `hooks`."""
    server = make_server("127.0.0.1", 0, SandboxSettings(gateway_url=hooks.url))
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()
