"""Idempotency keys through the real server, alone and behind the load balancer: none is lost without a word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.support import toml
from tests.support.gateway import tables
from tests.support.nginx import Nginx
from tests.support.processes import HOST, RedisServer, System
from tests.web.test_rest import ACCOUNT, ADA, CONFIGURATION, SHOP, TOKEN

CREATE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FORM = {"To": ADA, "From": SHOP, "Body": "Hello"}
HEADERS = ["Idempotency-Key", "I-Twilio-Idempotency-Token"]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """URL and authority of the receiver, and of the load balancer in front of it."""
    folder = tmp_path_factory.mktemp("keys")
    store = RedisServer(folder, "no")
    store.start()
    config = folder / "patchbay.toml"
    config.write_text(toml.dumps(tables(**CONFIGURATION)))
    system = System(config, store.url, folder)
    nginx = Nginx(folder, f"{HOST}:{system.port}")
    system.start(workers=0)
    nginx.start()
    yield {"alone": (system.url, ""), "behind the load balancer": (nginx.url, str(nginx.authority))}
    nginx.stop()
    system.stop()
    store.stop()


def create(way: tuple[str, str], headers: dict[str, bytes]) -> requests.Response:
    url, authority = way
    auth = (ACCOUNT, TOKEN)
    return requests.post(url + CREATE, FORM, headers=headers, auth=auth, timeout=10, verify=authority or True)


@pytest.mark.parametrize("way", ["alone", "behind the load balancer"])
class TestKeys:
    @pytest.mark.parametrize("header", HEADERS)
    @pytest.mark.parametrize("key", ["bestellung-é-1".encode(), "bestellung-é-1".encode("latin-1"), b""])
    def test_one_that_cannot_be_read_is_refused(
        self, header: str, key: bytes, way: str, ways: dict[str, tuple[str, str]]
    ) -> None:
        answer = create(ways[way], {header: key})
        assert (400, 20001) == (answer.status_code, answer.json()["code"])
        assert answer.json()["message"] == f"{header} must be 1 to 255 printable ASCII characters"

    @pytest.mark.parametrize("header", HEADERS)
    def test_the_same_one_is_the_same_message(self, header: str, way: str, ways: dict[str, tuple[str, str]]) -> None:
        made = {create(ways[way], {header: key}).json()["sid"] for key in (b"order-1", b"order-1", b"order-2")}
        assert len(made) == 2

    def test_creates_without_one_are_messages_each(self, way: str, ways: dict[str, tuple[str, str]]) -> None:
        assert create(ways[way], {}).json()["sid"] != create(ways[way], {}).json()["sid"]
