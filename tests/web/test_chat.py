"""The chat's own addresses: the page, visitor tokens, the live stream, and other sites that use them."""

from __future__ import annotations

import heapq
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import redis
from flask.testing import FlaskClient

from app.config.schema import ConfigError
from app.core.errors import StoreUnavailable
from app.core.events import Written
from app.core.message import Text, conversation_key
from app.gateway import Gateway
from app.inbox import Inbox
from app.platforms.webchat import WebchatChannel
from app.store.messages import LIVE_ENTRIES, LiveEntry
from app.web import create_app, streams
from tests.support.gateway import gateway, recorder, settings
from workers.drain import Drainer

SITE = "https://www.shop.example"
MESSAGE_POSITION = re.compile(r"\d+-\d+")


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    return gateway(redis_client, channels__chat={"origins": [SITE], "greeting": "Hello <b>you</b>"})


@pytest.fixture
def client(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


@dataclass(frozen=True)
class Event:
    kind: str
    data: Any
    position: str = ""


def test_it_serves_a_page_without_inline_script_or_style(client: FlaskClient) -> None:
    answer = client.get("/chat/chat")
    assert answer.status_code == 200
    assert "default-src 'self';" in answer.headers["Content-Security-Policy"]
    assert f"frame-ancestors 'self' {SITE};" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in answer.text
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)


def test_it_serves_what_the_page_needs(client: FlaskClient) -> None:
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/chat/chat").text):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/chat/nobody"),
        ("POST", "/chat/nobody/visitor"),
        ("POST", "/chat/nobody/forget"),
        ("POST", "/chat/nobody/ticket"),
        ("GET", "/chat/nobody/events"),
        ("GET", "/chat/shop"),
    ],
)
def test_it_knows_no_other_chats(client: FlaskClient, method: str, address: str) -> None:
    answer = client.open(address, method=method)
    assert answer.status_code == 404
    assert "There is no chat" in answer.get_json()["error"]["message"]


def test_it_gives_every_visitor_a_token_of_their_own(client: FlaskClient, built: Gateway) -> None:
    first, second = new_visitor(client), new_visitor(client)
    assert address_of(built, first) != address_of(built, second)
    assert write(client, first, "m1").status_code == 202


def test_it_does_not_let_tokens_be_cached(client: FlaskClient) -> None:
    assert client.post("/chat/chat/visitor").headers["Cache-Control"] == "no-store"


def test_it_streams_the_conversation_and_says_when_all_is_told(client: FlaskClient, built: Gateway) -> None:
    token = new_visitor(client)
    mine = accepted(write(client, token, "m1", "Hello"))
    theirs = answer_as_agent(built, token, "Good day")

    message, reply, sent, ready = told(client, token)

    assert message.kind == "message"
    assert {
        "id": mine,
        "client_id": "m1",
        "author": "customer",
        "at": message.data["at"],
        "content": {"type": "text", "text": "Hello"},
        "status": "queued",
        "error": "",
    } == message.data
    assert (theirs, None, "agent", "Good day") == (
        reply.data["id"], reply.data["client_id"], reply.data["author"], reply.data["content"]["text"],
    )  # fmt: skip
    assert ("status", {"id": theirs, "status": "sent", "error": ""}) == (sent.kind, sent.data)
    assert Event("ready", {}) == ready
    assert all(MESSAGE_POSITION.fullmatch(event.position) for event in (message, reply, sent))


def test_a_program_names_its_visitor_in_a_header_which_no_log_shows(client: FlaskClient) -> None:
    token = new_visitor(client)
    write(client, token, "m1")
    answer = client.get("/chat/chat/events", headers={"Authorization": f"Bearer {token}"})
    assert b'"client_id":"m1"' in next(part for part in answer.response if b"event: message" in part)
    answer.close()
    for wrong in (f"Bearer {token}x", "Bearer ", "Bearer"):
        assert client.get("/chat/chat/events", headers={"Authorization": wrong}).status_code == 401


def test_it_keeps_streams_out_of_caches_and_buffers(client: FlaskClient) -> None:
    answer = client.get("/chat/chat/events", query_string={"ticket": ticket_of(client, new_visitor(client))})
    assert answer.mimetype == "text/event-stream"
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    answer.close()


