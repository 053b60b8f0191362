"""What is shipped for operation: the units' hardening, and how the load balancer passes requests on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.nginx import NAME, SEEN_FROM, Nginx
from tests.support.processes import wait_until
from tests.support.sink import Call, Sink, Told, sink

pytestmark = pytest.mark.processes
DEPLOY = Path(__file__).parents[1] / "deploy"
EXPOSURE = re.compile(r"Overall exposure level for \S+: (\d+\.\d+)")


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("systemd/*.service")), ids=lambda unit: unit.stem)
def test_a_unit_is_hardly_exposed(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = EXPOSURE.search(said)
    assert found is not None, said
    assert float(found[1]) < 3


def test_receivers_are_told_of_the_proxy_where_others_can_reach_them() -> None:
    assert "Environment=PATCHBAY_BEHIND_PROXY=1" in (DEPLOY / "systemd/patchbay-receiver.service").read_text()
    assert "--behind-proxy" in (DEPLOY.parent / "Procfile").read_text()


class Balanced:
    """The shipped load balancer in front of two receivers that are none: they record what they are passed."""

    def __init__(self, folder: Path, first: Sink, second: Sink) -> None:
        self.sinks = (first, second)
        self.nginx = Nginx(folder, *(urlsplit(one.url).netloc for one in self.sinks))

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        url, verify = self.nginx.url + path, str(self.nginx.authority)
        return requests.request(
            method, url, headers=headers, data=b"{}", verify=verify, timeout=10, allow_redirects=False
        )

    def passed(self) -> list[Call]:
        return [call for one in self.sinks for call in one.calls]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    with sink() as first, sink() as second:
        balanced = Balanced(tmp_path_factory.mktemp("nginx"), first, second)
        balanced.nginx.start()
        yield balanced
        balanced.nginx.stop()


@pytest.fixture
def balanced(running: Balanced) -> Balanced:
    for one in running.sinks:
        one.calls.clear()
        one.answers()
    return running


def test_a_caller_cannot_say_who_it_is(balanced: Balanced) -> None:
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "Forwarded": "for=203.0.113.9"}
    balanced.ask("POST", "/channels/shop", lies | {"X-Forwarded-Host": "evil.example", "X-Request-ID": "mine"})
    (call,) = balanced.passed()
    assert (call.headers["x-forwarded-for"], call.headers["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert "forwarded" not in call.headers
    assert "x-forwarded-host" not in call.headers
    assert re.fullmatch("[0-9a-f]{32}", call.headers["x-request-id"])


CREATE = "/2010-04-01/Accounts/AC1/Messages.json"
REPEATED = {"a webhook": "/channels/shop", "a callback": "/destinations/desk/message", "a create over REST": CREATE}
NOT_REPEATED = {
    "a new visitor": "/chat/shop/visitor",
    "a call of our own API": "/api/replay",
    "a change over REST": CREATE.replace(".json", "/SM1.json"),
    "feedback over REST": CREATE.replace(".json", "/SM1/Feedback.json"),
}


@pytest.mark.parametrize("path", REPEATED.values(), ids=REPEATED)
def test_another_receiver_is_asked_with_the_same_key(balanced: Balanced, path: str) -> None:
    for one in balanced.sinks:
        one.answers(Told(status=503))
    balanced.ask("POST", path)
    keys = [call.headers["patchbay-retry-key"] for call in balanced.passed()]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize("path", NOT_REPEATED.values(), ids=NOT_REPEATED)
@pytest.mark.parametrize("told", [Told(status=503), Told(drop=True)], ids=["503", "no answer"])
def test_what_is_not_known_to_be_safe_is_not_repeated(balanced: Balanced, path: str, told: Told) -> None:
    for one in balanced.sinks:
        one.answers(told)
    balanced.ask("POST", path)
    assert len(balanced.passed()) == 1


@pytest.mark.parametrize("name", ["Idempotency-Key", "I-Twilio-Idempotency-Token"])
def test_a_callers_own_key_goes_before(balanced: Balanced, name: str) -> None:
    balanced.ask("POST", CREATE, {name: "mine"})
    (call,) = balanced.passed()
    given = {key: call.headers.get(key.lower()) for key in ("Idempotency-Key", "I-Twilio-Idempotency-Token")}
    assert {name: "mine"} == {key: value for key, value in given.items() if value}


def test_callers_get_no_key_that_they_did_not_give_and_cannot_give_the_load_balancers(balanced: Balanced) -> None:
    balanced.ask("POST", CREATE, {"Patchbay-Retry-Key": "mine"})
    (call,) = balanced.passed()
    assert re.fullmatch("[0-9a-f]{32}", call.headers["patchbay-retry-key"])
    assert "idempotency-key" not in call.headers


def test_senders_learn_that_they_may_come_again_when_no_receiver_answers(balanced: Balanced) -> None:
    for one in balanced.sinks:
        one.answers(Told(drop=True))
    answer = balanced.ask("POST", "/channels/shop")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_callers_of_rest_hear_in_twilios_words_that_a_create_may_have_been_recorded(balanced: Balanced) -> None:
    for one in balanced.sinks:
        one.answers(Told(drop=True))
    answer = balanced.ask("POST", CREATE)
    said = answer.json()
    assert (answer.status_code, answer.headers["Retry-After"], said["status"], said["code"]) == (503, "5", 503, 20503)
    assert "may have been recorded" in said["message"]


def test_strangers_are_led_to_tls_and_kept_there(balanced: Balanced) -> None:
    plain = f"http://127.0.0.1:{balanced.nginx.plain}/chat/shop?x=1"
    answer = requests.get(plain, headers={"Host": NAME}, timeout=10, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{NAME}/chat/shop?x=1")
    assert "max-age" in balanced.ask("GET", "/chat/shop").headers["Strict-Transport-Security"]


def test_a_ticket_that_is_sent_without_tls_stands_in_no_log(balanced: Balanced) -> None:
    plain = f"http://127.0.0.1:{balanced.nginx.plain}/chat/shop/events?ticket=secret"
    assert requests.get(plain, timeout=10, allow_redirects=False).status_code == 308
    balanced.ask("GET", "/chat/shop")
    wait_until("the next call stands there", lambda: "GET /chat/shop " in balanced.nginx.logs())
    assert "secret" not in balanced.nginx.logs()


CROWDS: dict[str, tuple[str, str]] = {
    "one address": ("192.0.2.1", "192.0.2.2"),
    "a network of IPv6": ("2001:db8::{:x}", "2001:db8:0:1::1"),
    "a network of IPv6 whose last group is zero": ("2001:db8:5::a:{:x}", "2001:db8:6::a:1"),
    "a network without zeros": ("2001:db8:a:b:c:d:e:{:x}", "2001:db8:a:c:c:d:e:1"),
    "an address of IPv4 in IPv6": ("::ffff:198.51.100.1", "::ffff:198.51.100.2"),
}


@pytest.mark.parametrize(("callers", "other"), CROWDS.values(), ids=CROWDS)
def test_whoever_calls_too_often_is_told_when_to_come_again(callers: str, other: str, balanced: Balanced) -> None:
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(balanced.nginx.authority)

        def ask(seen_from: str) -> requests.Response:
            return session.get(f"{balanced.nginx.url}/chat/shop", timeout=10, headers={SEEN_FROM: seen_from})

        assert {200} == {ask(callers.format(number)).status_code for number in range(3)}
        for number in range(5000):
            answer = ask(callers.format(number))
            if answer.status_code == 429:
                break
        assert ask(other).status_code == 200
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert "come again" in answer.json()["error"]["message"]
