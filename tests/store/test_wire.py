"""What the scripts are asked and what they answer, word for word: older workers and receivers run beside newer ones."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from app.core.acceptance import Acceptance, ConsentStatement, Place, Responder
from app.core.costs import Cost
from app.core.lane import SILENT, LaneEffect
from app.core.message import encode
from app.core.session import Session
from app.core.work import (
    Achieved,
    Append,
    AppendItem,
    Behind,
    Claim,
    Dead,
    Deliver,
    Done,
    End,
    Handoff,
    Outcome,
    Reroute,
    Retry,
    SessionChange,
    TellEnd,
    ThreadState,
)
from app.store import Store
from app.store.arrivals import Arrivals
from app.store.claims import Claimed, claim_of
from app.store.limits import Limits
from tests.store.steps import ANN, Drain, key, message, write
from tests.support.gateway import Clock

WIRE = Arrivals(Limits(), {"shop": ["AC1"]})
SESSION = Session("bot", handles={"dialogue": "UK1"}, since="m1", version=3)
CLAIM = Claim(f"{ANN}|inbound", "owner", Deliver("m1"), ANN, 5, session=SESSION)
KEPT = 30 * 86_400
HEAD = {"mailbox": f"{ANN}|inbound", "owner": "owner", "item": "message m1", "cv": ANN, "retention": 259_200}
RECORD = {
    "id": f"{1:032x}",
    "body": encode(message(1)).decode(),
    "cv": ANN,
    "dr": "inbound",
    "rp": "",
    "lv": "",
    "retention": 259_200,
    "ix": ["AC1"],
}
BREAKER = {"threshold": 5, "cooldown_ms": 5_000, "max_cooldown_ms": 8_000}
LIVE = Append(message(1), "inbound:bot", report_to="shop", live=True, scope="desk:written:1", exempt=True)

OUTCOMES: dict[str, tuple[Outcome, dict[str, Any]]] = {
    "done": (Done(CLAIM), {"outcome": "done", "lane": "ok"}),
    "done, with all that follows": (
        Done(
            CLAIM,
            status="sent",
            error="e",
            scope="bot:inbound:1",
            parts=("a", "b"),
            session=SessionChange(Session("desk", "human", version=3), changes_hands=True),
            front=(Handoff(), Deliver("m1")),
            append=(LIVE, AppendItem(f"{ANN}|outbound", "outbound:shop", TellEnd("7"))),
            thread=ThreadState("desk:CH1", 3, 4),
            poll_in=5.5,
            show=True,
            event="typing",
            cost=Cost("outbound", 5, ("SM1",)),
        ),
        {
            "outcome": "done",
            "lane": "ok",
            "error": "e",
            "front": ["handoff", "message m1"],
            "append": [
                {
                    "mailbox": f"{ANN}|inbound",
                    "lane": "inbound:bot",
                    "rec": {**RECORD, "rp": "shop", "lv": "259200", "ex": True},
                    "item": f"message {1:032x}",
                    "scope": "desk:written:1",
                    "window_ms": 259_200_000,
                },
                {"mailbox": f"{ANN}|outbound", "lane": "outbound:shop", "item": "ended 7"},
            ],
            "status": "sent",
            "scope": "bot:inbound:1",
            "parts": ["a", "b"],
            "show": True,
            "live": 259_200,
            "live_kind": "typing",
            "session": {
                "version": 3,
                "fields": [
                    *("destination", "desk", "mode", "human", "handles", "{}", "context", "{}"),
                    *("since", "", "refused", "0", "late", ""),
                ],
                "changes_hands": True,
                "keep": KEPT,
            },
            "thread": {"name": "desk:CH1", "seen": 3, "read": 4, "keep": KEPT},
            "poll_ms": 5_500,
            "cost": {"what": "outbound", "nanos": 5, "keep": KEPT, "refs": '["SM1"]'},
        },
    ),
    "done, the session as it was": (
        Done(CLAIM, session=SessionChange(SESSION), poll_in=0.0),
        {
            "outcome": "done",
            "lane": "ok",
            "session": {"version": 3, "keep": KEPT},
            "poll_ms": 0,
        },
    ),
    "to be tried again": (
        Retry(
            CLAIM,
            reason="throttled",
            error="e",
            due=9_999.0,
            counts=False,
            uncertain=True,
            lane=LaneEffect("pause", 2.0, "throttled: e"),
        ),
        {
            "outcome": "retry",
            "lane": "pause",
            "error": "e",
            "due_ms": 3_600_000,
            "counts": False,
            "uncertain": True,
            "why": "throttled: e",
            "pause_ms": 2_000,
            **BREAKER,
        },
    ),
    "given up": (
        Dead(CLAIM, reason="unavailable", error="e", ambiguous=True, lane=LaneEffect("sick", why="unavailable: e")),
        {
            "outcome": "dead",
            "lane": "sick",
            "error": "e",
            "reason": "unavailable",
            "why": "unavailable: e",
            "pause_ms": 0,
            **BREAKER,
        },
    ),
    "for somebody else": (
        Reroute(CLAIM, "inbound:desk", lane=SILENT),
        {"outcome": "reroute", "lane": "none", "to": "inbound:desk"},
    ),
    "behind something": (
        Behind(CLAIM, (End("silence"),), lane=SILENT),
        {"outcome": "behind", "lane": "none", "front": ["ended silence"]},
    ),
}


@pytest.mark.parametrize(("outcome", "asked"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes_travel(outcome: Outcome, asked: dict[str, Any]) -> None:
    assert lists(WIRE.outcome(outcome)) == {**HEAD, **asked}


def test_acceptances_travel() -> None:
    marked, room, kept = ("", 259_200_000), (1_000, 200_000), (259_200, KEPT)
    entry = Append(message(1), "inbound:bot")
    body = RECORD["body"].encode()
    plain = (f"{1:032x}", body, ANN, "inbound", "", "inbound:bot")
    assert WIRE.acceptance(Acceptance(entry=entry)) == (*plain, *marked, *room, *kept, "", {"ix": RECORD["ix"]})
    full = Acceptance(
        entry=LIVE,
        scope="shop:inbound:1",
        second_scope="shop:token:1",
        window=3.0,
        follow=True,
        responder=Responder("desk", seize=False),
        place=Place("desk:CH1", "inbound:desk", 4),
        show=True,
        consent=ConsentStatement("out", "the customer wrote STOP", entry),
        more=(LIVE,),
        cost=Cost("inbound", 5),
        same_person=("shop/webchat:ben",),
    )
    live = {**RECORD, "rp": "shop", "lv": "259200", "ex": True}
    once = {"scope": "desk:written:1", "window_ms": 259_200_000}
    item = {"mailbox": f"{ANN}|inbound", "lane": "inbound:bot", "item": f"message {1:032x}"}
    *said, more = WIRE.acceptance(full)
    marked = ("shop:inbound:1", 3_000)
    assert tuple(said) == (f"{1:032x}", body, ANN, "inbound", "shop", "inbound:bot", *marked, *room, *kept, "1")
    assert more == {
        "ix": RECORD["ix"],
        "live": True,
        "ex": True,
        "show": True,
        "also": "shop:token:1",
        "take": {"destination": "desk", "mode": "human", "seize": False},
        "thread": {"name": "desk:CH1", "lane": "inbound:desk", "keep": KEPT, "index": 4, "more": False},
        "consent": {"state": "out", "by": "the customer wrote STOP", "keep": KEPT},
        "more": [{**item, "rec": live, **once}, {**item, "rec": RECORD}],
        "cost": {"what": "inbound", "nanos": 5, "keep": KEPT},
        "names": ["shop/webchat:ben"],
    }


def test_what_is_achieved_travels() -> None:
    nothing = {
        "mailbox": f"{ANN}|inbound",
        "owner": "owner",
        "aliases": [],
        "cv": ANN,
        "keep": KEPT,
        "lease_ms": 30_000,
    }
    assert WIRE.achieved(CLAIM, Achieved(), 30.0) == nothing
    some = Achieved(progress={"part": 1}, aliases=("bot:CH1",), thread=ThreadState("bot:CH1", 2), poll_in=2.0)
    assert WIRE.achieved(CLAIM, some, 30.0) == {
        **nothing,
        "aliases": ["bot:CH1"],
        "progress": '{"part":1}',
        "thread": {"name": "bot:CH1", "seen": 2, "read": -1, "keep": KEPT},
        "poll_ms": 2_000,
    }


def test_a_claim_says_each_thing_by_its_name(store: Store, client: redis.Redis, clock: Clock) -> None:
    """All of what the script's list holds differs here."""
    write(store, 1)
    session = {"destination": "bot", "handles": '{"dialogue":"UK1"}', "version": "3"}
    client.hset(key("s", ANN), mapping=session)
    client.expire(key("s", ANN), KEPT)
    client.hset(key("m", f"{1:032x}"), mapping={"st": "sent", "er": "why", "sa": "77"})
    client.hset(
        key("b", f"{ANN}|inbound"), mapping={"claims": "1", "attempts": "5", "progress": '{"part":1}', "first": "66"}
    )
    claim = Drain(store).claim()
    assert claim == Claim(
        mailbox=f"{ANN}|inbound",
        owner=claim.owner,
        item=Deliver(f"{1:032x}"),
        conversation=ANN,
        now=clock(),
        attempt=7,
        uncertain=True,
        progress={"part": 1},
        message=message(1),
        status="sent",
        error="why",
        first_at=66,
        status_at=77,
        session=Session("bot", handles={"dialogue": "UK1"}, version=3),
    )
    assert claim.owner == client.hget(key("b", f"{ANN}|inbound"), "owner")


def test_what_a_claim_does_not_say_is_nothing() -> None:
    said = Claimed(
        f"{ANN}|inbound", "owner", "check", "1", now="5", first_at="5", turn="0", body="", status="", rest=""
    )
    claim = claim_of(said)
    assert (claim.attempt, claim.uncertain, claim.progress, claim.message, claim.session) == (1, False, {}, None, None)
    assert (claim.status, claim.to) == ("queued", "")


def lists(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {name: lists(each) for name, each in value.items()}
    return [lists(each) for each in value] if isinstance(value, tuple | list) else value
