"""Links to files: one call for all who click, few at a time, and never a thread that webhooks need."""

from __future__ import annotations

import re
import socket
import string
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from flask.testing import FlaskClient

from app.core import errors
from app.core.errors import Failure
from app.core.events import File
from app.gateway import Gateway
from app.platforms.twilio.links import Links
from app.web import create_app, files, shelf
from app.web.shelf import Crowded, Found, Shelf, pieces
from tests.sandbox.flex import SERVICE, SETTINGS
from tests.support.gateway import gateway, tables
from tests.support.processes import System, wait_until
from tests.support.sink import Call, Sink, Told
from tests.support.toml import dumps

PICTURE = b"0123456789" * 10
LARGE = bytes(range(256)) * 8 * 1024  # more than is given away at once
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
PUBLIC = "http://127.0.0.1:8000"


def channel(url: str) -> dict[str, Any]:
    return {
        "type": "twilio",
        "account_sid": SETTINGS.twilio_account_sid,
        "auth_tokens": [SETTINGS.twilio_auth_token],
        "address": "whatsapp:+15551239999",
        "api_url": url,
        "destination": "helper",
    }


def link(number: int = 0, name: str = "wa") -> str:
    """The path of a link to a customer's file."""
    values = {"auth_tokens": [SETTINGS.twilio_auth_token], "callback": f"/channels/{name}", "media_keep": 60}
    return Links(values, f"media of channel {name}").to(f"MM{number:032x}", f"ME{number:032x}")


@pytest.fixture
def built(redis_client: redis.Redis, outside: Sink) -> Gateway:
    return gateway(redis_client, channels__wa=channel(outside.url))


