"""What comes again because nobody heard the answer: creates with a key, and what is said of a silent store."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from app.core.errors import StoreUnavailable
from app.gateway import Gateway, limits_of, lists_of
from app.store import Store
from app.store.connection import connect
from app.web import create_app
from tests.support.gateway import Clock, Recorder, gateway, run_until_quiet, settings
from tests.support.processes import RedisServer, free_port, wait_until
from tests.web.test_receive import message as written
from tests.web.test_receive import signed
from tests.web.test_rest import ACCOUNT, ADA, CONFIGURATION, KEY, SECRET, SHOP, TOKEN

MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FORM: dict[str, Any] = {"To": ADA, "From": SHOP, "Body": "Hello", "MediaUrl": ["https://cdn.example.test/1.png"]}
OURS, COMMON = "I-Twilio-Idempotency-Token", "Idempotency-Key"
RETRY = "Patchbay-Retry-Key"
NOTHING = "nothing was recorded"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built(redis_client: redis.Redis, clock: Clock) -> Gateway:
    return gateway(redis_client, clock, **CONFIGURATION)


@pytest.fixture
def web(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


def create(web: FlaskClient, headers: dict[str, str], auth: tuple[str, str] = (ACCOUNT, TOKEN), **changes: Any) -> Any:
    return web.post(MESSAGES, data={**FORM, **changes}, headers=headers, auth=auth)


def sids(web: FlaskClient) -> list[str]:
    return [one["sid"] for one in web.get(MESSAGES, auth=(ACCOUNT, TOKEN)).json["messages"]]


def said(response: TestResponse) -> tuple[int, str]:
    """Status and sentence of an answer that is no success, of either face."""
    body = response.get_json()
    return response.status_code, body["message"] if "message" in body else body["error"]["message"]


@pytest.mark.parametrize("header", [OURS, COMMON])
@pytest.mark.parametrize("body", ["Hello", "x" * 300], ids=["in one part", "in two parts"])
def test_a_create_that_comes_again_is_answered_with_the_same_message(
    header: str, body: str, built: Gateway, web: FlaskClient
) -> None:
    first, again = (create(web, {header: "k-1"}, Body=body) for _ in range(2))
    assert (201, 201) == (first.status_code, again.status_code)
    assert first.json == again.json
    assert [first.json["sid"]] == sids(web)
    run_until_quiet(built)
    assert create(web, {header: "k-1"}, Body=body).json["status"] == "sent"
    assert len(sids(web)) == 1


APART: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "without keys": ({}, {}),
    "with other keys": ({COMMON: "k-1"}, {COMMON: "k-2"}),
    "with the platform's own names for keys": ({OURS: "k-1"}, {OURS: "k-2"}),
    "with keys of a load balancer beside one's own": ({OURS: "k-1", COMMON: "r-1"}, {OURS: "k-2", COMMON: "r-1"}),
    "with a load balancer's own keys": ({RETRY: "r-1"}, {RETRY: "r-2"}),
    "with keys beside a load balancer's own": ({COMMON: "k-1", RETRY: "r-1"}, {COMMON: "k-2", RETRY: "r-1"}),
    "with a key that a load balancer has as its own": ({COMMON: "k-1"}, {RETRY: "k-1"}),
    "with a load balancer's key that is none": ({RETRY: "\x7f"}, {RETRY: "\x7f"}),
}


@pytest.mark.parametrize(("first", "second"), APART.values(), ids=APART)
def test_equal_creates_are_two_messages(first: dict[str, str], second: dict[str, str], web: FlaskClient) -> None:
    made = [create(web, headers).json["sid"] for headers in (first, second)]
    assert sorted(made) == sorted(sids(web))
    assert len(set(made)) == 2


def test_a_clients_own_key_counts_although_the_load_balancer_adds_others(web: FlaskClient) -> None:
    made = [create(web, {OURS: "k-1", COMMON: f"r-{n}"}).json["sid"] for n in range(2)]
    assert made[0] == made[1]


def test_what_a_load_balancer_asks_again_is_one_message(web: FlaskClient) -> None:
    made = [create(web, headers).json["sid"] for headers in [{RETRY: "r-1"}] * 2]
    assert made == [sids(web)[0]] * 2


def test_a_key_is_the_accounts_whoever_of_it_logs_in(web: FlaskClient) -> None:
    made = [create(web, {COMMON: "k-1"}, auth=auth).json["sid"] for auth in ((ACCOUNT, TOKEN), (KEY, SECRET))]
    assert made[0] == made[1]


def test_the_order_of_parameters_is_no_difference(web: FlaskClient) -> None:
    fields = [("To", ADA), ("From", SHOP), ("Body", "Hello")]
    options: dict[str, Any] = {"headers": {COMMON: "k-1"}, "auth": (ACCOUNT, TOKEN)}
    made = [web.post(MESSAGES, data=MultiDict(given), **options) for given in (fields, fields[::-1])]
    assert made[0].get_json()["sid"] == made[1].get_json()["sid"]


@pytest.mark.parametrize("key", ["~", "order 1", "x" * 255])
def test_a_key_is_any_printable_text(key: str, web: FlaskClient) -> None:
    assert [201, 201] == [create(web, {COMMON: key}).status_code for _ in range(2)]
    assert 1 == len(sids(web))


MORE = [*FORM["MediaUrl"], "https://cdn.example.test/2.png"]


@pytest.mark.parametrize(
    "changes", [{"Body": "Other"}, {"To": "webchat:ben"}, {"MediaUrl": []}, {"MediaUrl": MORE}, {"MaxPrice": "1"}]
)
def test_a_key_with_other_parameters_is_refused(changes: dict[str, Any], web: FlaskClient) -> None:
    first = create(web, {COMMON: "k-1"})
    other = create(web, {COMMON: "k-1"}, **changes)
    assert (422, 20422, f"This {COMMON} was used for a message with other parameters") == (
        other.status_code,
        other.json["code"],
        other.json["message"],
    )
    assert [first.json["sid"]] == sids(web)


def test_of_a_load_balancers_key_callers_are_not_told(built: Gateway, web: FlaskClient) -> None:
    sid = create(web, {RETRY: "r-1"}).json["sid"]
    other = create(web, {RETRY: "r-1"}, Body="Other")
    run_until_quiet(built)
    web.delete(MESSAGES.replace(".json", f"/{sid}.json"), auth=(ACCOUNT, TOKEN))
    assert [
        (422, "This request was used for a message with other parameters"),
        (409, "The message of this request was sent before, and is deleted"),
    ] == [said(other), said(create(web, {RETRY: "r-1"}))]


@pytest.mark.parametrize(
    "key", ["x" * 256, "k\u00e9y", "a\tb", "", " "], ids=["long", "letters", "a tab", "none", "blank"]
)
def test_a_key_that_is_none_is_named(key: str, web: FlaskClient) -> None:
    refused = create(web, {COMMON: key})
    assert (400, 20001) == (refused.status_code, refused.json["code"])
    assert refused.json["message"].startswith(f"{COMMON} must be")
    assert [] == sids(web)


def test_what_was_refused_may_be_mended_with_the_same_key(web: FlaskClient) -> None:
    assert create(web, {COMMON: "k-1"}, To="nobody").status_code == 400
    assert create(web, {COMMON: "k-1"}).status_code == 201


def test_a_repeat_is_no_new_message_although_the_customer_opted_out_since(built: Gateway, web: FlaskClient) -> None:
    first = create(web, {COMMON: "k-1"}).json["sid"]
    built.store.consents.write(f"chat/{ADA}", "out", "they wrote STOP")
    assert first == create(web, {COMMON: "k-1"}).json["sid"]
    assert (400, 21610) == (create(web, {COMMON: "k-2"}).status_code, create(web, {COMMON: "k-2"}).json["code"])


def test_a_key_of_a_message_that_was_deleted_sends_nothing(built: Gateway, web: FlaskClient) -> None:
    sid = create(web, {COMMON: "k-1"}).json["sid"]
    run_until_quiet(built)
    assert web.delete(MESSAGES.replace(".json", f"/{sid}.json"), auth=(ACCOUNT, TOKEN)).status_code == 204
    again = create(web, {COMMON: "k-1"})
    assert (409, 20422) == (again.status_code, again.json["code"])
    assert [] == sids(web)


def test_after_the_window_a_key_is_a_new_one(redis_client: redis.Redis) -> None:
    built = gateway(redis_client, **CONFIGURATION, gateway={"dedup_window": 1})
    web = create_app(built).test_client()
    first = create(web, {COMMON: "k-1"}).json["sid"]
    wait_until("the window is over", lambda: not list(redis_client.scan_iter(f"*x:{ACCOUNT}*")))
    assert first != create(web, {COMMON: "k-1"}).json["sid"]


def test_two_at_the_same_moment_are_one_message(web: FlaskClient, built: Gateway) -> None:
    clients = [create_app(built).test_client() for _ in range(8)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: create(client, {COMMON: "k-1"}), clients))
    assert {201} == {answer.status_code for answer in answers}
    assert [answers[0].json["sid"]] == sids(web)
    assert {answers[0].json["sid"]} == {answer.json["sid"] for answer in answers}


def test_a_message_that_was_called_off_may_be_called_off_again(web: FlaskClient) -> None:
    path = MESSAGES.replace(".json", f"/{create(web, {}).json['sid']}.json")
    answers = [web.post(path, data={"Status": "canceled"}, auth=(ACCOUNT, TOKEN)) for _ in range(2)]
    assert [(200, "canceled")] * 2 == [(answer.status_code, answer.json["status"]) for answer in answers]


# --- a store that does not answer ---


class Frozen:
    """A gateway on a Redis of its own, whose process can be stopped and go on."""

    def __init__(self, server: RedisServer) -> None:
        chosen = settings(**CONFIGURATION)
        self.client = connect(server.url, timeout=0.5, name="tests")
        self.gateway = Gateway(chosen, Store(self.client, limits_of(chosen), lists=lists_of(chosen)), Recorder())
        self.gateway.declare()
        self.web = create_app(self.gateway).test_client()
        self._pid = server.pid
        create(self.web, {}, To="webchat:somebody-else")  # from now on the server knows the script by its hash

    def freeze(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def freeze_before(self, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        """Stop the server once everything was read, so that the script is sent to one that does not answer."""
        connection = self.gateway.store.connection
        run = connection.run

        def frozen(name: str, *args: Any) -> Any:
            if name == script:
                self.freeze()
            return run(name, *args)

        monkeypatch.setattr(connection, "run", frozen)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Frozen]:
    server = RedisServer(tmp_path, "no")
    server.start()
    found = Frozen(server)
    try:
        yield found
    finally:
        found.thaw()
        found.client.close()
        server.stop()


@pytest.mark.parametrize("header", [OURS, COMMON])
def test_a_create_that_a_frozen_redis_carries_out_later_is_sent_once(
    header: str, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        frozen.freeze_before(patched, "accept")
        status, sentence = said(create(frozen.web, {header: "k-1"}))
    assert (503, True, True) == (status, "may have been recorded" in sentence, f"the same {header}" in sentence)
    assert NOTHING not in sentence
    frozen.thaw()
    wait_until("it was recorded", lambda: len(sids(frozen.web)) == 2)
    assert sids(frozen.web)[0] == create(frozen.web, {header: "k-1"}).json["sid"]
    assert len(sids(frozen.web)) == 2


@pytest.mark.parametrize("headers", [{}, {RETRY: "r-1"}], ids=["alone", "behind a load balancer"])
def test_without_a_key_it_says_what_to_do_instead(
    headers: dict[str, str], frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        frozen.freeze_before(patched, "accept")
        status, sentence = said(create(frozen.web, headers))
    assert (503, True, True) == (status, "may have been recorded" in sentence, "Look for it" in sentence)
    assert "the same" not in sentence
    assert RETRY not in sentence


def test_a_webhook_that_a_frozen_redis_records_later_counts_once(
    frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post() -> TestResponse:
        return frozen.web.post("/channels/shop", data=written(), headers=signed(written()))

    with monkeypatch.context() as patched:
        frozen.freeze_before(patched, "accept")
        status, sentence = said(post())
    assert (503, True, False) == (status, "may have been recorded" in sentence, NOTHING in sentence)
    frozen.thaw()
    wait_until("it was recorded", lambda: frozen.gateway.store.messages.timeline("shop/webhook:customer-42"))
    assert post().get_json()["accepted"][0]["duplicate"]
    assert 1 == frozen.gateway.store.lanes.state("inbound:helper", 0).waiting


def test_of_another_change_it_says_that_it_can_be_repeated(frozen: Frozen, monkeypatch: pytest.MonkeyPatch) -> None:
    path = MESSAGES.replace(".json", f"/{create(frozen.web, {}).json['sid']}.json")
    with monkeypatch.context() as patched:
        frozen.freeze_before(patched, "cancel")
        answer = frozen.web.post(path, data={"Status": "canceled"}, auth=(ACCOUNT, TOKEN))
    assert (503, "The store did not answer; the change may have been made. It can be repeated") == said(answer)
    assert "5" == answer.headers["Retry-After"]


def test_what_was_only_read_was_not_recorded(frozen: Frozen) -> None:
    create(frozen.web, {})
    frozen.freeze()
    assert (503, "The store cannot be reached; nothing was recorded") == said(create(frozen.web, {COMMON: "k-1"}))


def test_where_no_connection_stood_nothing_was_recorded() -> None:
    chosen = settings(**CONFIGURATION)
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    web = create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()
    for response in (
        create(web, {COMMON: "k-1"}),
        web.post("/channels/shop", data=written(), headers=signed(written())),
    ):
        status, sentence = said(response)
        assert (503, True) == (status, NOTHING in sentence)


@pytest.mark.parametrize("maybe_done", [False, True])
def test_a_webhook_of_which_a_part_was_recorded_does_not_say_nothing_was(
    maybe_done: bool, built: Gateway, web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, calls = built.store.mailboxes.accept, iter([True, False])

    def once(*args: Any, **options: Any) -> Any:
        if not next(calls):
            raise StoreUnavailable("away", maybe_done=maybe_done)
        return accept(*args, **options)

    parse = built.channels["shop"].parse
    monkeypatch.setattr(built.channels["shop"], "parse", lambda webhook: parse(webhook) * 2)
    monkeypatch.setattr(built.store.mailboxes, "accept", once)
    status, sentence = said(web.post("/channels/shop", data=written(), headers=signed(written())))
    assert (503, True) == (status, "may have been recorded" in sentence)
