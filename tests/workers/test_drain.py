"""Claim, work, settle: what drains do with failures, time slices, and an unreachable Redis."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.core.errors import StoreUnavailable
from app.core.work import AppendItem, Unknown, mailbox_of
from app.store.mailbox import Mailboxes
from tests.support.gateway import CHAT_SECRET, recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from workers.drain import DAMAGED, UNKNOWN, WORK, Drainer


def test_a_transient_failure_holds_its_conversation_and_no_other(office: Office) -> None:
    office.bot.answer = lambda call: Told(status=503) if "shop/webhook:ada" in call.form["UserId"] else bot_says("Hi.")
    office.customer_writes("first", "ada")
    office.customer_writes("second", "ada")
    office.customer_writes("other", "grace")
    office.work()
    assert office.asked() == ["first", "other"]
    office.bot.answers(bot_says("Hi."))
    office.work_later(600)
    assert office.asked() == ["first", "other", "first", "second"]


def test_a_permanent_failure_is_a_dead_letter_at_once_and_the_next_message_goes_on(office: Office) -> None:
    office.bot.answers(Told(status=400, body=b'{"code":20001,"message":"Bad field"}'), bot_says("Hi."))
    message = office.customer_writes("first")
    office.customer_writes("second")
    office.work()
    assert office.asked() == ["first", "second"]
    assert office.letters() == ["rejected: HTTP 400: 20001 Bad field"]
    assert office.status(message) == "failed"


LEVELS = {
    "done": (bot_says("Hi."), "done", "info"),
    "tried again": (Told(status=503), "retry", "warning"),
    "given up": (Told(status=400), "dead", "error"),
}


@pytest.mark.parametrize(("answer", "outcome", "level"), LEVELS.values(), ids=LEVELS)
def test_an_attempt_is_logged_as_loudly_as_it_matters(answer: Told, outcome: str, level: str, office: Office) -> None:
    office.bot.answers(answer)
    office.customer_writes("first", "ada")
    with capture_logs(processors=[merge_contextvars]) as lines:
        office.work()
    (line,) = [line for line in lines if line["event"] == "attempt" and line["lane"] == "inbound:helper"]
    assert (outcome, level) == (line["outcome"], line["log_level"])
    assert ("shop", "shop/webhook:ada") == (line["channel"], line["conversation"])


def test_what_is_logged_on_the_way_says_of_whom(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORK, "inbound", lambda *_: 1 / 0)
    office.customer_writes("first", "ada")
    with capture_logs(processors=[merge_contextvars]) as lines:
        office.work()
    assert "shop/webhook:ada" == next(line["conversation"] for line in lines if line["event"] == "unexpected")


SECRETS = ("desk-token-0001", "bot-token-0001", CHAT_SECRET)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", [0, 495])
def test_no_secret_of_the_configuration_is_kept(secret: str, before: int, office: Office) -> None:
    said = "." * before + secret
    office.bot.answers(Told(status=400, body=orjson.dumps({"code": 20001, "message": said})))
    message = office.customer_writes("first")
    office.work()
    (letter,) = office.letters()
    assert letter.startswith("rejected: HTTP 400: ")
    assert secret[:4] not in letter
    assert secret[:4] not in str(office.gateway.store.messages.read(message))


@pytest.mark.parametrize("before", [0, 482])  # the second secret lies across the end of what is kept
def test_what_a_bug_says_is_kept_without_secrets(before: int, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise ValueError("." * before + CHAT_SECRET)

    monkeypatch.setitem(WORK, "inbound", broken)
    monkeypatch.setattr("workers.failing.next_try", lambda *args: None)
    office.customer_writes("first")
    office.work()
    (letter,) = office.letters()
    assert letter.startswith("unexpected: ValueError: ")
    assert CHAT_SECRET[:4] not in letter


def test_it_gives_up_after_the_configured_attempts_while_others_succeed(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"attempts": 3, "retry_base": 0.01})
    office.bot.answer = lambda call: Told(status=503) if "shop/webhook:ada" in call.form["UserId"] else bot_says("Hi.")
    office.customer_writes("doomed", "ada")
    for number in range(6):
        office.customer_writes("fine", f"c-{number}")
        office.work_later(10)
    assert office.asked().count("doomed") == 3
    assert office.letters()[0] == "unavailable: HTTP 503: {}"


def test_a_replayed_dead_letter_is_tried_anew(office: Office) -> None:
    office.bot.answers(Told(status=400), bot_says("Hi."))
    message = office.customer_writes("hello")
    office.work()
    letter = office.gateway.store.dead_letters.newest()[0]
    _, wakes = office.gateway.store.dead_letters.replay(letter.id)
    office.gateway.publisher.publish(wakes)
    office.work()
    assert office.asked() == ["hello", "hello"]
    assert office.status(message) == "delivered"
    assert office.letters() == []


def test_retry_after_pauses_the_lane_and_spends_no_attempt(office: Office) -> None:
    office.bot.answers(Told(status=429, headers={"retry-after": "30"}), bot_says("Hi."))
    office.customer_writes("one", "ada")
    office.work()
    office.customer_writes("two", "grace")
    office.work_later(29)
    assert office.asked() == ["one"]
    office.work_later(2)
    assert sorted(["one", "one", "two"]) == sorted(office.asked())


def test_refused_credentials_rest_the_lane_and_keep_every_message(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("workers.drain.log.error", lambda event, **values: told.append(values), raising=False)
    office.bot.answers(Told(status=401))
    for number in range(3):
        office.customer_writes(f"m{number}", f"c-{number}")
    office.work()
    assert len(office.bot.calls) == 1
    assert office.letters() == []
    lane = office.gateway.store.lanes.state("inbound:helper", office.clock.now / 1000)
    assert (lane.waiting, round(lane.paused_for)) == (3, 60)
    assert ["credentials" in values["advice"] for values in told] == [True]
    office.bot.answers(bot_says("Hi."))
    office.work_later(61)
    assert {"m0", "m1", "m2"} == set(office.asked()[1:])


def test_an_open_breaker_lets_one_probe_through_and_closes_with_its_success(office: Office) -> None:
    office.bot.answers(Told(status=503))
    for number in range(20):
        office.customer_writes("hello", f"c-{number}")
    office.work()
    assert len(office.bot.calls) == 5
    office.work_later(6)
    assert len(office.bot.calls) == 6
    office.bot.answers(bot_says("Hi."))
    office.work_later(61)
    office.work_later(600)
    assert len(office.said()) == 20
    assert office.letters() == []


def test_answers_that_cannot_be_read_speak_of_their_messages_alone(office: Office) -> None:
    office.bot.answers(*[Told(body=b"<html>")] * 10, bot_says("Hi."))
    for number in range(12):
        office.customer_writes(f"m{number}", f"c-{number}")
    office.work()
    assert 12 == len(office.bot.calls)  # nobody had to wait for a breaker
    assert ["Hi.", "Hi."] == office.said()
    assert 10 == len([letter for letter in office.letters() if letter.startswith("unparseable")])
    assert 0 == office.gateway.store.lanes.state("inbound:helper", office.clock.now / 1000).paused_for


def test_one_odd_character_in_a_bots_answer_is_no_reason_to_say_nothing(office: Office) -> None:
    answer = bot_says("It left today. @").body
    office.bot.answers(
        Told(body=answer.replace(b"@", b"\\ud83d")),
        Told(body=b"\xef\xbb\xbf" + answer),
        Told(body=answer.replace(b"@", b"caf\xe9"), headers={"Content-Type": "application/json; charset=latin-1"}),
        Told(body=answer.replace(b'"sid"', b'"score": NaN, "sid"')),
    )
    for number in range(4):
        office.customer_writes("hello", f"c-{number}")
        office.work()
    start = "It left today. "
    assert [start + "\ufffd", start + "@", start + "café", start + "@"] == office.said()
    assert [] == office.letters()


def test_a_bug_of_ours_is_tried_again_and_then_kept_for_an_operator(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office.gateway.channels["shop"], "send", _broken)
    office.agent_writes("hello")
    for _ in range(12):
        office.work_later(600)
    assert office.letters()[0] == "unexpected: KeyError: 'oops'"


def test_a_bug_of_ours_does_not_ask_a_bot_twice(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office.gateway.destinations["helper"], "answer_from", _broken)
    office.customer_writes("hello")
    for _ in range(3):
        office.work_later(600)
    assert ["hello"] == office.asked()
    assert office.letters()[0].startswith("unexpected: KeyError: 'oops'")


def test_an_outage_of_redis_in_the_middle_spends_no_attempt(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    outages = iter([True] * 12)
    real = office.gateway.store.messages.timeline

    def away(*args: Any) -> Any:
        if next(outages, False):
            raise StoreUnavailable("gone")
        return real(*args)

    monkeypatch.setattr(office.gateway.store.messages, "timeline", away)
    office.customer_writes("a human please")
    for _ in range(14):
        office.work_later(2)
    assert [] == office.letters()
    assert ("message", "a human please") == office.seen()[0]


def test_work_of_a_destination_that_left_the_configuration_goes_to_the_first(office: Office) -> None:
    office.customer_writes("a human please")
    office.work()
    office.desk.answers(Told(status=503))
    office.customer_writes("waiting for the desk")
    office.work()
    del office.gateway.destinations["desk"], office.gateway.timeouts["desk"]  # type: ignore[attr-defined]
    office.gateway.lanes = {n: lane for n, lane in office.gateway.lanes.items() if not n.endswith(":desk")}
    office.gateway.declare()
    office.customer_writes("and another")
    for _ in range(3):
        office.work_later(600)
    assert ["waiting for the desk", "and another"] == office.asked()[-2:]


def _broken(*args: Any) -> None:
    raise KeyError("oops")


def test_a_stopping_worker_finishes_the_head_in_hand_and_leaves_the_rest(office: Office) -> None:
    office.customer_writes("one", "ada")
    office.customer_writes("two", "ada")
    wake = recorder(office.gateway).wakes.pop(0)
    stops = iter([False, True, True])
    heads = Drainer(office.gateway, lambda: next(stops)).drain(wake.lane, wake.token)
    assert heads == 1
    assert office.asked() == ["one"]
    assert wake in recorder(office.gateway).wakes  # somebody else goes on with the same token
    office.work()
    assert office.asked() == ["one", "two"]


def test_a_settlement_is_not_thrown_away_while_redis_is_out_of_reach(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.lease.AGAIN", 0.0)
    real, outages = Mailboxes.work, iter([True, True])

    def flaky(self: Mailboxes, lane: str, token: str, settlement: Any, **options: Any) -> Any:
        if settlement is not None and next(outages, False):
            raise StoreUnavailable("gone")
        return real(self, lane, token, settlement, **options)

    monkeypatch.setattr(Mailboxes, "work", flaky)
    message = office.customer_writes("hello")
    office.work()
    assert office.asked() == ["hello"]
    assert office.status(message) == "delivered"


def test_a_lane_is_worked_on_if_nobody_can_be_told_that_more_is_left(office: Office) -> None:
    for number in range(3):
        office.customer_writes("hello", f"c-{number}")
    wake = recorder(office.gateway).wakes.pop(0)
    recorder(office.gateway).full = True
    assert 3 == Drainer(office.gateway).drain(wake.lane, wake.token, time_slice=0.001)
    assert ["hello"] * 3 == office.asked()


def test_a_stopping_worker_does_not_work_on_for_want_of_another(office: Office) -> None:
    for number in range(3):
        office.customer_writes("hello", f"c-{number}")
    wake = recorder(office.gateway).wakes.pop(0)
    recorder(office.gateway).full = True
    assert 0 == Drainer(office.gateway, lambda: True).drain(wake.lane, wake.token)


def test_a_wake_up_for_a_lane_that_nobody_knows_does_nothing(office: Office) -> None:
    assert 0 == Drainer(office.gateway).drain("inbound:gone", "token")


@pytest.mark.parametrize("lane", ["inbound:helper", "outbound:shop", "status:shop"])
@pytest.mark.parametrize("item", [b"dance with them", b"handoff once", b"dance \xff \xc3\xa9\xfe"])
def test_what_a_newer_version_wrote_waits_for_it_byte_by_byte(
    office: Office, redis_client: redis.Redis, lane: str, item: bytes
) -> None:
    office.customer_writes("hello")
    office.work()
    asked, said = office.asked(), office.said()
    mailbox = mailbox_of("shop/webhook:ada", lane.split(":")[0] if lane != "status:shop" else lane)
    store = office.gateway.store
    wakes = store.mailboxes.append(AppendItem(mailbox, lane, Unknown("made of text")))
    office.gateway.publisher.publish(wakes or ())
    redis_client.lset(f"{{patchbay}}:q:{mailbox}", 0, item)
    office.work()
    assert [f"unknown: {UNKNOWN}"] == office.letters()
    (letter,) = store.dead_letters.newest()
    server = redis_client.connection_pool.connection_kwargs
    with redis.Redis(server["host"], server["port"]) as raw:
        assert item == raw.hget(f"{{patchbay}}:d:{letter.id}", "item")
        assert (mailbox, lane) == (letter.mailbox, letter.where)
        assert ("ok", []) == (store.dead_letters.replay(letter.id)[0], office.letters())
        assert [item] == raw.lrange(f"{{patchbay}}:q:{mailbox}", 0, -1)
    office.work_later(10)
    office.customer_writes("still there?")
    office.work_later(10)
    assert ([*asked, "still there?"], len(said) + 1) == (office.asked(), len(office.said()))
    assert 1 == len(office.letters())


DAMAGE = {
    "a message that is no JSON": ("m", {"body": "{"}),
    "a message that is another one": ("m", {"body": "[1]"}),
    "a session without a date": ("s", {"last_at": "soon"}),
    "a session whose names are no JSON": ("s", {"handles": "{"}),
    "progress that is no JSON": ("b", {"progress": "{"}),
}


@pytest.mark.parametrize(("kind", "fields"), DAMAGE.values(), ids=DAMAGE)
def test_what_cannot_be_read_is_a_dead_letter_and_holds_nobody_up(
    make_office: MakeOffice, redis_client: redis.Redis, kind: str, fields: dict[str, str]
) -> None:
    office = make_office(destinations__helper={"concurrency": 1})
    office.customer_writes("hello")
    office.work()
    message = office.customer_writes("again")
    whose = {"m": message, "s": "shop/webhook:ada", "b": "shop/webhook:ada|inbound"}[kind]
    before = redis_client.hgetall(f"{{patchbay}}:{kind}:{whose}")
    redis_client.hset(f"{{patchbay}}:{kind}:{whose}", mapping=fields)
    office.customer_writes("hello", "ben")
    office.work()
    assert ({f"damaged: {DAMAGED}"}, ["hello", "hello"]) == (set(office.letters()), office.asked())
    if kind != "b":
        redis_client.hset(f"{{patchbay}}:{kind}:{whose}", mapping={name: before[name] for name in fields})
    for letter in office.gateway.store.dead_letters.newest():  # that it failed cannot be reported either
        office.gateway.publisher.publish(office.gateway.store.dead_letters.replay(letter.id)[1])
    office.work()
    assert [] == office.letters()
    assert (["hello", "hello", "again"], "delivered") == (office.asked(), office.status(message))
