"""How the load balancer of several cells, as it is shipped, passes calls on; its receivers only record them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support import haproxy
from tests.support.cells import Balancer
from tests.support.processes import HOST, wait_until
from tests.support.sink import Call, Sink, Told, sink

pytestmark = pytest.mark.processes
ACCOUNT = "AC" + "1" * 32
CREATE = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
NAMES = {"shop": "one", "desk": "one", "events": "two", ACCOUNT: "two", "moved": "hold"}


class World:
    """Two cells of two receivers each."""

    def __init__(self, folder: Path, cells: dict[str, list[Sink]]) -> None:
        self.cells = cells
        addresses = {name: [urlsplit(one.url).netloc for one in sinks] for name, sinks in cells.items()}
        self.balancer = Balancer(folder, addresses, NAMES)
        self.ask = self.balancer.ask

    def tell(self, told: Told) -> None:
        """What receivers answer from now on; they are ready all the same."""
        for one in self._receivers():
            one.answer = lambda call: Told() if call.path == "/readyz" else told
            one.calls.clear()

    def passed(self, cell: str = "") -> list[Call]:
        receivers = self.cells[cell] if cell else self._receivers()
        return [call for one in receivers for call in one.calls if call.path != "/readyz"]

    def _receivers(self) -> list[Sink]:
        return [one for sinks in self.cells.values() for one in sinks]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        cells = {name: [stack.enter_context(sink()) for _ in range(2)] for name in ("one", "two")}
        world = World(tmp_path_factory.mktemp("cells"), cells)
        world.balancer.start()
        yield world
        world.balancer.stop()


@pytest.fixture
def world(running: World) -> World:
    running.tell(Told())
    return running


def test_haproxy_has_nothing_against_what_is_shipped(tmp_path: Path) -> None:
    balancer = Balancer(tmp_path, {"one": [f"{HOST}:1"], "two": [f"{HOST}:2"]})
    assert [] == haproxy.complaints(balancer.config, tmp_path)


LEADS = {
    "a channel": ("/channels/shop", "one"),
    "an address below a channel": ("/channels/events/status", "two"),
    "a destination": ("/destinations/desk/message", "one"),
    "a chat": ("/chat/events/visitor", "two"),
    "a name with something behind it": ("/channels/shop?x=/channels/events", "one"),
    "REST": (CREATE, "two"),
    "an account": (f"/2010-04-01/Accounts/{ACCOUNT}.json", "two"),
}


@pytest.mark.parametrize(("path", "cell"), LEADS.values(), ids=LEADS)
def test_a_path_leads_to_its_cell_alone(path: str, cell: str, world: World) -> None:
    assert world.ask("POST", path).status_code == 200
    assert [path] == [call.path for call in world.passed()]
    assert [path] == [call.path for call in world.passed(cell)]


NOWHERE = ["/channels/nobody", "/channels/", "/channels", "/", "/api/costs", "/readyz", "/2010-04-01/Accounts/AC2.json"]


@pytest.mark.parametrize("path", [*NOWHERE, "/x/channels/shop", "/chat/one", "//channels/shop", "/channels/SHOP"])
def test_what_no_cell_has_is_not_there(path: str, world: World) -> None:
    answer = world.ask("POST", path)
    assert (answer.status_code, [*answer.json()]) == (404, ["error"])
    assert world.passed() == []


def test_callers_of_a_channel_that_moves_come_again(world: World) -> None:
    answer = world.ask("POST", "/channels/moved")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_a_large_body_is_passed_on_whole(world: World) -> None:
    body = b"x" * 262_144
    world.ask("POST", "/channels/shop", body=body)
    assert [body] == [call.body for call in world.passed()]


REPEATED = {"a webhook": "/channels/shop", "a callback": "/destinations/desk/message", "a create over REST": CREATE}
NOT_REPEATED = {
    "a new visitor": "/chat/events/visitor",
    "a change over REST": CREATE.replace(".json", "/SM1.json"),
    "feedback over REST": CREATE.replace(".json", "/SM1/Feedback.json"),
}


@pytest.mark.parametrize("path", REPEATED.values(), ids=REPEATED)
def test_another_receiver_is_asked_with_the_same_key(path: str, world: World) -> None:
    world.tell(Told(drop=True))
    world.ask("POST", path)
    keys = [call.headers["patchbay-retry-key"] for call in world.passed()]
    assert len(keys) > 1
    assert len(set(keys)) == 1
    asked = [one for sinks in world.cells.values() for one in sinks if any(call.path == path for call in one.calls)]
    assert len(asked) == 2


@pytest.mark.parametrize("path", [*REPEATED.values(), *NOT_REPEATED.values()])
def test_what_a_receiver_cannot_do_now_it_says_itself(path: str, world: World) -> None:
    world.tell(Told(status=503, headers={"Retry-After": "7"}))
    answer = world.ask("POST", path)
    assert (answer.status_code, answer.headers["Retry-After"], len(world.passed())) == (503, "7", 1)


@pytest.mark.parametrize("path", NOT_REPEATED.values(), ids=NOT_REPEATED)
def test_what_is_not_known_to_be_safe_is_not_repeated(path: str, world: World) -> None:
    world.tell(Told(drop=True))
    with suppress(requests.ConnectionError):  # so HAProxy tells of a kept connection that broke: the caller knows best
        world.ask("POST", path)
    assert len(world.passed()) == 1


def test_a_caller_cannot_say_who_it_is(world: World) -> None:
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "Forwarded": "for=203.0.113.9"}
    more = {"X-Forwarded-Host": "evil.example", "X-Request-ID": "mine", "Patchbay-Retry-Key": "mine"}
    world.ask("POST", "/channels/shop", lies | more)
    (call,) = world.passed()
    assert (call.headers["x-forwarded-for"], call.headers["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert {"forwarded", "x-forwarded-host"}.isdisjoint(call.headers)
    assert "mine" not in (call.headers["x-request-id"], call.headers["patchbay-retry-key"])


def test_senders_learn_that_they_may_come_again_when_no_receiver_answers(world: World) -> None:
    world.tell(Told(drop=True))
    answer = world.ask("POST", "/channels/shop")
    assert answer.status_code in (502, 503)
    assert answer.headers["Retry-After"] == "5"


def test_receivers_that_are_not_ready_get_nothing_and_the_other_cell_all_that_is_its(world: World) -> None:
    world.tell(Told())
    for one in world.cells["one"]:
        one.answers(Told(status=503))
    wait_until("HAProxy has noticed", lambda: "one/<NOSRV>" in _asked(world))
    for one in world.cells["one"]:
        one.calls.clear()
    answer = world.ask("POST", "/channels/shop")
    assert (answer.status_code, answer.headers["Retry-After"], world.passed("one")) == (503, "5", [])
    assert world.ask("POST", "/channels/events").status_code == 200
    world.tell(Told())
    wait_until("it is back", lambda: world.ask("POST", "/channels/shop").status_code == 200)


def _asked(world: World) -> str:
    """What the log says of another call."""
    before = len(world.balancer.log())
    world.ask("POST", "/channels/shop")
    wait_until("the call stands there", lambda: "/channels/shop" in world.balancer.log()[before:])
    return world.balancer.log()[before:]


def test_strangers_are_led_to_tls_and_kept_there(world: World) -> None:
    plain = f"http://{HOST}:{world.balancer.plain}/chat/events?x=1"
    answer = requests.get(plain, headers={"Host": "gw.example.test"}, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://gw.example.test/chat/events?x=1")
    assert "max-age" in world.ask("GET", "/chat/events").headers["Strict-Transport-Security"]


def test_a_ticket_stands_in_no_log(world: World) -> None:
    requests.get(f"http://{HOST}:{world.balancer.plain}/chat/events?ticket=secret", timeout=10, allow_redirects=False)
    world.ask("GET", "/chat/events/events?ticket=secret")
    wait_until("the call stands there", lambda: " GET /chat/events/events 200 " in world.balancer.log())
    assert "secret" not in world.balancer.log()


def test_whoever_calls_too_often_is_told_when_to_come_again(tmp_path: Path, world: World) -> None:
    own = Balancer(tmp_path, {name: [urlsplit(one.url).netloc for one in found] for name, found in world.cells.items()})
    own.start()
    try:
        with requests.Session() as session:
            session.trust_env, session.verify = False, own.authority
            answers = (session.get(f"{own.url}/chat/nobody", timeout=10) for _ in range(1_002))
            refused = next(answer for answer in answers if answer.status_code != 404)
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
            assert session.post(f"{own.url}/channels/nobody", timeout=10).status_code == 404, "webhooks go on"
    finally:
        own.stop()
