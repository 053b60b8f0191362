"""Whatever keys and fields are missing or of the wrong type, no script fails, and what comes afterwards is worked.

A script that fails after its first write leaves half of what it does, so here every verb of the store runs in any order
while keys, fields and members disappear between the calls, as they do where a server throws them away or somebody
deletes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Place, Responder
from app.core.costs import Cost
from app.core.events import Said
from app.core.lane import LaneEffect
from app.core.message import Text
from app.core.session import Session
from app.core.status import STATUSES, Status
from app.core.work import (
    Achieved,
    Append,
    AppendItem,
    Behind,
    Claim,
    Dead,
    Deliver,
    Done,
    Outcome,
    Record,
    Reroute,
    Retry,
    SessionChange,
    ThreadState,
    mailbox_of,
)
from app.store import Store
from app.store.buckets import Bucket
from app.store.limits import Limits
from tests.store.steps import ANN, BEN, BOT, DESK, SHOP, Drain, append, entry, item, items, key, keys, write
from tests.support.examples import examples
from tests.support.gateway import Clock

LANES = {BOT: 2, DESK: 2, SHOP: 2, "status:shop": 2, "status:desk": 2}
LIMITS = Limits(breaker_failures=2, dead_letters=2, dead_letter_keep=3_600)
CONVERSATIONS = [f"shop/webchat:{name}" for name in ("ann", "ben")]
NAMES = [*CONVERSATIONS, "shop/webchat:third"]  # of one person each, until a webhook names two of them
CHATS = {conversation: f"desk:CH-{conversation[-3:]}" for conversation in CONVERSATIONS}
PROFILE = settings(
    max_examples=examples(60),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

some = st.integers(min_value=0, max_value=1_000)
conversations = st.sampled_from(CONVERSATIONS)


class Damaged(RuleBasedStateMachine):
    """`working` are the claims in hand with the drains that made them."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.client.connection_pool.max_connections = 100_000  # each example has a store of its own
        self.clock = Clock()
        self.store = Store(self.client, LIMITS, self.clock)
        self.store.lanes.declare(LANES)
        self.working: list[tuple[Drain, Claim]] = []
        self.made = 0

    @initialize()
    def some_work_is_under_way(self) -> None:
        for conversation in CONVERSATIONS:
            for _ in range(2):
                self.a_customer_writes(conversation, "", True)
            self.an_agent_writes(conversation, 1)
        self.somebody_works(BOT, False)
        self.somebody_works(SHOP, False)

    # what gets lost

    @rule(which=some)
    def a_key_is_lost(self, which: int) -> None:
        if found := sorted(self.client.keys()):
            self.client.delete(found[which % len(found)])

    @rule(prefix=st.sampled_from(["q:", "b:", "m:", "s:", "lane:", "ready:", "leased:", "d:", "letters"]), which=some)
    def a_key_of_a_kind_is_lost(self, prefix: str, which: int) -> None:
        if found := sorted(name for name in keys(self.client) if name.startswith(prefix)):
            self.client.delete("{patchbay}:" + found[which % len(found)])

    @rule(which=some, value=st.sampled_from(["text", ["a", "list"]]))
    def a_key_is_of_another_type(self, which: int, value: str | list[str]) -> None:
        if found := sorted(self.client.keys()):
            spoil(self.client, found[which % len(found)], value)

    @rule(which=some, what=some)
    def a_part_of_a_key_is_lost(self, which: int, what: int) -> None:
        found = sorted(self.client.keys())
        name = found[which % len(found)] if found else ""
        match self.client.type(name):
            case "hash":
                fields = sorted(self.client.hkeys(name))
                self.client.hdel(name, fields[what % len(fields)])
            case "zset":
                self.client.zremrangebyrank(name, 0, 0)
            case "list":
                self.client.lpop(name)

    @rule(seconds=st.sampled_from([1, 40, 4_000, -120]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.store.mailboxes.sweep()
        self.store.dead_letters.trim()

    # what happens

    @rule(
        conversation=conversations,
        says=st.sampled_from(["", "in", "out"]),
        costs=st.booleans(),
        names=st.sampled_from([[], [], [], *([name] for name in NAMES)]),
    )
    def a_customer_writes(self, conversation: str, says: str, costs: bool, names: Sequence[str] = ()) -> None:
        number = self._number()
        written = entry(number, conversation, report_to="shop", live=True)
        stated = (
            ConsentStatement(says, "the customer", entry(self._number(), conversation, "outbound")) if says else None
        )  # type: ignore[arg-type]  # as sampled
        self.store.mailboxes.accept(
            Acceptance(
                entry=written,
                scope=f"shop:inbound:{number}",
                follow=True,
                show=True,
                consent=stated,
                cost=Cost("inbound", 5, ("SM1",)) if costs else None,
                same_person=tuple(name for name in names if name != conversation),
            )
        )

    @rule(conversation=conversations)
    def an_agent_writes_in_parts(self, conversation: str) -> None:
        """The last part speaks for the one before it."""
        first, last = in_parts(self._number(), self._number(), conversation)
        self.store.mailboxes.accept(Acceptance(entry=first, scope=f"desk:written:{self.made}", more=(last,)))

    @rule(conversation=conversations, index=st.sampled_from([None, 0, 1, 5]))
    def an_agent_writes(self, conversation: str, index: int | None) -> None:
        number = self._number()
        place = None if index is None else Place(CHATS[conversation], DESK, index)
        written = entry(number, conversation, "outbound", report_to="desk", live=True)
        self.store.mailboxes.accept(
            Acceptance(entry=written, scope=f"desk:written:{number}", responder=Responder("desk"), place=place)
        )

    @rule(conversation=conversations, hint=st.sampled_from(["ended", "typing @1"]))
    def a_hint_comes(self, conversation: str, hint: str) -> None:
        append(self.store, conversation, "inbound", BOT, hint, follow=True)

    @rule(conversation=conversations, index=st.sampled_from([None, 0, 3]))
    def a_chat_is_spoken_of(self, conversation: str, index: int | None) -> None:
        self.store.mailboxes.changed(conversation, Place(CHATS[conversation], DESK, index))

    @rule(which=some, status=st.sampled_from(STATUSES[1:]), direction=st.sampled_from(["inbound", "outbound"]))
    def a_platform_reports(self, which: int, status: Status, direction: str) -> None:
        ref, error = self._message(which), "opted_out: by the platform" if status == "failed" else ""
        for scope in (f"shop:outbound:its-{ref}", f"shop:outbound:its-{ref}-1"):
            self.store.messages.report(ref, status, scope=scope, direction=direction, owner="", error=error)

    @rule(which=some, what=st.sampled_from(["cancel", "price", "forget", "rewrite", "bury", "trim", "declare"]))
    def something_else_is_done(self, which: int, what: str) -> None:
        conversation = CONVERSATIONS[which % 2]
        message = entry(which % (self.made + 1), conversation, "outbound").message
        store = self.store
        verbs: dict[str, Callable[[], Any]] = {
            "cancel": lambda: store.messages.cancel(conversation, [message.id], "canceled"),
            "price": lambda: store.costs.reported(message.id, which),
            "forget": lambda: store.messages.forget([message], ["AC1"]),
            "rewrite": lambda: store.messages.rewrite([message]),
            "bury": lambda: store.dead_letters.keep_webhook("{}", "shop", "unexpected", ""),
            "trim": store.dead_letters.trim,
            "declare": lambda: store.lanes.declare(LANES),
        }
        verbs[what]()

    @rule(a_minute=st.sampled_from([1, 60]), cost=st.sampled_from([1, 90]))
    def somebody_takes_from_buckets(self, a_minute: int, cost: int) -> None:
        self.store.buckets.take([Bucket("one", a_minute, cost, "limited:one"), Bucket("two", 600)])

    @rule(lane=st.sampled_from(sorted(LANES)), limited=st.booleans())
    def somebody_works(self, lane: str, limited: bool) -> None:
        drain = Drain(self.store, lane, f"drain {self._number()}", rate=2.0 if limited else 0.0)
        self._keep(drain, drain.step())

    @precondition(lambda self: self.working)
    @rule(
        which=some,
        outcome=st.sampled_from(["done", "done", "retry", "dead", "reroute", "behind"]),
        effect=st.sampled_from(["ok", "sick", "pause", "none"]),
        status=st.sampled_from([None, *STATUSES[1:]]),
        session=st.booleans(),
        pieces=st.booleans(),
    )
    def work_is_settled(
        self, which: int, outcome: str, effect: Any, status: Status | None, session: bool, pieces: bool
    ) -> None:
        drain, claim = self.working.pop(which % len(self.working))
        message = claim.message.id if claim.message else ""
        lane = LaneEffect(effect, 1.0, "unavailable: no")
        record = AppendItem(
            mailbox_of(claim.conversation, "status:desk"), "status:desk", Record("CA1"), f"once {which % 3}"
        )
        follows: dict[str, Any] = {
            "lane": lane,
            "session": self._session(claim) if session else None,
            "append": (entry(self._number(), claim.conversation, "outbound", live=True), record),
            "thread": ThreadState(CHATS[claim.conversation], which % 4 or None) if session else None,
            "poll_in": float(which % 3),
        }
        outcomes: dict[str, Outcome] = {
            "done": Done(
                claim,
                status=status,
                error="opted_out: no" if status == "failed" else "no",
                scope=f"shop:outbound:its-{message}" if message else "",
                parts=tuple(f"shop:outbound:its-{message}-{n}" for n in "12") if message and pieces else (),
                front=items("ended silence"),
                show=True,
                event="typing",
                cost=Cost("outbound", 7, ("SM1",)) if drain.lane == SHOP else Cost("turn:bot", 2),
                **follows,
            ),
            "dead": Dead(claim, reason="unavailable", error="no", **follows),
            "retry": Retry(claim, reason="unavailable", error="no", due=1.0, uncertain=session, lane=lane),
            "reroute": Reroute(claim, DESK, lane=lane),
            "behind": Behind(claim, items("ended silence"), lane=lane),
        }
        self._keep(drain, drain.step(outcomes[outcome]))

    @precondition(lambda self: self.working)
    @rule(which=some)
    def work_goes_on(self, which: int) -> None:
        _, claim = self.working[which % len(self.working)]
        self.store.mailboxes.remember(
            claim,
            30.0,
            Achieved(
                progress={"part": which},
                asked=self._question(claim),
                aliases=("desk:CH",),
                session=self._session(claim).session,
                thread=ThreadState(CHATS[claim.conversation], which % 4 or None),
                poll_in=2.0,
            ),
        )

    def _question(self, claim: Claim) -> tuple[str, ...]:
        if not isinstance(claim.item, Deliver):
            return ()
        return (claim.item.message_id, *(one.id for one in self.store.mailboxes.following(claim, 2).messages))

    @rule(which=some, what=st.sampled_from(["replay", "discard"]))
    def the_operator_decides(self, which: int, what: str) -> None:
        if letters := self.store.dead_letters.newest():
            letter = letters[which % len(letters)]
            getattr(self.store.dead_letters, what)(letter.id)

    @rule(which=some)
    def everything_is_looked_at(self, which: int) -> None:
        store, conversation = self.store, CONVERSATIONS[which % 2]
        looks: list[Callable[[], Any]] = [
            lambda: store.lanes.overview(self.clock() / 1_000),
            store.lanes.counts,
            store.dead_letters.newest,
            lambda: store.messages.timeline(conversation),
            lambda: store.messages.live(conversation, "0", 0),
            lambda: store.sessions.read(conversation),
            lambda: store.consents.read(conversation),
            lambda: store.costs.conversation(conversation),
            lambda: store.costs.message(self._message(which)),
            lambda: store.mailboxes.thread(CHATS[conversation]),
        ]
        for look in looks:
            try:
                look()
            except redis.ResponseError as error:  # whoever only looks sets nothing aside
                if "WRONGTYPE" not in str(error):  # a pipeline says more before it
                    raise

    def teardown(self) -> None:
        """What is written now is worked, in each conversation, once the lanes are declared and leases run out."""
        self.working.clear()
        self.clock.advance(7_200)
        self.store.lanes.declare(LANES)
        written = set()
        for conversation in CONVERSATIONS:
            self.store.consents.write(conversation, "in", "an operator")
            for direction in ("inbound", "outbound"):
                number = self._number()
                self.store.mailboxes.accept(
                    Acceptance(entry=entry(number, conversation, direction), scope=f"last:{number}")
                )  # type: ignore[arg-type]  # as listed
                written.add(item(number))
        worked: set[str] = set()
        for _ in range(30):
            for wake in self.store.mailboxes.sweep():
                worked |= set(Drain(self.store, wake.lane, wake.token).finish())
            self.clock.advance(3_600)
        assert written <= worked
        self.everything_is_looked_at(0)

    def _keep(self, drain: Drain, claim: Claim | None) -> None:
        if claim:
            self.working.append((drain, claim))

    def _session(self, claim: Claim) -> SessionChange:
        version = claim.session.version if claim.session else 0
        return SessionChange(Session("desk", handles={"chat": "CH"}, version=version), changes_hands=version % 2 == 0)

    def _message(self, which: int) -> str:
        return f"{which % (self.made + 1):032x}"

    def _number(self) -> int:
        self.made += 1
        return self.made


def spoil(client: redis.Redis, name: str, value: str | list[str] = "text") -> None:
    """Let a key hold a text or a list, in the place of what it held."""
    client.delete(name)
    if isinstance(value, str):
        client.set(name, value)
    else:
        client.rpush(name, *value)


def in_parts(one: int, two: int, conversation: str) -> tuple[Append, Append]:
    first, last = (entry(number, conversation, "outbound", report_to="desk") for number in (one, two))
    whole = Said(Text("x")).speaking_for([first.message.id])
    return first, replace(last, message=replace(last.message, metadata=whole))


def test_a_part_that_lost_its_status_is_waited_for_by_none(store: Store, client: redis.Redis) -> None:
    first, last = in_parts(1, 2, CONVERSATIONS[0])
    store.mailboxes.accept(Acceptance(entry=first))
    client.hdel(key("m", first.message.id), "st")
    store.mailboxes.accept(Acceptance(entry=last))
    drain = Drain(store, SHOP)
    for _ in range(2):
        drain.step(Done(drain.worked.claim or drain.claim(), status="sent"))
    record = store.messages.read(last.message.id)
    assert record is not None
    assert "sent" == record.status


OF_ANN = {
    "records": [key("m", f"{1:032x}")],
    "a queue": [key("q", f"{ANN}|inbound")],
    "what is known of a mailbox": [key("b", f"{ANN}|inbound")],
    "a session": [key("s", ANN)],
    "consent": [key("o", ANN)],
    "a timeline": [key("t", ANN)],
    "a live stream": [key("e", ANN)],
    "addresses": [key("w", ANN), key("to", ANN)],
    "costs": [key("cost:c", ANN)],
    "all of them": [key(kind, ANN) for kind in ("s", "o", "t", "e", "w", "to", "cost:c")],
}


@pytest.mark.parametrize("spoiled", OF_ANN.values(), ids=OF_ANN)
@pytest.mark.parametrize("when", ["waiting", "at work"])
def test_one_damaged_conversation_stops_neither_its_lane_nor_itself(
    real_store: Store, redis_client: redis.Redis, written_by_hand: None, clock: Clock, spoiled: list[str], when: str
) -> None:
    store, client = real_store, redis_client
    store.lanes.declare({BOT: 1})
    wakes = [*write(store, 1, ANN, live=True, show=True).wakes, *write(store, 2, BEN).wakes]
    store.consents.write(ANN, "in", "an operator")
    drain = Drain(store, BOT, wakes[0].token)
    claim = drain.claim() if when == "at work" else None
    for name in spoiled:
        client.delete(name)
        client.hset(name, "a", "b") if ":to:" in name else client.set(name, "text")
    change = SessionChange(Session("bot"))
    while claim := drain.step(claim and Done(claim, session=change, status="delivered", cost=Cost("turn:bot", 2))):
        pass
    store.mailboxes.sweep()
    state = store.messages.report(f"{2:032x}", "read", scope="s", direction="inbound", owner="", error="")[0]
    assert "climbed" == state
    assert "ok" == write(store, 3, ANN, live=True, show=True, follow=True, cost=Cost("inbound", 5)).state
    clock.advance(3_600)
    assert [item(3)] == [one for wake in store.mailboxes.sweep() for one in Drain(store, BOT, wake.token).finish()][-1:]


def test_a_damaged_session_stops_no_sweep(
    real_store: Store, redis_client: redis.Redis, written_by_hand: None, clock: Clock
) -> None:
    store, client = real_store, redis_client
    drain = Drain(store, BOT, write(store, 1, ANN).wakes[0].token)
    drain.step(Done(drain.claim(), session=SessionChange(Session("desk", handles={"chat": "CH1"})), poll_in=5.0))
    spoil(client, key("s", ANN))
    write(store, 2, BEN)
    clock.advance(60)
    assert [BOT] == [wake.lane for wake in store.mailboxes.sweep()]
    assert ("text", {"damaged:s": 1}) == (client.get(key("damaged", "s", ANN)), store.lanes.counts())


def test_no_script_fails_whatever_is_missing(machine_client: redis.Redis) -> None:
    Damaged.client = machine_client
    run_state_machine_as_test(Damaged, settings=PROFILE)
