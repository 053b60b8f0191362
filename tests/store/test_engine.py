"""Any interleaving of all that can happen to mailboxes, against a model of the engine in plain Python."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Literal

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Place, Responder
from app.core.costs import Cost, Costs, day_of
from app.core.lane import SILENT, LaneEffect, Seen
from app.core.session import Session
from app.core.status import LADDER, STATUSES, Status
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
    Poll,
    Record,
    Reroute,
    Retry,
    SessionChange,
    TellEnd,
    ThreadState,
    Wake,
    item_text,
    mailbox_of,
)
from app.store import Store
from app.store.dead_letters import DeadLetter
from app.store.limits import Limits
from app.store.mailbox import Solitude
from tests.store.model import Known, Model, is_bulk
from tests.store.paces import MOST, START
from tests.store.steps import BOT, DESK, SHOP, Drain, Held, entry, held, items, key
from tests.support.examples import examples
from tests.support.gateway import Clock
from tests.support.keymap import strays

LANES = {BOT: None, DESK: 2, SHOP: 2, "status:shop": None, "status:desk": 1}
PACES = {BOT: 2, DESK: 1, "status:shop": 1}  # so slow did they become, that all of it is used
RATES = {SHOP: 2.0}
EXPIRE = {BOT: 25.0, SHOP: 45.0}  # longer than the leases that run out
LIMITS = Limits(breaker_failures=2, breaker_pause=0.5, max_breaker_pause=2.0)
EACH = {SHOP: 1.0}
LEASE = 10.0
PACE = ("pace", "turn", "usual", "top", "top_until", "before", "slow", "look_at")  # fields of a lane
CONVERSATIONS = [f"shop/webchat:{name}" for name in ("ann", "ben", "cy")]
PROFILE = settings(
    max_examples=examples(20),
    stateful_step_count=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

Effect = Literal["ok", "sick", "pause", "none"]
Falls = Literal["throttled", "timed_out", ""]
some = st.integers(min_value=0, max_value=1_000)
well = st.sampled_from(["ok", "ok", "ok", "ok", "none", "sick"])
ill = st.sampled_from(["sick", "sick", "sick", "pause", "none"])
falls = st.sampled_from(["throttled", "timed_out", ""])
solitudes: st.SearchStrategy[Solitude] = st.sampled_from(["kept", "possible", "impossible"])
sights = st.builds(
    Seen,
    calls=st.sampled_from([0, 1, 2, 8, 64]),
    mean=st.sampled_from([0.0, 60.0, 200.0, 200.0, 1_000.0, 1_234.567]),
    late=st.sampled_from([0.0, 0.05, 0.1, 1.0]),
)


class Engine(RuleBasedStateMachine):
    """`flying` are wake-ups on their way; `working` are drains with a claim in hand, whether its lease lives or not.
    `lines` is what stands in each conversation's chat at the desk (True: people wrote it, False: the customer), `hooks`
    are webhooks about them on their way, `looks` what those who work a `check` have found there."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.clock = Clock()
        self.client.connection_pool.max_connections = 100_000  # each example has a store of its own
        self.store = Store(self.client, LIMITS, self.clock)
        self.store.lanes.declare(LANES)
        self.model = Model(LANES, RATES, LIMITS, self.clock(), EXPIRE, EACH)
        for lane, pace in PACES.items():
            self.client.hset(key("lane", lane), "pace", pace)
            self.model.lanes[lane].pace = dataclasses.replace(self.model.lanes[lane].pace, pace=pace)
        self.flying: list[Wake] = []
        self.working: list[tuple[Drain, Claim]] = []
        self.letters: list[str] = []
        self.made = 0
        self.lines: dict[str, list[bool]] = {conversation: [] for conversation in CONVERSATIONS}
        self.hooks: list[tuple[str, int]] = []
        self.looks: dict[str, ThreadState] = {}
        self.began: dict[str, int | None] = {}

    # time and wake-ups

    @initialize()
    def some_are_waiting(self) -> None:
        for who in range(4):
            self.a_customer_writes(who, False, 0, True)
        for conversation in CONVERSATIONS:
            self._look(conversation, -1)  # as whoever opens a chat says

    @rule(half_seconds=st.sampled_from([1, 2, 3, 7, 12]), ticks=st.booleans())
    def time_passes(self, half_seconds: int, ticks: bool) -> None:
        self.clock.advance(half_seconds / 2)
        self.model.now = self.clock()
        if ticks:
            self.the_tick_sweeps()

    @rule()
    def the_tick_sweeps(self) -> None:
        self.model.sweep()
        self._owed(self.store.mailboxes.sweep())

    @rule(dies=st.booleans(), which=some, solitude=solitudes)
    def leases_run_out(self, dies: bool, which: int, solitude: Solitude) -> None:
        """A worker may have died; the others are only slow, and will settle what is no longer theirs."""
        if dies and self.working:
            self._hand(which)
        self.time_passes(int(LEASE * 2), True)
        self._arrive(which, solitude=solitude)

    @precondition(lambda self: self.flying)
    @rule(which=some, again=st.booleans())
    def a_wake_up_is_lost_or_doubled(self, which: int, again: bool) -> None:
        wake = self.flying.pop(which % len(self.flying))
        for _ in range(2 if again else 0):
            self.flying.insert(0, wake)
            self._arrive(0)

    # what comes in

    @rule(who=some, old=st.booleans(), which=some, at_once=st.booleans())
    def a_customer_writes(self, who: int, old: bool, which: int, at_once: bool) -> None:
        """Perhaps the webhook comes a second time, and then with another id of ours."""
        self.made += 1
        number = which % self.made if old else self.made
        conversation = CONVERSATIONS[number % 3 if old else who % 3]
        written = entry(self.made, conversation, report_to="shop")
        scope = f"shop:inbound:{number}"
        known = Known(written.message.id, conversation, "inbound", "shop")
        state = self.model.accept(known, scope, BOT, follow=True, price=5)
        entered = self.store.mailboxes.accept(
            Acceptance(entry=written, scope=scope, follow=True, cost=Cost("inbound", 5, ("SM1",)))
        )
        assert entered.state == state
        assert entered.message_id == self.model.seen[scope]
        self._owed(entered.wakes)
        if at_once:
            self._arrive(-1)

    @rule(who=some, wants=st.booleans(), confirmed=st.booleans())
    def a_customer_states_what_he_wants(self, who: int, wants: bool, confirmed: bool) -> None:
        """STOP or START, with an answer that goes out all the same."""
        conversation, number = CONVERSATIONS[who % 3], self._number()
        written = entry(number, conversation)
        written = replace(written, message=replace(written.message, metadata={"opt_out": "STOP"}))
        answer = replace(entry(self._number(), conversation, "outbound"), exempt=True) if confirmed else None
        self.model.consent(conversation, wants)
        scope = f"shop:inbound:{number}"
        known = Known(written.message.id, conversation, "inbound", "", is_command=True)
        assert self.model.accept(known, scope, BOT, follow=True) == "ok"
        if answer:
            self.model.append(answer)
        stated = ConsentStatement("in" if wants else "out", "the customer", answer)
        self._owed(
            self.store.mailboxes.accept(Acceptance(entry=written, scope=scope, follow=True, consent=stated)).wakes
        )

    @rule(who=some)
    def an_agent_writes_and_takes_over(self, who: int) -> None:
        """Often while the bot has a message of that conversation in hand."""
        self.made += 1
        at_bot = [claim.conversation for drain, claim in self.working if drain.lane == BOT] or CONVERSATIONS
        conversation = at_bot[who % len(at_bot)]
        written = entry(self.made, conversation, "outbound", report_to="desk")
        scope = f"desk:written:{self.made}"
        known = Known(written.message.id, conversation, "outbound", "desk")
        assert self.model.accept(known, scope, SHOP, take="desk") == "ok"
        self._owed(
            self.store.mailboxes.accept(Acceptance(entry=written, scope=scope, responder=Responder("desk"))).wakes
        )

    @rule(who=some, count=st.integers(1, 3))
    def an_application_broadcasts(self, who: int, count: int) -> None:
        for number in range(count):
            made, conversation = self._number(), CONVERSATIONS[(who + number // 2) % 3]
            written = replace(entry(made, conversation, "outbound"), bulk=True)
            known = Known(written.message.id, conversation, "outbound", "", bulk=True)
            assert self.model.accept(known, f"app:{made}", SHOP) == "ok"
            self._owed(self.store.mailboxes.accept(Acceptance(entry=written, scope=f"app:{made}")).wakes)

    @rule(who=some, people=st.sampled_from([True, True, False]), fate=st.sampled_from(["late", "at once", "lost"]))
    def somebody_writes_in_a_chat(self, who: int, people: bool, fate: str) -> None:
        """People, or the customer through us; the desk's platform tells of both."""
        conversation = CONVERSATIONS[who % 3]
        lines = self.lines[conversation]
        lines.append(people)
        if fate != "lost":
            self.hooks.append((conversation, len(lines) - 1))
        if fate == "at once":
            self.a_chats_webhook_arrives(-1, False)

    @precondition(lambda self: self.hooks)
    @rule(which=some, again=st.booleans())
    def a_chats_webhook_arrives(self, which: int, again: bool) -> None:
        """In any order, and perhaps once more later."""
        conversation, index = hook = self.hooks.pop(which % len(self.hooks))
        if again:
            self.hooks.append(hook)
        if not self.lines[conversation][index]:
            self._look(conversation, index)
            return
        line = self._line(conversation, index)
        known = Known(line.message.id, conversation, "outbound", "desk")
        place = Place(chat_of(conversation), DESK, index)
        state = self.model.accept(known, line.scope, SHOP, place=place)
        entered = self.store.mailboxes.accept(
            Acceptance(entry=line, scope=line.scope, responder=Responder("desk", seize=False), place=place)
        )
        assert entered.state == state
        assert entered.message_id == self.model.seen.get(line.scope, "")
        self._owed(entered.wakes)

    @rule(who=some)
    def a_chat_changes(self, who: int) -> None:
        self._look(CONVERSATIONS[who % 3], None)

    @precondition(lambda self: self.model.messages)
    @rule(which=some, status=st.sampled_from(STATUSES[1:]), ours=st.booleans())
    def a_platform_reports(self, which: int, status: Status, ours: bool) -> None:
        """By our id or by its own, which may overtake the receipt; in any order, any number of times."""
        at_work = [claim.item.message_id for _, claim in self.working if isinstance(claim.item, Deliver)]
        at_work = [one for one in at_work if one in self.model.messages]
        about = at_work if at_work and not ours else list(self.model.messages)
        known = self.model.messages[about[which % len(about)]]
        scope = platform_id(known)
        expected = self.model.report(known.id if ours else None, scope, status)
        owner = "shop/" if known.direction == "outbound" else ""
        ref = known.id if ours else scope
        state, wakes = self.store.messages.report(ref, status, scope=scope, direction=known.direction, owner=owner)
        assert state == expected
        self._owed(wakes)

    @precondition(lambda self: self._outbound())
    @rule(which=some)
    def an_application_calls_a_message_off(self, which: int) -> None:
        known = self._outbound()[which % len(self._outbound())]
        expected = self.model.cancel(known)
        done, wakes = self.store.messages.cancel(known.conversation, [known.id], "canceled")
        assert done is expected
        self._owed(wakes)

    @precondition(lambda self: self.model.messages)
    @rule(which=some, nanos=st.integers(0, 9))
    def a_platform_tells_a_price(self, which: int, nanos: int) -> None:
        """Of any message, also of one that it was not asked for, any number of times."""
        about = list(self.model.messages)[which % len(self.model.messages)]
        assert self.store.costs.reported(about, nanos) is self.model.price(about, nanos)

    # the work

    @precondition(lambda self: self.flying)
    @rule(which=some, crowded=st.sampled_from([False, False, False, True]), solitude=solitudes)
    def a_wake_up_arrives(self, which: int, crowded: bool, solitude: Solitude) -> None:
        """Perhaps where the lane has its share of the threads already."""
        self._arrive(which, crowded=crowded, solitude=solitude)

    @precondition(lambda self: self._suspects())
    @rule(which=some)
    def a_suspect_is_tried_alone(self, which: int) -> None:
        """Whoever has it in hand has nothing else any more."""
        place = self._suspects()[which % len(self._suspects())]
        drain, claim = self.working[place]
        held = self.model.owns(claim)
        if held:
            self.model.begin(claim, int(LEASE * 1000))
        assert self.store.mailboxes.begin(claim, LEASE) is held
        self.working[place] = drain, replace(claim, suspect=False)

    @precondition(lambda self: self.working)
    @rule(
        which=some,
        status=st.sampled_from([None, *LADDER]),
        replies=some,
        named=st.sampled_from([True, True, False]),
        effect=well,
        sight=sights,
    )
    def work_is_done(
        self, which: int, status: Status | None, replies: int, named: bool, effect: Effect, sight: Seen
    ) -> None:
        drain, claim = self._hand(which)
        known = self.model.messages.get(item_text(claim.item).removeprefix("message "))
        more = replies % 3 if drain.lane == BOT else 0
        ended = AppendItem(mailbox_of(claim.conversation, "outbound"), SHOP, TellEnd(str(self._number())))
        reports = mailbox_of(claim.conversation, "status:desk")
        once = AppendItem(reports, "status:desk", Record(str(self._number())), scope=f"bot:record:{which % 9}")
        settlement = Done(
            claim,
            status=status,
            scope=platform_id(known) if known and named else "",
            append=(
                *(entry(self._number(), claim.conversation, "outbound") for _ in range(more)),
                *self._missed(claim),
                *((ended,) if isinstance(claim.item, End) and drain.lane in (BOT, DESK) else ()),
                *((once,) if drain.lane == BOT else ()),
            ),
            session=self._session(claim, drain.lane.partition(":")[2]) if drain.lane in (BOT, DESK) else None,
            thread=self.looks.get(claim.owner),
            poll_in=replies % 4 if drain.lane == DESK else None,
            lane=LaneEffect(effect, which % 3 + 0.5),
            cost={BOT: Cost("turn:bot", 2), SHOP: Cost("outbound", 7, ("SM1",))}.get(drain.lane) if known else None,
        )
        self._step(drain, settlement, seen=self._sight(claim, sight, which))

    @precondition(lambda self: self.working)
    @rule(
        which=some,
        due=st.sampled_from([0.0, 0.5, 2.0]),
        how=st.tuples(st.booleans(), st.booleans()),
        effect=ill,
        why=falls,
        sight=sights,
    )
    def work_fails(
        self, which: int, due: float, how: tuple[bool, bool], effect: Effect, why: Falls, sight: Seen
    ) -> None:
        """`how`: whether the try counts, and whether it may have been carried out."""
        drain, claim = self._hand(which)
        lane = LaneEffect(effect, which % 3 + 0.5, falls=why if effect in ("sick", "pause") else "")
        seen = self._sight(claim, sight, which)
        if claim.attempt > 3:
            self._step(drain, Dead(claim, reason="unavailable", lane=lane), seen=seen)
        else:
            self._step(drain, Retry(claim, due=due, counts=how[0], uncertain=how[1], lane=lane), seen=seen)

    @precondition(lambda self: self.working)
    @rule(
        which=some,
        how=st.sampled_from(
            [
                "rejected",
                "its time slice ends",
                "its thread is another lane's",
                "its lease is renewed",
                "its worker dies",
            ]
        ),
    )
    def work_ends_otherwise(self, which: int, how: str) -> None:
        drain, claim = self._hand(which)
        if how == "rejected":
            self._step(drain, Dead(claim, reason="rejected", error="no"))
        elif how == "its time slice ends":
            self._step(drain, Done(claim), go_on=False)
        elif how == "its thread is another lane's":
            self._step(drain, Done(claim), crowded=True)
        elif how == "its lease is renewed":
            self.working.append((drain, claim))
            held = self.model.owns(claim)
            if held:
                self.model.remember(claim, int(LEASE * 1000), progress={"part": which})
            assert self.store.mailboxes.remember(claim, LEASE, Achieved(progress={"part": which})) is held

    @precondition(lambda self: self._inbound())
    @rule(which=some, watch=st.sampled_from([0.0, 0.5, 2.0]))
    def work_opens_a_chat(self, which: int, watch: float) -> None:
        """The session knows it at once, unless somebody else took over."""
        drain, claim = self.working[self._inbound()[which % len(self._inbound())]]
        change = self._session(claim, drain.lane.partition(":")[2])
        chat = ThreadState(chat_of(claim.conversation), -1)
        held = self.model.owns(claim)
        if held:
            self.model.remember(claim, int(LEASE * 1000), session=change, chat=chat, watch=watch)
        kept = self.store.mailboxes.remember(claim, LEASE, Achieved(session=change.session, thread=chat, poll_in=watch))
        assert kept is held

    @precondition(lambda self: self._inbound())
    @rule(which=some, most=st.integers(0, 4))
    def several_messages_are_asked_as_one(self, which: int, most: int) -> None:
        """Whoever works the head reads what is behind it and keeps what makes the question, before it asks."""
        place = self._inbound()[which % len(self._inbound())]
        drain, claim = self.working[place]
        if not isinstance(claim.item, Deliver) or claim.asked:
            return
        held = self.model.owns(claim)
        found = self.store.mailboxes.following(claim, 3)
        if held:
            behind, items = self.model.behind(claim)
            assert ([one.id for one in found.messages], found.items) == (behind[:3], items)
        asked = (claim.item.message_id, *(one.id for one in found.messages[:most]))
        if held:
            self.model.ask(claim, int(LEASE * 1000), list(asked))
        assert self.store.mailboxes.remember(claim, LEASE, Achieved(asked=asked)) is held
        self.working[place] = drain, replace(claim, asked=asked)

    @precondition(lambda self: self._inbound())
    @rule(which=some)
    def something_must_be_done_first(self, which: int) -> None:
        drain, claim = self._hand(self._inbound()[which % len(self._inbound())])
        self._step(drain, Behind(claim, front=items("ended silence"), lane=SILENT))

    @precondition(lambda self: self._inbound())
    @rule(which=some, how=st.sampled_from(["elsewhere", "handoff", "late handoff"]))
    def the_conversation_changes_hands(self, which: int, how: str) -> None:
        """It turns out to be elsewhere, or the bot hands over, perhaps with a message that it answered too late."""
        drain, claim = self._hand(self._inbound()[which % len(self._inbound())])
        if how == "elsewhere":
            target = DESK if drain.lane == BOT else BOT
            self._step(drain, Reroute(claim, target, lane=SILENT))
            return
        late = how == "late handoff" and isinstance(claim.item, Deliver)
        front = map(Deliver, claim.asked) if claim.asked else (claim.item,)
        front = (Handoff(), *(front if late else ()))
        self._step(drain, Done(claim, front=front, session=self._session(claim, "desk", hands=True)))

    # the operator

    @precondition(lambda self: self.letters)
    @rule(which=some)
    def the_operator_replays(self, which: int) -> None:
        number = which % len(self.letters)
        self.model.replay(number)
        state, wakes = self.store.dead_letters.replay(self.letters.pop(number))
        assert state == "ok"
        self._owed(wakes)

    @precondition(lambda self: self.letters)
    @rule(which=some)
    def the_operator_discards(self, which: int) -> None:
        number = which % len(self.letters)
        self.model.discard(number)
        assert self.store.dead_letters.discard(self.letters.pop(number))

    # what always holds

    @invariant()
    def redis_holds_what_the_model_says(self) -> None:
        found = held(self.client)
        self.mailboxes_are_those_of_the_model_and_leave_no_key_behind(found)
        self.every_mailbox_is_either_ready_or_leased_in_its_own_lane(found)
        self.no_lane_has_more_drains_or_leases_than_it_may(found)
        self.every_lane_has_the_pace_of_the_model(found)
        self.every_acknowledged_message_is_in_exactly_one_place(found)
        self.chats_are_looked_at_when_the_model_says(found)

    def mailboxes_are_those_of_the_model_and_leave_no_key_behind(self, found: Held) -> None:
        boxes = self.model.boxes
        assert found.named("q:") == {f"q:{name}" for name in boxes}
        assert found.named("b:") == {f"b:{name}" for name in boxes}
        assert {name: found.values[f"q:{name}"] for name in boxes} == {name: box.items for name, box in boxes.items()}

    def every_mailbox_is_either_ready_or_leased_in_its_own_lane(self, found: Held) -> None:
        for lane in LANES:
            mine = {name: box for name, box in self.model.boxes.items() if box.lane == lane}
            waiting = {name: box.due for name, box in mine.items() if not box.owner}
            assert found.scores("ready", lane) == {name: due for name, due in waiting.items() if not is_bulk(name)}
            assert found.scores("bulk", lane) == {name: due for name, due in waiting.items() if is_bulk(name)}
            assert found.scores("leased", lane) == {name: box.until for name, box in mine.items() if box.owner}
            backlog = int(found.values.get(f"lane:{lane}", {}).get("backlog", 0))
            assert backlog == sum(len(box.items) for box in mine.values())

    def no_lane_has_more_drains_or_leases_than_it_may(self, found: Held) -> None:
        """What was handed out at a greater pace may still be at work."""
        for lane, cap in LANES.items():
            limit = cap or MOST
            alive = {token: until for token, until in found.scores("drains", lane).items() if until > self.clock()}
            owed = {token: until for token, until in self.model.lanes[lane].drains.items() if until > self.clock()}
            assert alive == owed
            assert len(alive) <= limit
            assert len(found.scores("leased", lane)) <= limit

    def every_lane_has_the_pace_of_the_model(self, found: Held) -> None:
        for lane, known in self.model.lanes.items():
            fields = found.values.get(f"lane:{lane}", {})
            pace = known.pace
            assert fields.get("fell_why", "") == pace.fell_why
            if pace.turn:  # it was looked at, or fell
                said = {name: float(fields[name]) for name in PACE}
                assert said == pytest.approx({name: getattr(pace, name) for name in PACE}, abs=0.011), lane
            else:
                assert int(fields.get("pace", START)) == pace.pace

    def every_acknowledged_message_is_in_exactly_one_place(self, found: Held) -> None:
        waiting = [item for name in self.model.boxes for item in found.values[f"q:{name}"]]
        places = Counter(
            [*waiting, *(f"message {one}" for letter in self._letters() for one in (letter.message_id, *letter.also))]
        )
        for known in self.model.messages.values():
            assert places[f"message {known.id}"] + (known.state in ("settled", "discarded")) == 1, known
            kept = found.expiries[f"m:{known.id}"]
            assert kept == -1 if known.state in ("waiting", "dead") else kept > 0, known
        assert not {f"m:{known.id}" for known in self.model.forgotten} & found.named("m:")

    def chats_are_looked_at_when_the_model_says(self, found: Held) -> None:
        assert found.scores("watch") == self.model.watch

    @invariant()
    def statuses_only_climb_and_so_do_the_reports_about_them(self) -> None:
        records = self.store.messages.read_many(list(self.model.messages))
        for record, known in zip(records, self.model.messages.values(), strict=True):
            assert record is not None
            assert record.status == known.status
            ranks = [rank(status) for status in known.told]
            assert ranks == sorted(set(ranks)), known

    @invariant()
    def sums_of_costs_are_those_of_the_models_messages(self) -> None:
        sums = dict.fromkeys(CONVERSATIONS, 0)
        for known in (*self.model.messages.values(), *self.model.forgotten):
            sums[known.conversation] += known.cost
        assert sums == {one: (self.store.costs.conversation(one) or Costs()).total for one in CONVERSATIONS}

    @invariant()
    def sessions_are_those_of_the_model(self) -> None:
        for conversation in CONVERSATIONS:
            session = self.store.sessions.read(conversation)
            held = self.model.sessions.get(conversation)
            assert (session and (session.destination, session.version, session.thread)) == (
                held and (held.destination, held.version, held.chat)
            )

    @invariant()
    def chats_are_those_of_the_model(self) -> None:
        for conversation in CONVERSATIONS:
            name = chat_of(conversation)
            if name in self.model.chats:
                chat = self.model.chats[name]
                assert self.store.mailboxes.thread(name) == ThreadState(name, chat.seen, chat.read)

    @invariant()
    def what_people_write_in_a_chat_goes_out_once_and_in_order(self) -> None:
        for name, chat in self.model.chats.items():
            assert len(set(chat.carried)) == len(chat.carried), name
            in_turn = [index for index in chat.carried if index not in chat.early]
            assert in_turn == sorted(in_turn), name

    def teardown(self) -> None:
        """Whatever happened: with time, the tick and willing workers, everything that waits is worked, and a last look
        at each chat brings what no webhook told of."""
        assert strays(self.client) == []
        self.working.clear()
        self.flying.clear()
        for conversation in CONVERSATIONS:
            self._look(conversation, None)
        for _ in range(200):
            if not self.model.boxes:
                break
            self.time_passes(int(LEASE * 2), True)
            while self.flying or self.working:
                if self.working:
                    drain, claim = self._hand(0)
                    found = Done(claim, append=self._missed(claim), thread=self.looks.get(claim.owner))
                    self._step(drain, found)
                else:
                    self._arrive(0)
        assert not self.model.boxes, "something is stranded"
        for conversation, lines in self.lines.items():
            carried = self.model.chats[chat_of(conversation)].carried if lines else []
            assert sorted(carried) == [index for index, people in enumerate(lines) if people]
        self.what_people_write_in_a_chat_goes_out_once_and_in_order()
        self.redis_holds_what_the_model_says()
        self.every_message_costs_what_the_model_says()
        assert strays(self.client) == []

    def every_message_costs_what_the_model_says(self) -> None:
        costs = {known.id: (known.cost, known.turns) for known in self.model.messages.values()}
        found = {one: self.store.costs.message(one) for one in costs}
        assert costs == {one: (each.message + each.turns, each.turns) for one, each in found.items() if each}
        today = day_of(self.clock() // 86_400_000)
        forgotten = sum(known.cost for known in self.model.forgotten)
        assert forgotten + sum(cost for cost, _ in costs.values()) == sum(
            row.total for row in self.store.costs.days(today, today)
        )

    # how the machine moves

    def _step(
        self,
        drain: Drain,
        outcome: Outcome | None,
        *,
        go_on: bool = True,
        crowded: bool = False,
        seen: Seen | None = None,
        solitude: Solitude = "kept",
    ) -> None:
        """One script call; the store must answer as the model does."""
        stale = outcome is not None and not self.model.owns(outcome.claim)
        if outcome and not stale:
            self.model.settle(outcome, seen)
        well = seen if outcome and not stale and outcome.lane.kind == "ok" else None
        state, mailbox = self.model.claim(
            *(drain.lane, drain.token, int(LEASE * 1000)), go_on=go_on, crowded=crowded, seen=well, solitude=solitude
        )
        claim = drain.step(outcome, go_on=go_on, crowded=crowded, seen=seen, solitude=solitude)
        assert drain.worked.stale is stale
        assert drain.worked.more is (state == "more")
        assert (claim is not None) is (state == "claimed"), (state, claim)
        if claim:
            self._check(claim, mailbox, solitude)
            if isinstance(claim.item, Poll):
                known = self.store.mailboxes.thread(chat_of(claim.conversation))
                last = len(self.lines[claim.conversation]) - 1
                self.looks[claim.owner] = replace(known, seen=max(last, -1 if known.seen is None else known.seen))
                self.began[claim.owner] = known.seen
            self.model.claimed_by(mailbox, claim.owner)
            self.working.append((drain, claim))
        if state == "more":
            self.flying.append(Wake(drain.lane, drain.token))
        self._owed(drain.worked.wakes)

    def _arrive(self, which: int, *, crowded: bool = False, solitude: Solitude = "kept") -> None:
        """One of the wake-ups becomes a drain."""
        if self.flying:
            wake = self.flying.pop(which % len(self.flying))
            drain = Drain(
                self.store,
                wake.lane,
                wake.token,
                lease=LEASE,
                rate=RATES.get(wake.lane, 0.0),
                expire_after=EXPIRE.get(wake.lane, 0.0),
                rate_each=EACH.get(wake.lane, 0.0),
            )
            self._step(drain, None, crowded=crowded, solitude=solitude)

    def _check(self, claim: Claim, mailbox: str, solitude: Solitude) -> None:
        box = self.model.boxes[mailbox]
        assert (claim.mailbox, item_text(claim.item)) == (mailbox, box.items[0])
        assert claim.suspect <= (solitude == "possible")
        assert claim.suspect <= (box.claims > 0)
        assert claim.attempt == box.attempts + box.claims + claim.suspect
        assert claim.uncertain is (box.uncertain or box.claims + claim.suspect > 1)
        assert solitude != "impossible" or box.claims == 1, "a suspect waits for a time when it is alone"
        assert claim.progress == box.progress
        assert claim.asked == tuple(box.asked)
        assert claim.turn == self.model.lanes[box.lane].pace.turn
        held = self.model.sessions.get(claim.conversation) if not box.lane.startswith("outbound:") else None
        assert (claim.session and claim.session.destination) == (held and held.destination)
        if isinstance(claim.item, Deliver):
            known = self.model.messages[claim.item.message_id]
            assert claim.message is not None
            assert (claim.message.id, claim.status) == (known.id, known.status)

    def _owed(self, wakes: tuple[Wake, ...]) -> None:
        """The wake-ups that the model expects, no more and no fewer; the tokens are the store's."""
        assert sorted(wake.lane for wake in wakes) == sorted(self.model.woken)
        self.model.woken.clear()
        for lane in self.model.lanes.values():
            for token in [token for token in lane.drains if token.startswith("owed ")]:
                lane.drains.pop(token)
        for wake in wakes:
            self.model.lanes[wake.lane].drains[wake.token] = self.clock() + 5_000
        self.flying += wakes
        known = {letter.id for letter in self._letters()}
        self.letters = [one for one in self.letters if one in known]
        self.letters += sorted(known - set(self.letters), key=lambda one: int(one.partition("-")[2]))

    def _sight(self, claim: Claim, sight: Seen, which: int) -> Seen:
        """Of a worker that has heard of the claim's turn, and perhaps of a later one."""
        turn = (
            self.model.lanes[self.model.boxes[claim.mailbox].lane].pace.turn if self.model.owns(claim) else claim.turn
        )
        return replace(sight, turn=turn if which % 2 else claim.turn)

    def _hand(self, which: int) -> tuple[Drain, Claim]:
        return self.working.pop(which % len(self.working))

    def _inbound(self) -> list[int]:
        return [number for number, (drain, _) in enumerate(self.working) if drain.lane in (BOT, DESK)]

    def _suspects(self) -> list[int]:
        return [number for number, (_, claim) in enumerate(self.working) if claim.suspect]

    def _outbound(self) -> list[Known]:
        return [known for known in self.model.messages.values() if known.direction == "outbound"]

    def _look(self, conversation: str, index: int | None) -> None:
        place = Place(chat_of(conversation), DESK, index)
        self.model.look(conversation, place)
        self._owed(self.store.mailboxes.changed(conversation, place))

    def _line(self, conversation: str, index: int) -> Append:
        """A line of the chat, under another id of ours each time."""
        name = chat_of(conversation)
        made = entry(self._number(), conversation, "outbound", report_to="desk")
        message = replace(made.message, metadata={"chat": name, "index": index})
        return replace(made, message=message, scope=f"desk:written:{name}/{index}")

    def _missed(self, claim: Claim) -> tuple[Append, ...]:
        """What whoever works a `check` saw in the chat when they began."""
        looked, began = self.looks.get(claim.owner), self.began.get(claim.owner)
        if looked is None or looked.seen is None or began is None:
            return ()
        lines = self.lines[claim.conversation]
        found = [index for index in range(began + 1, looked.seen + 1) if lines[index]]
        return tuple(self._line(claim.conversation, index) for index in found)

    def _session(self, claim: Claim, destination: str, *, hands: bool = False) -> SessionChange:
        version = claim.session.version if claim.session else 0
        chat = chat_of(claim.conversation).partition(":")[2]
        handles = {"chat": chat} if destination == "desk" else {}
        return SessionChange(Session(destination, handles=handles, version=version), changes_hands=hands)

    def _number(self) -> int:
        self.made += 1
        return self.made

    def _letters(self) -> list[DeadLetter]:
        return self.store.dead_letters.newest()


def chat_of(conversation: str) -> str:
    """Both names of a conversation's chat at the desk."""
    return f"desk:CH-{conversation.rpartition(':')[2]}"


def platform_id(known: Known) -> str:
    """The id that the platform which got a message gave it, with its name space."""
    where = "shop:outbound" if known.direction == "outbound" else "desk:inbound"
    return f"{where}:its-{known.id}"


def rank(status: str) -> float:
    """`failed` may come after `sent`, and only proof of delivery after it."""
    return 1.5 if status == "failed" else LADDER.index(status)  # type: ignore[arg-type]  # a status


# Three tests in place of a long one, as processes share them; hypothesis draws other examples for each.
@pytest.mark.parametrize("part", range(3))
def test_any_interleaving_keeps_every_promise(machine_client: redis.Redis, part: int) -> None:
    Engine.client = machine_client
    run_state_machine_as_test(Engine, settings=PROFILE)