@pytest.fixture
def web(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


def gives(outside: Sink, body: bytes, kind: str = "image/png") -> None:
    outside.answers(Told(200, body, {"Content-Type": kind}))


# --- as browsers ask ---


@pytest.mark.parametrize("body", [b"", PICTURE, LARGE], ids=["empty", "small", "large"])
def test_a_file_is_had_once_for_all_who_click_on_its_link(body: bytes, web: FlaskClient, outside: Sink) -> None:
    gives(outside, body)
    for _ in range(3):
        answer = web.get(link())
        assert (200, body, str(len(body))) == (answer.status_code, answer.data, answer.headers["Content-Length"])
    assert 1 == len(outside.calls)
    web.get(link(1))
    assert 2 == len(outside.calls)


def test_what_one_channel_has_is_not_shown_under_anothers_link(redis_client: redis.Redis, outside: Sink) -> None:
    other = {**channel(outside.url), "address": "whatsapp:+15551239998"}
    web = create_app(gateway(redis_client, channels__wa=channel(outside.url), channels__wb=other)).test_client()
    for name in ("wa", "wb"):
        gives(outside, name.encode())
        assert name.encode() == web.get(link(name=name)).data


def spellings(path: str) -> list[str]:
    """Tokens that say the same: base64 passes over foreign characters, and the last one's lowest bits mean nothing."""
    last = ALPHABET.index(path[-1])
    alike = [path[:-1] + ALPHABET[last & ~3 | bits] for bits in range(4)]
    return [*alike, f"{path}!", f"{path}$$", f"{path[:-3]}~{path[-3:]}", f"{path}\u00e4", f"{path}%21%21"]


def test_however_its_link_is_spelt(web: FlaskClient, outside: Sink) -> None:
    gives(outside, PICTURE)
    answers = {web.get(path).status_code for path in spellings(link())}
    assert answers <= {200, 404}
    assert 200 in answers
    assert 1 == len(outside.calls)


def test_nor_does_a_newer_link_to_it_cost_a_call(
    web: FlaskClient, outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    gives(outside, PICTURE)
    old = link()
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: int(time.time()) + 7)
    new = link()
    assert old != new
    assert [200, 200] == [web.get(path).status_code for path in (old, new)]
    assert 1 == len(outside.calls)


def test_so_is_the_address_where_it_lies(web: FlaskClient, outside: Sink) -> None:
    outside.answers(Told(307, headers={"Location": "https://media.example.test/7"}))
    assert ["https://media.example.test/7"] * 3 == [web.get(link()).headers["Location"] for _ in range(3)]
    assert 1 == len(outside.calls)


@pytest.mark.parametrize(("told", "status"), [(Told(503), 502), (Told(404), 404)], ids=["a fault", "no such file"])
def test_so_is_a_failure(told: Told, status: int, web: FlaskClient, outside: Sink) -> None:
    outside.answers(told)
    assert [status] * 3 == [web.get(link()).status_code for _ in range(3)]
    assert 1 == len(outside.calls)


@pytest.mark.parametrize("body", [PICTURE, LARGE], ids=["small", "large"])
def test_head_says_what_get_would(body: bytes, web: FlaskClient, outside: Sink) -> None:
    gives(outside, body)
    asked, got = web.head(link()), web.get(link())
    assert (200, b"") == (asked.status_code, asked.data)
    assert dict(asked.headers) == dict(got.headers)
    assert (str(len(body)), "bytes") == (asked.headers["Content-Length"], asked.headers["Accept-Ranges"])


RANGES: dict[str, tuple[str, int, slice]] = {
    "the beginning": ("bytes=0-9", 206, slice(0, 10)),
    "the middle": ("bytes=50-69", 206, slice(50, 70)),
    "to the end": ("bytes=90-", 206, slice(90, None)),
    "the last ones": ("bytes=-7", 206, slice(-7, None)),
    "beyond the end": ("bytes=95-1000000000", 206, slice(95, None)),
    "another unit": ("lines=1-2", 200, slice(None)),
    "several parts": ("bytes=0-1,3-4", 200, slice(None)),
    "nonsense": ("bytes=x", 200, slice(None)),
}


@pytest.mark.parametrize("body", [PICTURE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("asked", "status", "part"), RANGES.values(), ids=RANGES)
def test_a_part_of_a_file(asked: str, status: int, part: slice, body: bytes, web: FlaskClient, outside: Sink) -> None:
    gives(outside, body)
    answer = web.get(link(), headers={"Range": asked})
    assert (status, body[part]) == (answer.status_code, answer.data)
    assert str(len(body[part])) == answer.headers["Content-Length"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]


def test_a_part_that_there_is_not(web: FlaskClient, outside: Sink) -> None:
    gives(outside, PICTURE)
    answer = web.get(link(), headers={"Range": "bytes=100-"})
    assert (416, "bytes */100") == (answer.status_code, answer.headers["Content-Range"])
    assert "error" in answer.get_json()


NOBODYS = ("/channels/nobody/media/x", "/destinations/nobody/media/x", "/destinations/desk/media/x")


def test_a_link_that_is_not_good_asks_nobody(web: FlaskClient, outside: Sink) -> None:
    for path in (link(name="chat"), f"{link()}x", "/channels/wa/media/x", "/channels/shop/media/x", *NOBODYS):
        assert 404 == web.get(path).status_code
    assert [] == outside.calls


def test_one_that_is_over_is_over_although_its_file_is_kept(
    web: FlaskClient, outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    gives(outside, PICTURE)
    path = link()
    assert 200 == web.get(path).status_code
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: 10**11)
    assert 404 == web.get(path).status_code


def test_an_agents_file_is_asked_for_once_too(redis_client: redis.Redis, outside: Sink) -> None:
    people = {
        "type": "flex_conversations",
        "account_sid": SETTINGS.twilio_account_sid,
        "auth_tokens": [SETTINGS.twilio_auth_token],
        "routing": {"type": "studio", "flow_sid": "FW" + "3" * 32},
        "media_url": outside.url,
    }
    built = gateway(redis_client, destinations__people=people, channels__shop={"handoff": "people"})
    outside.answers(Told(200, b'{"links":{"content_direct_temporary":"https://media.example.test/8"}}'))
    path = Links({**people, "callback": "/destinations/people", "media_keep": 60}, "media of people").to(SERVICE, "ME1")
    web = create_app(built).test_client()
    answers = [web.get(path) for _ in range(3)]
    assert [(302, "https://media.example.test/8")] * 3 == [(a.status_code, a.headers["Location"]) for a in answers]
    assert 1 == len(outside.calls)


# --- the shelf ---


class Platform:
    """Gives files when it is told to, and counts who asks."""

    def __init__(self, body: bytes = PICTURE) -> None:
        self.asked = 0
        self.may = threading.Event()
        self._body = body

    def __call__(self, into: Any) -> File:
        self.asked += 1
        assert self.may.wait(30)
        into.write(self._body)
        return File("image/png")


def whole(found: Found) -> bytes:
    assert found.file is not None
    return b"".join(pieces(found.file))


def test_who_asks_at_the_same_moment_waits_for_the_same_call() -> None:
    platform, kept = Platform(), Shelf(calls=1, waiting=8, sending=1)
    with ThreadPoolExecutor(8) as pool:
        coming = [pool.submit(kept.get, "a", platform) for _ in range(8)]
        wait_until("somebody asks", lambda: platform.asked)
        platform.may.set()
        assert [PICTURE] * 8 == [whole(one.result()) for one in coming]
    assert 1 == platform.asked


def test_more_than_may_wait_are_told_to_come_again_at_once() -> None:
    platform, kept = Platform(), Shelf(calls=2, waiting=2, sending=1)
    with ThreadPoolExecutor(2) as pool:
        coming = [pool.submit(kept.get, name, platform) for name in ("a", "b")]
        wait_until("both ask", lambda: platform.asked == 2)
        for name in ("a", "c"):
            with pytest.raises(Crowded):
                kept.get(name, platform)
        platform.may.set()
        assert all(whole(one.result()) for one in coming)
    assert PICTURE == whole(kept.get("c", platform)), "there is room again"


def test_more_calls_than_may_be_at_once_wait_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "PATIENCE", 0.05)
    platform, kept = Platform(), Shelf(calls=1, waiting=4, sending=1)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(kept.get, "a", platform)
        wait_until("it asks", lambda: platform.asked)
        with pytest.raises(Crowded):
            kept.get("b", platform)
        platform.may.set()
        coming.result()
    assert PICTURE == whole(kept.get("b", platform)), "nothing of that is kept"


def test_what_came_between_two_looks_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    platform, kept = Platform(), Shelf(calls=1, waiting=1, sending=1)
    platform.may.set()
    kept.get("a", platform)
    look, before = kept.kept.get, [None]
    monkeypatch.setattr(kept.kept, "get", lambda name: before.pop() if before else look(name))
    assert PICTURE == whole(kept.get("a", platform))
    assert (1, {}) == (platform.asked, kept.coming)


def test_and_are_made_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "PATIENCE", 30)
    platform, kept = Platform(), Shelf(calls=1, waiting=4, sending=1)
    with ThreadPoolExecutor(2) as pool:
        coming = [pool.submit(kept.get, name, platform) for name in ("a", "b")]
        wait_until("one asks, the other waits", lambda: platform.asked and len(kept.coming) == 2)
        platform.may.set()
        assert [PICTURE] * 2 == [whole(one.result()) for one in coming]