def test_it_resumes_after_the_last_event(client: FlaskClient) -> None:
    token = new_visitor(client)
    write(client, token, "m1")
    write(client, token, "m2")
    first, second, _ = told(client, token)

    assert [second, Event("ready", {})] == told(client, token, header=first.position)
    assert [second, Event("ready", {})] == told(client, token, after=first.position)
    assert [Event("ready", {})] == told(client, token, header=second.position, after=first.position)


@pytest.mark.parametrize(
    "position", ["abc", "$", "+", "-", "-1", "0-0-0", "1e3", "9" * 40, "9" * 19 + "9", "\u0661", "1-1 x", "x" * 5000]
)
def test_it_begins_anew_at_a_position_that_is_none(client: FlaskClient, position: str) -> None:
    token = new_visitor(client)
    write(client, token, "m1")
    assert [event.kind for event in told(client, token, after=position)] == ["message", "ready"]
    if position.isascii():
        assert [event.kind for event in told(client, token, header=position)] == ["message", "ready"]


def test_it_tells_more_than_one_read_can_hold(client: FlaskClient, built: Gateway, redis_client: redis.Redis) -> None:
    token = new_visitor(client)
    for number in range(450):
        redis_client.xadd(stream_key(built, token), {"kind": "status", "id": str(number), "status": "sent"})
    assert [*map(str, range(450)), "ready"] == [event.data.get("id", event.kind) for event in told(client, token)]


def test_it_tells_news_to_a_browser_that_waits(client: FlaskClient, built: Gateway) -> None:
    token = new_visitor(client)
    with listening(client, token) as news:
        assert next(news).kind == "ready"
        write(client, token, "m1")
        assert next(news).data["client_id"] == "m1"


