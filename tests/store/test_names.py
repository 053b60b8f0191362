"""One person under several addresses: one conversation, whichever of them a webhook names."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Responder
from app.core.costs import Cost
from app.core.session import Session
from app.core.work import Dead, Done, SessionChange, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import BOT, DESK, LANES, SHOP, Drain, append, entry, item, key, keys, queued, write
from tests.support.examples import examples
from tests.support.gateway import Clock

NUMBER, IDENT, THIRD = "shop/whatsapp:+15551230001", 'shop/whatsapp:US.13"ü/1', "shop/whatsapp:DE.4"


def customer(conversation: str) -> str:
    return conversation.partition("/")[2]


def claims(store: Store, lane: str = BOT, token: str = "a-token") -> list[tuple[str, str]]:
    """Work all that is due: (conversation, item)."""
    drain, found = Drain(store, lane, token), []
    claim = drain.step()
    while claim:
        found.append((claim.conversation, item_text(claim.item)))
        claim = drain.step(Done(claim))
    return found


def has_session(store: Store, number: int, conversation: str, destination: str, **handles: str) -> None:
    """Its message `number` is worked, and leaves a session."""
    write(store, number, conversation)
    drain = Drain(store)
    claim = drain.claim()
    session = Session(destination, handles=handles)
    drain.step(Done(claim, session=SessionChange(session, changes_hands=True)))


class TestOnceBothAreNamed:
    def test_what_was_given_up_before_is_replayed_in_the_conversation_that_goes_on(self, store: Store) -> None:
        write(store, 1, IDENT)
        Drain(store).step(Dead(Drain(store).claim(), reason="rejected"))
        write(store, 2, NUMBER)
        assert [(NUMBER, item(2))] == claims(store)
        write(store, 3, NUMBER, same_person=[IDENT])
        store.dead_letters.replay(store.dead_letters.newest()[0].id)
        assert [(NUMBER, item(3)), (NUMBER, item(1))] == claims(store)
        record = store.messages.read(f"{1:032x}")
        assert record is not None
        assert NUMBER == record.message.conversation

    @pytest.mark.parametrize("first", [NUMBER, IDENT], ids=["the number", "the id"])
    def test_either_leads_to_the_conversation_that_was_known_first(self, first: str, store: Store) -> None:
        second = IDENT if first == NUMBER else NUMBER
        write(store, 1, first)
        write(store, 2, second, same_person=[first])
        write(store, 3, first)
        write(store, 4, second)
        assert [(first, item(n)) for n in (1, 2, 3, 4)] == claims(store)

    def test_the_one_that_wrote_is_first_where_neither_was_known(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        write(store, 2, IDENT)
        assert [(NUMBER, item(1)), (NUMBER, item(2))] == claims(store)

    def test_the_message_is_its_conversations_own(self, store: Store) -> None:
        """Whoever it is brought to knows the customer by one name."""
        write(store, 1, NUMBER)
        entered = write(store, 2, IDENT, same_person=[NUMBER])
        record = store.messages.read(entered.message_id)
        assert record is not None
        assert NUMBER == record.message.conversation
        assert replace(entry(2, IDENT).message, customer=customer(NUMBER)) == record.message
        assert [f"{n:032x}" for n in (1, 2)] == [one.message.id for one in store.messages.timeline(NUMBER)]
        assert [] == store.messages.timeline(IDENT)

    def test_answers_go_to_the_address_that_wrote_last(self, store: Store) -> None:
        sent = []
        for number, names in ((NUMBER, []), (IDENT, [NUMBER]), (NUMBER, []), (IDENT, [])):
            write(store, len(sent) + 1, number, same_person=names)
            drain = Drain(store)
            claim = drain.claim()
            reply = entry(len(sent) + 50, claim.conversation, "outbound")
            drain.step(Done(claim, append=(reply,)))
            out = Drain(store, SHOP)
            claim = out.claim()
            sent.append((claim.conversation, claim.to))
            out.step(Done(claim))
        assert [(NUMBER, to) for to in ("", customer(IDENT), customer(NUMBER), customer(IDENT))] == sent

    def test_whoever_writes_to_either_reaches_the_conversation(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        write(store, 2, IDENT, direction="outbound")
        append(store, IDENT, "outbound", SHOP, "typing @1")
        assert [(NUMBER, item(2)), (NUMBER, "typing @1")] == claims(store, SHOP)
        assert customer(NUMBER) == _to(store, 3)

    def test_an_end_by_either_ends_the_session(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        append(store, IDENT, "inbound", BOT, "ended", follow=True)
        assert [(NUMBER, item(1)), (NUMBER, "ended")] == claims(store)

    def test_a_wish_by_either_is_the_persons(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        write(store, 2, IDENT, consent=ConsentStatement("out", "the customer wrote STOP"))
        assert ["out", "out"] == [_state(store, one) for one in (NUMBER, IDENT)]
        store.consents.write(IDENT, "in", "an operator set it")
        assert ["in", "in"] == [_state(store, one) for one in (NUMBER, IDENT)]

    def test_costs_of_either_are_the_persons(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT], cost=Cost("inbound", 5, ()))
        write(store, 2, IDENT, cost=Cost("inbound", 7, ()))
        for one in (NUMBER, IDENT):
            found = store.costs.conversation(one)
            assert found is not None
            assert 12 == found.inbound

    def test_a_repeated_webhook_is_a_duplicate_under_either_name(self, store: Store) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        assert "duplicate" == write(store, 2, IDENT, same_person=[NUMBER], scope="shop:inbound:1").state

    @pytest.mark.parametrize("limits", [Limits(mailbox=1)], ids=["full"])
    def test_a_full_mailbox_is_that_of_the_person(self, store: Store) -> None:
        write(store, 1, NUMBER)
        assert "mailbox_full" == write(store, 2, IDENT, same_person=[NUMBER]).state
        assert "mailbox_full" == write(store, 3, IDENT).state

    def test_three_names_are_one_person_however_they_were_learnt(self, store: Store) -> None:
        write(store, 1, THIRD)
        write(store, 2, NUMBER, same_person=[IDENT])
        write(store, 3, IDENT, same_person=[THIRD])
        assert 3 == len(claims(store))
        for number, one in enumerate((NUMBER, IDENT, THIRD), 4):
            write(store, number, one)
        assert 1 == len({conversation for conversation, _ in claims(store)})

    @pytest.mark.parametrize("limits", [Limits(session_keep=100)], ids=["short"])
    def test_names_are_forgotten_like_sessions_and_all_of_them_live_on_with_one(
        self, store: Store, client: redis.Redis
    ) -> None:
        write(store, 1, NUMBER, same_person=[IDENT])
        marks = [key("n", NUMBER), key("n", IDENT), key("w", NUMBER), key("to", NUMBER)]
        assert all(0 < client.ttl(mark) <= 100 for mark in marks)
        for mark in marks:
            client.expire(mark, 10)
        write(store, 2, NUMBER)
        assert all(90 < client.ttl(mark) <= 100 for mark in marks)

    def test_whoever_has_one_address_leaves_no_marks(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, NUMBER)
        claims(store)
        assert [] == [name for name in keys(client) if name.partition(":")[0] in ("n", "w", "to")]

    def test_whoever_has_one_address_is_looked_up_along_with_the_marks(
        self, real_store: Store, redis_client: redis.Redis
    ) -> None:
        """Every message passes here, and nearly all of them are of somebody with one address."""
        redis_client.config_resetstat()
        write(real_store, 1, NUMBER, second_scope="shop:token:1", cost=Cost("inbound", 5, ()))
        asked = redis_client.info("commandstats")
        assert (0, 1) == tuple(asked.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("get", "mget"))


class TestTwoThatWereKnownApart:
    def test_where_somebody_spoke_last_it_goes_on(self, store: Store, clock: Clock) -> None:
        has_session(store, 1, NUMBER, "bot")
        clock.advance(60)
        has_session(store, 2, IDENT, "desk")
        write(store, 3, NUMBER, same_person=[IDENT], follow=True)
        assert [(IDENT, item(3))] == claims(store, DESK)

    def test_what_waits_in_the_other_one_is_worked_in_its_order_and_answered(self, store: Store, clock: Clock) -> None:
        has_session(store, 1, NUMBER, "bot", dialogue="d1")
        clock.advance(60)
        has_session(store, 2, IDENT, "bot", dialogue="d2")
        for number in (3, 4):
            write(store, number, NUMBER)
        write(store, 5, NUMBER, same_person=[IDENT])
        drain, worked = Drain(store), []
        claim = drain.step()
        while claim:
            assert claim.session is not None
            worked.append((item_text(claim.item), claim.session.handles["dialogue"]))
            reply = entry(50 + len(worked), claim.conversation, "outbound")
            claim = drain.step(Done(claim, append=(reply,)))
        assert [(item(3), "d1"), (item(4), "d1"), (item(5), "d2")] == sorted(worked)
        assert worked.index((item(3), "d1")) < worked.index((item(4), "d1"))
        assert [(IDENT, item(n)) for n in (51, 52, 53)] == claims(store, SHOP)

    def test_a_reply_that_waits_in_the_other_one_goes_to_the_address_that_wrote_last(self, store: Store) -> None:
        write(store, 1, NUMBER)
        write(store, 2, NUMBER, direction="outbound")
        has_session(store, 3, IDENT, "bot")
        write(store, 4, IDENT, same_person=[NUMBER])
        claim = Drain(store, SHOP).claim()
        assert (NUMBER, customer(IDENT)) == (claim.conversation, claim.to)

    def test_a_chat_that_is_open_in_the_other_one_is_closed_behind_what_waits(self, store: Store, clock: Clock) -> None:
        has_session(store, 1, NUMBER, "desk", chat="CH1")
        write(store, 2, NUMBER, follow=True)
        clock.advance(60)
        has_session(store, 3, IDENT, "bot")
        write(store, 4, IDENT, same_person=[NUMBER])
        assert [(NUMBER, item(2)), (NUMBER, "ended")] == claims(store, DESK)

    def test_agents_in_the_other_ones_chat_reach_the_customer(self, store: Store, clock: Clock) -> None:
        has_session(store, 1, NUMBER, "desk", chat="CH1")
        clock.advance(60)
        has_session(store, 2, IDENT, "desk", chat="CH2")
        write(store, 3, IDENT, same_person=[NUMBER])
        write(store, 4, NUMBER, direction="outbound", responder=Responder("desk"))
        assert [(IDENT, item(4))] == claims(store, SHOP)

    def test_what_was_said_in_both_is_told_in_time(self, store: Store, clock: Clock) -> None:
        for number, one in enumerate((NUMBER, IDENT, NUMBER, IDENT), 1):
            made = entry(number, one)
            made = replace(made, message=replace(made.message, at=clock()))
            store.mailboxes.accept(Acceptance(entry=made, scope=f"shop:inbound:{number}"))
            clock.advance(1)
        write(store, 5, IDENT, same_person=[NUMBER])
        said = [record.message.id for record in store.messages.timeline(IDENT)]
        assert [f"{n:032x}" for n in (1, 2, 3, 4, 5)] == said

    @pytest.mark.parametrize(
        ("ours", "theirs", "expected"),
        [("out", "in", "in"), ("in", "out", "out"), (None, "out", "out"), ("out", None, "out")],
    )
    def test_the_last_wish_counts(
        self, ours: str | None, theirs: str | None, expected: str, store: Store, clock: Clock
    ) -> None:
        for one, wish in ((NUMBER, ours), (IDENT, theirs)):
            clock.advance(1)
            if wish:
                store.consents.write(one, wish, "an operator set it")  # type: ignore[arg-type]  # a state
        clock.advance(1)
        write(store, 1, NUMBER, same_person=[IDENT])
        assert [expected] * 2 == [_state(store, one) for one in (NUMBER, IDENT)]

    def test_a_platform_that_refuses_a_message_of_before_for_an_opt_out_speaks_of_the_person(
        self, store: Store, clock: Clock
    ) -> None:
        write(store, 1, NUMBER, direction="outbound")
        clock.advance(1)
        has_session(store, 2, IDENT, "bot")
        write(store, 3, IDENT, same_person=[NUMBER])
        drain = Drain(store, SHOP)
        claim = drain.claim()
        assert NUMBER == claim.conversation
        drain.step(Done(claim, status="failed", error="opted_out: he wrote STOP"))
        assert "out" == _state(store, IDENT)

    def test_the_costs_of_both_are_added(self, store: Store) -> None:
        write(store, 1, NUMBER, cost=Cost("inbound", 5, ()))
        write(store, 2, IDENT, cost=Cost("inbound", 7, ()))
        write(store, 3, NUMBER, same_person=[IDENT], cost=Cost("inbound", 1, ()))
        found = store.costs.conversation(IDENT)
        assert found is not None
        assert 13 == found.inbound


ADDRESSES = [f"shop/whatsapp:{name}" for name in ("+1", "US.a", "DE.b", "+2")]
addresses = st.sampled_from(ADDRESSES)


class People(RuleBasedStateMachine):
    """`leads`: the conversation of each address as far as it is known; `waiting`: what each conversation is owed."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.clock = Clock()
        self.store = Store(self.client, Limits(), self.clock)
        self.store.lanes.declare(LANES)
        self.leads: dict[str, str] = {}
        self.spoke: dict[str, int] = {}
        self.last: dict[str, str] = {}
        self.waiting: dict[str, list[str]] = {}
        self.made = 0

    @rule(one=addresses, names=st.sets(addresses, max_size=2), answered=st.booleans())
    def writes(self, one: str, names: set[str], answered: bool) -> None:
        self.clock.advance(1)
        self.made += 1
        cv = self._conversation(one, sorted(names - {one}))
        write(self.store, self.made, one, same_person=sorted(names - {one}))
        self.waiting.setdefault(cv, []).append(item(self.made))
        if answered:
            self._work()

    def _conversation(self, one: str, names: list[str]) -> str:
        cv = self.leads.setdefault(one, one)
        for name in names:
            other = self.leads.get(name, name)
            if other != cv:
                keeps, goes = (other, cv) if self.spoke.get(other, -1) > self.spoke.get(cv, -1) else (cv, other)
                self.leads |= {address: keeps for address, led in self.leads.items() if led == goes}
                self.leads[name] = self.leads[one] = keeps
                cv = keeps
        self.spoke.setdefault(cv, 0)
        self.last[cv] = one
        return cv

    def _work(self) -> None:
        drain = Drain(self.store)
        claim = drain.step()
        while claim:
            assert item_text(claim.item) == self.waiting[claim.conversation].pop(0)
            self.spoke[claim.conversation] = self.clock()
            session = claim.session or Session("bot")
            claim = drain.step(Done(claim, session=SessionChange(session)))

    @rule(one=addresses)
    def is_written_to(self, one: str) -> None:
        self.made += 1
        cv = self.leads.get(one, one)
        write(self.store, self.made, one, direction="outbound")
        self.spoke.setdefault(cv, 0)
        drain = Drain(self.store, SHOP)
        claim = drain.claim()
        assert (cv, item(self.made)) == (claim.conversation, item_text(claim.item))
        several = sum(led == cv for led in self.leads.values()) > 1
        assert (claim.to or customer(cv)) == customer(self.last.get(cv, cv) if several else cv)
        drain.step(Done(claim))

    @invariant()
    def nothing_is_lost(self) -> None:
        for cv, items in self.waiting.items():
            assert items == queued(self.client, f"{cv}|inbound")


def test_a_person_has_one_conversation_in_any_order_of_names(machine_client: redis.Redis) -> None:
    People.client = machine_client
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=examples(60),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def _to(store: Store, number: int) -> str:
    write(store, number, IDENT, direction="outbound")
    return Drain(store, SHOP).claim().to


def _state(store: Store, conversation: str) -> str | None:
    found = store.consents.read(conversation)
    return found.state if found else None