def test_what_is_kept_costs_no_place() -> None:
    platform, kept = Platform(), Shelf(calls=1, waiting=1, sending=1)
    slow = Platform()
    platform.may.set()
    kept.get("a", platform)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(kept.get, "b", slow)
        wait_until("somebody waits", lambda: slow.asked)
        assert PICTURE == whole(kept.get("a", platform))
        slow.may.set()
        coming.result()


def test_what_is_kept_is_bounded_and_stays_good_for_who_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, platform = Shelf(1, 1, 1), Platform(b"x" * 1_000_000)
    platform.may.set()
    first = kept.get("0", platform)
    for number in range(1, 80):
        kept.get(f"{number}", platform)
    assert 80 == platform.asked
    kept.get("79", platform)
    assert 80 == platform.asked
    kept.get("0", platform)
    assert 81 == platform.asked, "it had to go"
    assert 1_000_000 == len(whole(first))


def test_so_are_the_addresses_where_files_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "KEEP_BYTES", 4 * shelf.ENTRY)
    kept, asked = Shelf(1, 1, 1), list[str]()

    def ask(name: str) -> None:
        def fetch(into: Any) -> str:
            asked.append(name)
            return "https://media.example.test/7"

        kept.get(name, fetch)

    for name in "abcdeea":
        ask(name)
    assert list("abcdea") == asked


def test_what_is_larger_than_all_that_is_kept_is_given_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "KEEP_BYTES", 50)
    platform, kept = Platform(), Shelf(1, 1, 1)
    platform.may.set()
    assert [PICTURE] * 2 == [whole(kept.get("a", platform)) for _ in range(2)]
    assert 2 == platform.asked


@pytest.mark.parametrize(
    ("failure", "seconds"), [(None, shelf.KEEP), (Failure(errors.UNAVAILABLE, "away"), shelf.KEEP_FAILURE)]
)
def test_it_is_kept_for_a_while(failure: Failure | None, seconds: float) -> None:
    now, asked = [0.0], []
    kept = Shelf(1, 1, 1, timer=lambda: now[0])

    def fetch(into: Any) -> File:
        asked.append(now[0])
        if failure:
            raise failure
        return File("")

    for moment in (0.0, seconds - 1, seconds + 1):
        now[0] = moment
        kept.get("a", fetch)
    assert [0.0, seconds + 1] == asked