def test_it_gives_signs_of_life(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WAIT", 0.01)
    answer = client.get("/chat/chat/events", query_string={"ticket": ticket_of(client, new_visitor(client))})
    chunks = list(itertools.islice(answer.iter_encoded(), 5))
    assert chunks[1:4] == [streams.READY, streams.STILL_HERE, streams.STILL_HERE]
    answer.close()


def test_it_ends_a_stream_after_a_while(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WAIT", 0.01)
    monkeypatch.setattr(streams, "STREAM_FOR", 0.05)
    with listening(client, new_visitor(client)) as news:
        assert [event.kind for event in news] == ["ready", "again"]


@pytest.mark.parametrize("places", [1, 0], ids=["a stream", "a poll"])
def test_it_ends_an_answer_that_is_read_slowly_before_all_is_told(
    places: int, client: FlaskClient, built: Gateway, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAM_FOR", 0.0)
    monkeypatch.setattr(streams, "stream_places", streams.Places(places))
    token = new_visitor(client)
    for number in range(LIVE_ENTRIES + 1):
        redis_client.xadd(stream_key(built, token), {"kind": "status", "id": str(number), "status": "sent"})
    with listening(client, token) as first:
        *events, last = first
    assert [*map(str, range(LIVE_ENTRIES))] == [event.data["id"] for event in events]
    assert Event("again", {"seconds": streams.AT_ONCE}) == last
    with listening(client, token, after=events[-1].position) as second:
        assert ["status", "again"] == [event.kind for event in second]


def test_it_leaves_out_hints_that_are_no_longer_true(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis
) -> None:
    token, now = new_visitor(client), int(time.time() * 1000)
    key = stream_key(built, token)
    redis_client.xadd(key, {"kind": "typing"}, id=f"{now - 11_000}-0")
    redis_client.xadd(key, {"kind": "ended"}, id=f"{now - 10_500}-0")
    redis_client.xadd(key, {"kind": "typing"}, id=f"{now}-0")
    ended, typing, _ = told(client, token)
    assert ("ended", {"at": now - 10_500}) == (ended.kind, ended.data)
    assert ("typing", {"at": now}) == (typing.kind, typing.data)


def test_it_leaves_out_messages_that_are_forgotten(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis
) -> None:
    token = new_visitor(client)
    redis_client.xadd(stream_key(built, token), {"kind": "message", "id": "0" * 32})
    assert [Event("ready", {})] == told(client, token)


@pytest.mark.parametrize(
    ("error", "excuse"),
    [
        ("unexpected: KeyError at 10.0.0.7", "It could not be delivered."),
        ("rejected: account AC1 says no", "It was refused."),
        ("", "It could not be delivered."),
    ],
)
def test_it_does_not_show_visitors_what_operators_read(
    client: FlaskClient, built: Gateway, error: str, excuse: str
) -> None:
    token = new_visitor(client)
    mine = accepted(write(client, token, "m1"))
    built.store.messages.report(mine, "failed", scope="", direction="inbound", owner="", error=error)
    message, status, _ = told(client, token)
    assert [("failed", excuse)] * 2 == [(event.data["status"], event.data["error"]) for event in (message, status)]


def test_it_tells_a_visitor_for_whom_there_is_no_place_what_is_new(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = streams.Places(1)
    monkeypatch.setattr(streams, "stream_places", places)
    token = new_visitor(client)
    write(client, token, "m1")
    with listening(client, token) as place:
        next(place)
        with listening(client, token) as crowded:
            assert [event.kind for event in crowded] == ["message", "ready", "again"]
        assert not places.take({})
    assert places.take({})


def test_it_gives_the_place_back_when_the_store_is_away(
    client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> list[LiveEntry]:
        raise StoreUnavailable("away")

    places = streams.Places(1)
    monkeypatch.setattr(streams, "stream_places", places)
    monkeypatch.setattr(built.live, "live", away)
    with listening(client, new_visitor(client)) as news:
        assert list(news) == []
    assert places.take({})


def test_it_ends_streams_when_the_process_is_told_to_end(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = streams.Stopping()
    monkeypatch.setattr(streams, "stopping", stopping)
    monkeypatch.setattr(streams, "WAIT", 0.01)
    with listening(client, new_visitor(client)) as news:
        next(news)
        monkeypatch.setattr(stopping, "told", lambda: True)
        assert [event.kind for event in news] == ["again"]


def test_it_hears_the_signal_to_end_whoever_handles_it() -> None:
    before = signal.set_wakeup_fd(-1)
    stopping = streams.Stopping()
    stopping.watch()
    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert not stopping.told()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.told()
        assert stopping.told()
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.set_wakeup_fd(before)


def test_it_leaves_somebody_else_s_wake_up_descriptor_alone() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        streams.Stopping().watch()
        assert writer == signal.set_wakeup_fd(before)
    finally:
        os.close(reader)
        os.close(writer)


def test_it_goes_on_with_another_answer_where_one_is_full(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAM_BYTES", 2000)
    token, after, found, answers = new_visitor(client), "", [], 0
    for number in range(150):
        redis_client.xadd(stream_key(built, token), {"kind": "status", "id": str(number), "status": "sent"})
    while "ready" not in [event.kind for event in found]:
        with listening(client, token, after=after) as events:
            for event in events:
                found.append(event)
                after = event.position or after
                if event.kind == "ready":
                    break
        answers += 1
        assert found[-1].kind == "ready" or found[-1] == Event("again", {"seconds": streams.AT_ONCE})
    assert [*map(str, range(150))] == [event.data["id"] for event in found if event.kind == "status"]
    assert answers > 2


def test_it_bounds_what_a_poll_is_told_by_the_same_rule(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "stream_places", streams.Places(0))
    token = new_visitor(client)
    message = accepted(write(client, token, "m1", "x" * 7000))
    for _ in range(100):
        redis_client.xadd(stream_key(built, token), {"kind": "message", "id": message})
    query = {"ticket": ticket_of(client, token)}
    chunks = list(client.get("/chat/chat/events", query_string=query).iter_encoded())
    assert len(chunks) == 1  # the server takes it whole, and the thread is free
    assert len(chunks[0]) < 2.5 * streams.POLL_BYTES
    assert [event.kind for event in _events(chunks[0])][-1] == "again"


@pytest.mark.parametrize(("turn", "seconds"), [(streams.SOONEST, streams.CROWDED), (streams.LATEST, streams.LATEST)])
def test_it_lets_no_more_polls_read_at_once_than_there_are_places(
    turn: float, seconds: float, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "stream_places", streams.Places(0))
    monkeypatch.setattr(streams, "poll_places", streams.Places(0))
    monkeypatch.setattr(streams.poll_turns, "next", lambda paces: turn)
    with listening(client, new_visitor(client)) as events:
        assert list(events) == [Event("again", {"seconds": seconds})]


def polls_a_second(windows: int, pace: float) -> float:
    """How many of so many idle windows that poll come, once they all do."""
    now = 0.0
    turns = streams.Turns(timer=lambda: now)
    coming, came = [0.0] * windows, 0
    while (now := heapq.heappop(coming)) < 120:
        heapq.heappush(coming, now + turns.next({"somewhere": pace}))
        came += now >= 60
    return came / 60


@pytest.mark.parametrize(
    ("windows", "polls"),
    [
        (1, 1 / streams.SOONEST),
        (10, 10 / streams.SOONEST),
        (90 - streams.STREAMS_PER_ADDRESS, streams.POLLS_PER_ADDRESS),
        (150, streams.POLLS_PER_ADDRESS),
        (500 - streams.STREAMS_PER_ADDRESS, (500 - streams.STREAMS_PER_ADDRESS) / streams.LATEST),
    ],
)
def test_polls_get_rarer_the_more_windows_there_are(windows: int, polls: float) -> None:
    assert polls == pytest.approx(polls_a_second(windows, streams.POLLS_PER_ADDRESS), rel=0.05)


def test_a_crowd_elsewhere_makes_nobody_wait() -> None:
    turns = streams.Turns(timer=lambda: 0.0)
    assert [streams.SOONEST, streams.SOONEST + 0.5] == [turns.next({"a": 2.0}) for _ in range(2)]
    assert streams.SOONEST == turns.next({"b": 2.0})
    assert streams.SOONEST + 1.0 == turns.next({"a": 2.0, "b": 2.0})
    assert streams.LATEST == [turns.next({"a": 2.0}) for _ in range(50)][-1]


def test_a_crowd_behind_one_address_polls_later_and_later(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "stream_places", streams.Places(0))
    monkeypatch.setattr(streams, "poll_turns", streams.Turns(timer=lambda: 0.0))
    monkeypatch.setattr(streams, "SPREAD", 0.0)
    monkeypatch.setattr(streams, "POLLS_PER_ADDRESS", 0.5)

    def seconds(address: str) -> float:
        query = {"ticket": ticket_of(client, new_visitor(client))}
        environ = {"REMOTE_ADDR": address}
        answer = client.get("/chat/chat/events", query_string=query, environ_overrides=environ)
        (again,) = [event for event in _events(answer.data) if event.kind == "again"]
        found: float = again.data["seconds"]
        return found

    assert [2.0, 4.0, 6.0] == [seconds("203.0.113.1") for _ in range(3)]
    assert 2.5 > seconds("203.0.113.2")


@pytest.mark.parametrize("bound", ["STREAMS_PER_VISITOR", "STREAMS_PER_ADDRESS"])
def test_it_keeps_places_for_others(client: FlaskClient, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "stream_places", streams.Places(10))
    monkeypatch.setattr(streams, "STREAMS_PER_VISITOR", 10)
    monkeypatch.setattr(streams, bound, 2)
    monkeypatch.setattr(streams, "WAIT", 0.01)
    same = new_visitor(client)
    other = new_visitor(client) if bound == "STREAMS_PER_VISITOR" else same

    def has_place(token: str, stack: ExitStack, address: str) -> bool:
        environ = {"REMOTE_ADDR": address}
        query = {"ticket": ticket_of(client, token)}
        answer = stack.enter_context(client.get("/chat/chat/events", query_string=query, environ_overrides=environ))
        return b"event: again" not in b"".join(itertools.islice(answer.iter_encoded(), 3))

    with ExitStack() as stack:
        assert [True, True, False] == [has_place(same, stack, "203.0.113.1") for _ in range(3)]
        assert has_place(other, stack, "203.0.113.2")
    with ExitStack() as stack:
        assert has_place(same, stack, "203.0.113.1")


def test_places_remember_nobody_who_holds_none() -> None:
    places = streams.Places(1)
    assert [places.take({name: 1}) for name in ("ann", "bob")] == [True, False]
    places.leave({"ann": 1})
    assert not places.shares


def test_a_ticket_opens_the_stream_of_one_visitor_for_a_minute(
    client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_visitor(client)
    answer = ask_for_ticket(client, token)
    ticket, seconds = answer.get_json()["ticket"], answer.get_json()["seconds"]
    assert (answer.headers["Cache-Control"], seconds) == ("no-store", 60)
    assert chat_of(built).reader(ticket).customer == chat_of(built).visitor(token)
    now = time.time()
    for later, status in ((seconds - 5, 200), (seconds + 5, 401)):
        with monkeypatch.context() as future:
            future.setattr("itsdangerous.timed.time.time", lambda at=now + later: at)
            stream = client.get("/chat/chat/events", query_string={"ticket": ticket})
        assert stream.status_code == status
        stream.close()


def test_tickets_and_tokens_do_not_stand_for_each_other(client: FlaskClient) -> None:
    token = new_visitor(client)
    ticket = ticket_of(client, token)
    for query in ({"token": token}, {"ticket": token}, {"ticket": ticket[:-1]}, {"ticket": ""}, {}):
        answer = client.get("/chat/chat/events", query_string=query)
        assert (answer.status_code, answer.is_json) == (401, True)
    assert write(client, ticket, "m1").status_code == 401
    assert ask_for_ticket(client, ticket).status_code == 401
    for scheme in ("Basic", "Token", ""):
        headers = {"Authorization": f"{scheme} {token}".strip()}
        assert client.post("/chat/chat/ticket", headers=headers).status_code == 401


def test_it_keeps_two_visitors_apart(client: FlaskClient, built: Gateway) -> None:
    ann, bob = new_visitor(client), new_visitor(client)
    mine = accepted(write(client, ann, "same-id", "from Ann"))
    theirs = accepted(write(client, bob, "same-id", "from Bob"))
    reply = answer_as_agent(built, ann, "for Ann")

    assert mine != theirs
    assert {mine, reply} == {event.data["id"] for event in told(client, ann) if event.kind == "message"}
    assert {theirs} == {event.data["id"] for event in told(client, bob) if event.kind == "message"}


def test_it_takes_reports_from_whom_the_message_is_for(client: FlaskClient, built: Gateway) -> None:
    ann, bob = new_visitor(client), new_visitor(client)
    write(client, bob, "b1")
    mine = accepted(write(client, ann, "a1"))
    reply = answer_as_agent(built, ann, "for Ann")

    assert report(client, bob, reply, "read").status_code == 404
    assert status_of(built, reply) == "sent"
    assert report(client, ann, mine, "read").status_code == 404  # her own message: not hers to report
    assert status_of(built, mine) == "queued"
    assert report(client, ann, reply, "delivered").status_code == 202
    assert status_of(built, reply) == "delivered"
    assert report(client, ann, reply, "sent").status_code == 400


def test_it_refuses_tokens_that_are_not_its_own(client: FlaskClient, built: Gateway) -> None:
    token = new_visitor(client)
    other = chat_with({"channels__chat": {"secrets": ["another-secret-1-32-characters-x"]}}).new_token()
    lounge = {"type": "webchat", "secrets": ["chat-secret-0001-32-characters-x"], "destination": "helper"}
    neighbour = chat_with({"channels__lounge": lounge}, "lounge").new_token()
    tampered = token[:5] + ("A" if token[5] != "A" else "B") + token[6:]
    for bad in ("", "nonsense", "a.b.c", tampered, token[:-1], other, neighbour, "\u00fc.\u00fc.\u00fc", "." * 3000):
        assert_refused(client, bad)
    assert write(client, token, "m1").status_code == 202


def test_it_refuses_an_expired_token(client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    then = time.time() - 31 * 86_400
    with monkeypatch.context() as past:
        past.setattr("itsdangerous.timed.time.time", lambda: then)
        token = chat_of(built).new_token()
    assert "expired" in assert_refused(client, token)


def test_it_takes_a_token_of_the_secret_before_until_that_is_removed(redis_client: redis.Redis) -> None:
    def client_with(*secrets: str) -> FlaskClient:
        return create_app(gateway(redis_client, channels__chat={"secrets": list(secrets)})).test_client()

    old, new = "chat-secret-0001-32-characters-x", "chat-secret-0002-32-characters-x"
    token = new_visitor(client_with(old))
    write(client_with(old), token, "m1", "before")

    both = client_with(new, old)
    assert [event.data["content"]["text"] for event in told(both, token) if event.kind == "message"] == ["before"]
    assert write(client_with(new), new_visitor(both), "m2").status_code == 202  # the first secret signs
    assert_refused(client_with(new), token)


def test_it_never_logs_a_token(client: FlaskClient, built: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    token = new_visitor(client)
    write(client, token, "m1")
    told(client, token)
    assert_refused(client, token[:-1])
    out, err = capfd.readouterr()
    assert token[:-1] not in out + err


def test_a_visitor_can_be_forgotten(client: FlaskClient, built: Gateway) -> None:
    ann, bob = new_visitor(client), new_visitor(client)
    reply = answer_as_agent(built, ann, "for Ann")
    for _ in range(2):  # an answer that got lost is asked for again
        assert forget(client, ann).status_code == 204
    assert "forgotten" in assert_refused(client, ann)
    assert report(client, ann, reply, "read").status_code == 401
    assert status_of(built, reply) == "sent"
    assert write(client, bob, "b1").status_code == 202
    assert write(client, new_visitor(client), "c1").status_code == 202


def test_who_writes_to_somebody_forgotten_hears_that_it_does_not_arrive(client: FlaskClient, built: Gateway) -> None:
    ann = new_visitor(client)
    assert forget(client, ann).status_code == 204
    assert status_of(built, answer_as_agent(built, ann, "Still there?")) == "failed"


def test_forgetting_takes_back_every_token_up_to_now_and_none_later(
    client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    visitor = "v15it0r"

    def token_of(seconds: float) -> str:
        with monkeypatch.context() as then:
            then.setattr("itsdangerous.timed.time.time", lambda: now + seconds)
            then.setattr("app.platforms.webchat.new_id", lambda: visitor)
            return chat_of(built).new_token()

    oldest, newest, later = token_of(-60), token_of(0), token_of(+30)
    assert forget(client, oldest).status_code == 204
    assert_refused(client, oldest)
    assert_refused(client, newest)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 30)
    assert write(client, later, "m1").status_code == 202


def test_it_remembers_the_forgotten_as_long_as_a_token_can_live(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis
) -> None:
    token = new_visitor(client)
    forget(client, token)
    ttl = redis_client.ttl(f"{{patchbay}}:v:{address_of(built, token)}")
    assert 30 * 86_400 - 60 < ttl <= 30 * 86_400 + 1


def test_nothing_stays_for_ever_of_somebody_who_is_forgotten_and_never_wrote(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis
) -> None:
    token = new_visitor(client)
    for _ in range(3):
        assert forget(client, token).status_code == 204
    assert ["ended"] == waiting_of(redis_client, built, token)
    _drain(built, "inbound:helper")
    assert forget(client, token).status_code == 204
    assert [] == waiting_of(redis_client, built, token)
    about = redis_client.keys(f"*{chat_of(built).visitor(token)}*")
    assert about
    assert all(redis_client.ttl(key) > 0 for key in about)
    lane = built.store.lanes.state("inbound:helper", 0)
    assert (0, 0) == (lane.waiting, built.store.dead_letters.count())


def test_where_no_end_can_be_recorded_who_forgets_is_asked_to_come_again(redis_client: redis.Redis) -> None:
    built = gateway(redis_client, gateway={"mailbox_limit": 1})
    client = create_app(built).test_client()
    token = new_visitor(client)
    assert write(client, token, "m1").status_code == 202
    full = forget(client, token)
    assert (429, "5") == (full.status_code, full.headers["Retry-After"])
    assert "waiting" in full.get_json()["error"]["message"]
    assert_refused(client, token)


def test_forgetting_ends_the_conversation_for_who_answers_it(client: FlaskClient, built: Gateway) -> None:
    token = new_visitor(client)
    answer_as_agent(built, token, "Good day")
    conversation = address_of(built, token)
    for _ in range(3):
        assert forget(client, token).status_code == 204
    waiting = {lane.name: lane.waiting for lane in built.store.lanes.overview(time.time())}
    assert 1 == waiting["inbound:desk"]
    _drain(built, "inbound:desk")
    session = built.store.sessions.read(conversation)
    assert session is None or session.mode == "bot"


def test_forgetting_ends_a_conversation_whose_first_message_still_waits(
    client: FlaskClient, built: Gateway, redis_client: redis.Redis
) -> None:
    token = new_visitor(client)
    message = accepted(write(client, token, "m1"))
    for _ in range(3):
        assert forget(client, token).status_code == 204
    assert [f"message {message}", "ended"] == waiting_of(redis_client, built, token)


def test_an_open_stream_tells_nothing_more_to_who_is_forgotten(
    client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = streams.Places(1)
    monkeypatch.setattr(streams, "stream_places", places)
    monkeypatch.setattr(streams, "STREAM_FOR", 10.0)
    ann = new_visitor(client)
    with listening(client, ann) as news:
        assert "ready" == next(news).kind
        forget(client, ann)
        answer_as_agent(built, ann, "a secret")
        assert [Event("again", {"seconds": streams.AT_ONCE})] == list(news)
    assert places.take({})


def test_a_quiet_stream_ends_when_its_visitor_is_forgotten(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "WAIT", 0.01)
    monkeypatch.setattr(streams, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(streams, "STREAM_FOR", 10.0)
    ann = new_visitor(client)
    with listening(client, ann) as news:
        assert "ready" == next(news).kind
        forget(client, ann)
        assert [Event("again", {"seconds": streams.AT_ONCE})] == list(news)


def test_a_quiet_streams_reader_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looked, now = [], 0.0
    monkeypatch.setattr(streams.time, "monotonic", lambda: now)

    def quiet() -> Iterator[bytes]:
        nonlocal now
        yield streams.READY
        for _ in range(20):
            now += streams.LOOK_AGAIN / 2
            yield streams.STILL_HERE

    def forgotten() -> bool:
        looked.append(now / streams.LOOK_AGAIN)
        return now > 2.5 * streams.LOOK_AGAIN

    *_, last = streams.until(forgotten, quiet())
    assert (streams.come_again(streams.AT_ONCE), [0, 1, 2, 3]) == (last, looked)


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_nobody_is_forgotten_without_a_token(client: FlaskClient, token: str) -> None:
    assert forget(client, token).status_code == 401


def test_nobody_is_forgotten_while_the_store_is_away(
    client: FlaskClient, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    token = new_visitor(client)
    monkeypatch.setattr(built.store.revocations, "revoke", away)
    assert forget(client, token).status_code == 503
    monkeypatch.undo()
    assert write(client, token, "m1").status_code == 202


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/channels/chat"),
        ("POST", "/chat/chat/visitor"),
        ("POST", "/chat/chat/forget"),
        ("POST", "/chat/chat/ticket"),
        ("GET", "/chat/chat/events"),
    ],
)
def test_it_lets_the_named_sites_in_and_no_others(client: FlaskClient, method: str, address: str) -> None:
    preflight = client.options(
        address,
        headers={
            "Origin": SITE,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == SITE
    assert method in preflight.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))

    for origin in ("https://evil.example", f"{SITE}.evil.example", "null", ""):
        answer = client.open(address, method=method, headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]
        answer.close()


def test_it_lets_the_named_sites_read_refusals(client: FlaskClient) -> None:
    answer = client.post("/channels/chat", headers={"Origin": SITE})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, SITE)
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


@pytest.mark.parametrize(
    "address", ["/channels/shop", "/destinations/desk", "/destinations/chat", "/healthz", "/chat/nobody"]
)
def test_it_opens_no_other_address(client: FlaskClient, address: str) -> None:
    assert "Access-Control-Allow-Origin" not in client.post(address, headers={"Origin": SITE}).headers


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "www.shop.example", f"{SITE}/", f"{SITE}/page", "https://Shop.example", "https://a; img-src *"],
)
def test_it_refuses_origins_that_no_browser_would_send(origin: str) -> None:
    with pytest.raises(ConfigError, match="origins"):
        settings(channels__chat={"origins": [origin]})


def new_visitor(client: FlaskClient) -> str:
    token: str = client.post("/chat/chat/visitor").get_json()["token"]
    return token


def ask_for_ticket(client: FlaskClient, token: str) -> Any:
    return client.post("/chat/chat/ticket", headers={"Authorization": f"Bearer {token}"})


def ticket_of(client: FlaskClient, token: str) -> str:
    ticket: str = ask_for_ticket(client, token).get_json()["ticket"]
    return ticket


def write(client: FlaskClient, token: str, message_id: str, text: str = "Hello") -> Any:
    return post(client, token, "message.created", {"id": message_id, "content": {"type": "text", "text": text}})


def report(client: FlaskClient, token: str, message_id: str, status: str) -> Any:
    return post(client, token, "message.status", {"message_id": message_id, "status": status})


def forget(client: FlaskClient, token: str) -> Any:
    return client.post("/chat/chat/forget", headers={"Authorization": f"Bearer {token}"})


def post(client: FlaskClient, token: str, kind: str, data: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/channels/chat", headers=headers, json={"type": kind, "data": data})


def accepted(answer: Any) -> str:
    assert answer.status_code == 202
    message_id: str = answer.json["accepted"][0]["message_id"]
    return message_id


def chat_of(built: Gateway) -> WebchatChannel:
    channel = built.channels["chat"]
    assert isinstance(channel, WebchatChannel)
    return channel


def chat_with(changes: dict[str, Any], name: str = "chat") -> WebchatChannel:
    return WebchatChannel(name, settings(**changes).channels[name].values)


def address_of(built: Gateway, token: str) -> str:
    return conversation_key("chat", chat_of(built).visitor(token))


def stream_key(built: Gateway, token: str) -> str:
    return f"{{patchbay}}:e:{address_of(built, token)}"


def waiting_of(redis_client: redis.Redis, built: Gateway, token: str) -> Any:
    """What waits for whoever answers that visitor."""
    return redis_client.lrange(f"{{patchbay}}:q:{address_of(built, token)}|inbound", 0, -1)


def status_of(built: Gateway, message_id: str) -> str:
    record = built.store.messages.read(message_id)
    assert record is not None
    return record.status


def answer_as_agent(built: Gateway, token: str, text: str) -> str:
    """Somebody at the desk writes to that visitor; the id of their message."""
    written = Written(Text(text), external_id=text, conversation=address_of(built, token), author="agent")
    inbox = Inbox(built)
    entered = inbox.accept("desk", written)
    built.publisher.publish(inbox.wakes)
    _drain(built, "outbound:chat")
    assert entered.message_id is not None
    return entered.message_id


def _drain(built: Gateway, *lanes: str) -> None:
    """Work those lanes alone: the bot and the desk of these tests are not there."""
    wakes = recorder(built).wakes
    for wake in wakes:
        if wake.lane in lanes:
            Drainer(built).drain(wake.lane, wake.token)
    wakes.clear()


def assert_refused(client: FlaskClient, token: str) -> str:
    """Neither tickets are given for that token nor messages taken; the reason."""
    token = token.encode().decode("latin-1")
    for answer in (ask_for_ticket(client, token), write(client, token, "m1")):
        assert answer.status_code == 401
        assert answer.is_json
    reason: str = answer.get_json()["error"]["message"]
    return reason


class listening:
    """An open stream as a context: its events, one by one, until it ends."""

    def __init__(self, client: FlaskClient, token: str, header: str = "", after: str = "") -> None:
        headers = {"Last-Event-ID": header} if header else {}
        query = {"ticket": ticket_of(client, token), "after": after}
        self._answer = client.get("/chat/chat/events", query_string=query, headers=headers)
        assert self._answer.status_code == 200

    def __enter__(self) -> Iterator[Event]:
        return (event for chunk in self._answer.iter_encoded() for event in _events(chunk))

    def __exit__(self, *_: object) -> None:
        self._answer.close()


def told(client: FlaskClient, token: str, header: str = "", after: str = "") -> list[Event]:
    """What a stream says up to the moment at which all is told."""
    found = []
    with listening(client, token, header, after) as events:
        for event in events:
            found.append(event)
            if event.kind == "ready":
                break
    return found


def _events(chunk: bytes) -> Iterator[Event]:
    for block in chunk.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            yield Event(lines["event"], orjson.loads(lines["data"]), lines.get("id", ""))