def test_a_bug_reaches_all_who_wait_and_is_not_kept() -> None:
    def fetch(into: Any) -> File:
        raise RuntimeError("a bug")

    kept = Shelf(1, 1, 1)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            kept.get("a", fetch)
    assert {} == kept.coming


def test_large_files_are_sent_to_few_at_a_time(built: Gateway, outside: Sink) -> None:
    gives(outside, LARGE)
    app = create_app(built)
    reading = [app.test_client().get(link(), buffered=False) for _ in range(5)]
    assert [200] * 4 + [503] == [answer.status_code for answer in reading]
    assert "2" == reading[-1].headers["Retry-After"]
    assert 200 == app.test_client().head(link()).status_code, "a head is no body"
    for answer in reading:
        answer.close()
    assert LARGE == app.test_client().get(link()).data


def test_whoever_takes_nothing_of_a_large_one_is_cut_off(
    web: FlaskClient, outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(files, "end_stalled_writes", lambda: done.append("done"))
    gives(outside, PICTURE)
    assert PICTURE == web.get(link()).data
    assert [] == done, "no thread waits for who takes a small one"
    gives(outside, LARGE)
    assert LARGE == web.get(link(1)).data
    assert ["done"] == done


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Range": f"bytes={len(LARGE)}-"}, 416),
        ("GET", {"Range": "bytes=5-9"}, 206),
        ("HEAD", {}, 200),
        ("HEAD", {"Range": f"bytes={len(LARGE)}-"}, 416),
        ("GET", {}, 200),
    ],
    ids=["no such part", "a part", "a head", "a head of no such part", "the whole, which nobody reads"],
)
def test_each_answer_gives_its_place_back(
    method: str, headers: dict[str, str], status: int, web: FlaskClient, outside: Sink
) -> None:
    gives(outside, LARGE)
    for _ in range(9):
        with web.open(link(), method=method, headers=headers, buffered=False) as answer:
            assert status == answer.status_code
    assert 200 == web.get(link()).status_code


# --- a receiver ---


@pytest.fixture
def receiver(redis_client: redis.Redis, redis_server: Any, outside: Sink, tmp_path: Path) -> Iterator[System]:
    config = tmp_path / "patchbay.toml"
    config.write_text(dumps(tables(channels__wa=channel(outside.url))))
    system = System(config, redis_server.url, tmp_path)
    system.receiver.start()
    wait_until("the receiver is ready", lambda: system.ready)
    try:
        yield system
    finally:
        system.stop()


def clicks(system: System, path: str) -> socket.socket:
    """A request on a connection of its own, whose answer nobody reads yet."""
    one = socket.create_connection(("127.0.0.1", system.port), timeout=30)
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return one


def status(one: socket.socket) -> int:
    with closing(one), one.makefile("rb") as answer:
        return int(re.match(rb"HTTP/1.1 (\d+)", answer.read())[1])  # type: ignore[index]


@pytest.mark.parametrize("links", [1, 150], ids=["one link", "many links"])
def test_a_platform_that_takes_its_time_holds_no_webhooks(links: int, receiver: System, outside: Sink) -> None:
    may = threading.Event()

    def answer(call: Call) -> Told:
        may.wait(30)
        return Told(200, PICTURE, {"Content-Type": "image/png"})

    outside.answer = answer
    clicked = [clicks(receiver, link(number % links)) for number in range(150)]
    try:
        wait_until("the platform is asked", lambda: outside.calls)
        for path in ("/healthz", "/readyz"):
            assert 200 == requests.get(receiver.url + path, timeout=20).status_code
        assert not may.is_set(), "the platform still takes its time"
    finally:
        may.set()
    answers = [status(one) for one in clicked]
    assert {200, 503} == set(answers)
    assert len(outside.calls) == (1 if links == 1 else answers.count(200))
    assert 200 == requests.get(receiver.url + link(), timeout=20).status_code


def test_readers_who_do_not_read_hold_no_webhooks(receiver: System, outside: Sink) -> None:
    gives(outside, LARGE * 4)
    clicked = [clicks(receiver, link()) for _ in range(150)]
    try:
        wait_until("the platform was asked", lambda: outside.calls)
        assert 200 == requests.get(f"{receiver.url}/healthz", timeout=20).status_code
    finally:
        answers = [status(one) for one in clicked]
    assert {200, 503} == set(answers)
