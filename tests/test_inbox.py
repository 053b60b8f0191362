"""What events become: messages in mailboxes, applied reports, hints; and webhooks that are kept for later."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from msgspec.structs import replace

from app.core.consent import ANSWERS
from app.core.events import Changed, Ended, Event, Ignored, Opted, Reported, Typing, Webhook, Written
from app.core.message import Location, Profile, Text, new_id
from app.core.render import as_text
from app.core.session import Session
from app.core.work import Achieved, Done, SessionChange
from app.gateway import Gateway
from app.inbox import Inbox, NotTaken
from app.parked import park, unpark
from tests.store.steps import append
from tests.support.gateway import Clock, gateway

CUSTOMER = "webhook:customer-42"
CONVERSATION = f"shop/{CUSTOMER}"
HELLO = Written(Text("Hi"), external_id="shop-1", customer=CUSTOMER)
ANSWER = Written(Text("Good day!"), conversation=CONVERSATION, author="agent", window=3.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built(redis_client: redis.Redis, clock: Clock) -> Gateway:
    return gateway(redis_client, clock)


def accept(built: Gateway, name: str, event: Event) -> str:
    """Our id of an accepted message."""
    accepted = Inbox(built).accept(name, event)
    assert accepted.message_id is not None
    return accepted.message_id


def waiting(built: Gateway, lane: str) -> int:
    return built.store.lanes.state(lane, 0).waiting


def test_a_customers_message_keeps_all_that_was_said_about_it(built: Gateway) -> None:
    event = replace(HELLO, profile=Profile(name="Ada"), metadata={"order": 7})
    record = built.store.messages.read(accept(built, "shop", event))
    assert record is not None
    message = record.message
    assert (
        message.direction,
        message.channel,
        message.customer,
        message.author,
        message.external_id,
    ) == ("inbound", "shop", CUSTOMER, "customer", "shop-1")
    assert (Text("Hi"), Profile(name="Ada"), {"order": 7}) == (message.content, message.profile, message.metadata)


def test_the_wake_ups_that_acceptances_owe_are_collected(built: Gateway) -> None:
    inbox = Inbox(built)
    inbox.accept("shop", HELLO)
    inbox.accept("desk", ANSWER)
    assert [wake.lane for wake in inbox.wakes] == ["inbound:helper", "outbound:shop"]


def test_the_same_external_id_is_one_message(built: Gateway) -> None:
    first = Inbox(built).accept("shop", HELLO)
    again = Inbox(built).accept("shop", replace(HELLO, content=Text("Something else")))
    assert (first.message_id, False, True) == (again.message_id, first.duplicate, again.duplicate)


def test_the_same_external_id_elsewhere_is_another_message(built: Gateway) -> None:
    visitor, other = (replace(HELLO, customer=f"webchat:{name}") for name in ("a", "b"))
    ids = [accept(built, "shop", HELLO), accept(built, "chat", visitor), accept(built, "chat", other)]
    assert len(set(ids)) == 3
    assert ids[1] == accept(built, "chat", visitor)


def test_a_webhook_that_comes_again_under_another_id_is_the_same_message(built: Gateway) -> None:
    first = accept(built, "shop", replace(HELLO, token="tok-1"))
    same = replace(HELLO, external_id="shop-2", token="tok-1")
    assert first == accept(built, "shop", same)
    assert Inbox(built).accept("shop", same).duplicate
    others = {
        "another webhook": accept(built, "shop", replace(same, token="tok-2")),
        "a webhook without a token": accept(built, "shop", replace(HELLO, external_id="shop-3")),
        "another channel's": accept(built, "chat", replace(same, customer="webchat:a")),
        "a message whose id is that word": accept(built, "shop", replace(HELLO, external_id="tok-1")),
    }
    assert len({first, *others.values()}) == 5
    assert waiting(built, "inbound:helper") == 5


WITHOUT_IDS: dict[str, tuple[dict[str, Any], bool]] = {
    "the same": ({}, True),
    "another text": ({"content": Text("Good night!")}, False),
    "another type": ({"content": Location(1, 2)}, False),
    "another conversation": ({"conversation": "shop/webhook:somebody"}, False),
}


@pytest.mark.parametrize(("changes", "same"), WITHOUT_IDS.values(), ids=WITHOUT_IDS)
def test_without_an_id_equal_contents_on_a_conversation_count_as_one(
    changes: dict[str, Any], same: bool, built: Gateway
) -> None:
    first = accept(built, "desk", ANSWER)
    assert same == (first == accept(built, "desk", replace(ANSWER, **changes)))


def test_a_window_of_nothing_counts_every_message(built: Gateway) -> None:
    event = replace(ANSWER, window=0.0)
    assert accept(built, "desk", event) != accept(built, "desk", event)


def test_an_agents_message_names_the_metadata_for_its_reports(built: Gateway) -> None:
    event = replace(ANSWER, metadata={"contact": "+15550000001"})
    record = built.store.messages.read(accept(built, "desk", event))
    assert record is not None
    assert record.message.metadata == {"contact": "+15550000001"}


STRANGERS: dict[str, Written] = {
    "a channel that does not name it": replace(ANSWER, conversation="elsewhere/webhook:x"),
    "an alias that nobody remembers": Written(Text("Hi"), alias="@@1234"),
    "nobody at all": Written(Text("Hi")),
    "a customer on no channel in particular": Written(Text("Hi"), customer="+15550000001"),
}


@pytest.mark.parametrize("event", STRANGERS.values(), ids=STRANGERS)
def test_a_destination_writes_only_where_it_is_known(event: Written, built: Gateway) -> None:
    with pytest.raises(NotTaken) as raised:
        Inbox(built).accept("desk", event)
    assert (raised.value.status, raised.value.retry_after) == (404, None)


def test_an_end_said_by_a_customer_waits_behind_their_messages(built: Gateway) -> None:
    Inbox(built).accept("shop", HELLO)
    Inbox(built).accept("shop", Ended(customer=CUSTOMER))
    assert waiting(built, "inbound:helper") == 2


def test_a_customers_typing_is_a_hint_that_nobody_waits_for(built: Gateway) -> None:
    Inbox(built).accept("shop", Typing(customer=CUSTOMER))
    assert waiting(built, "inbound:helper") == 0


def test_a_destinations_typing_goes_to_the_customer(built: Gateway) -> None:
    inbox = Inbox(built)
    inbox.accept("desk", Typing(conversation=CONVERSATION))
    assert [wake.lane for wake in inbox.wakes] == ["outbound:shop"]


def test_an_end_said_by_a_destination_is_worked_where_the_session_is(built: Gateway) -> None:
    inbox = Inbox(built)
    inbox.accept("desk", Ended(conversation=CONVERSATION))
    assert [wake.lane for wake in inbox.wakes] == ["inbound:helper"]


def test_an_end_that_finds_no_room_is_not_taken(built: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built.store.mailboxes, "append", lambda *args, **options: None)
    with pytest.raises(NotTaken) as refused:
        Inbox(built).accept("shop", Ended(customer=CUSTOMER))
    assert refused.value.status == 429
    Inbox(built).accept("desk", Typing(conversation=CONVERSATION))  # a hint may get lost


def test_what_is_ignored_is_counted_by_its_kind_of_bounded_form(built: Gateway) -> None:
    Inbox(built).accept("shop", Ignored("poll"))
    for odd in ("x" * 500, "\x1b[2J", ""):
        Inbox(built).accept("shop", Ignored(odd))
    Inbox(built).accept("chat", Ignored("whatever.a.visitor.says"))
    expected = {"ignored:chat:other": 1, "ignored:shop:other": 3, "ignored:shop:poll": 1}
    assert expected == built.store.lanes.counts()


def test_a_report_climbs_by_our_id(built: Gateway) -> None:
    message_id = accept(built, "desk", ANSWER)
    Inbox(built).accept("shop", Reported(message_id, "delivered"))
    record = built.store.messages.read(message_id)
    assert record is not None
    assert record.status == "delivered"


def test_a_report_about_somebody_elses_message_is_refused(built: Gateway) -> None:
    message_id = accept(built, "desk", ANSWER)
    for name, event in {
        "chat": Reported(message_id, "read"),
        "shop": Reported(message_id, "read", customer="webhook:somebody-else"),
        "desk": Reported(message_id, "read"),
    }.items():
        with pytest.raises(NotTaken, match="no such message"):
            Inbox(built).accept(name, event)


def test_a_report_that_overtakes_its_receipt_is_taken(built: Gateway) -> None:
    inbox = Inbox(built)
    assert inbox.accept("shop", Reported("crm-7", "delivered")).message_id is None


@pytest.fixture
def chat(built: Gateway) -> Gateway:
    """The desk has opened the chat `CH1` with the customer and wrote number 0 there."""
    mailboxes = built.store.mailboxes
    (wake,) = append(built.store, CONVERSATION, "inbound", "inbound:desk", "handoff") or ()
    claim = mailboxes.work("inbound:desk", wake.token, None, lease=30).claim
    assert claim is not None
    session = Session("desk", "human", {"chat": "CH1"})
    mailboxes.remember(claim, 30, Achieved(session=session, aliases=("desk:CH1",)))
    done = Done(claim, session=SessionChange(session, changes_hands=True))
    mailboxes.work("inbound:desk", wake.token, done, lease=30)
    accept(built, "desk", LINE)
    return built


LINE = Written(Text("line 0"), external_id="IM0", alias="CH1", author="agent", index=0)


def line(index: int, **changes: Any) -> Written:
    """The desk's message number `index` in that chat."""
    return replace(LINE, external_id=f"IM{index}", index=index, **changes)


def seen(built: Gateway) -> int | None:
    return built.store.mailboxes.thread("desk:CH1").seen


def items(client: redis.Redis, direction: str) -> list[str]:
    return list(client.lrange(f"{{patchbay}}:q:{CONVERSATION}|{direction}", 0, -1))


class TestChats:
    def test_a_message_in_its_turn_is_taken(self, chat: Gateway) -> None:
        inbox = Inbox(chat)
        accepted = inbox.accept("desk", line(1))
        record = chat.store.messages.read(accepted.message_id or "")
        assert record is not None
        assert ("outbound", CUSTOMER, "agent") == (
            record.message.direction,
            record.message.customer,
            record.message.author,
        )
        assert seen(chat) == 1

    def test_one_behind_a_gap_is_acknowledged_without_an_id_and_looked_for(
        self, chat: Gateway, redis_client: redis.Redis
    ) -> None:
        inbox = Inbox(chat)
        accepted = inbox.accept("desk", line(2))
        assert (accepted.message_id, accepted.duplicate) == (None, False)
        assert ["inbound:desk"] == [wake.lane for wake in inbox.wakes]
        assert ["check"] == items(redis_client, "inbound")
        assert seen(chat) == 0

    def test_a_repeated_one_is_a_duplicate(self, chat: Gateway) -> None:
        assert Inbox(chat).accept("desk", line(0)).duplicate

    @pytest.mark.parametrize("identity", [CUSTOMER, CONVERSATION], ids=["their address", "their conversation"])
    @pytest.mark.parametrize(
        ("index", "known", "asked"), [(1, 1, []), (2, 0, ["check"]), (None, 0, [])], ids=["next", "gap", "uncounted"]
    )
    def test_the_customers_own_words_are_dropped_but_counted(
        self, chat: Gateway, redis_client: redis.Redis, identity: str, index: int | None, known: int, asked: list[str]
    ) -> None:
        before = items(redis_client, "outbound")
        echo = replace(LINE, external_id="IM9", index=index, identity=identity, author="agent")
        accepted = Inbox(chat).accept("desk", echo)
        assert (accepted.message_id, accepted.duplicate) == (None, False)
        assert before == items(redis_client, "outbound")
        assert asked == items(redis_client, "inbound")
        assert seen(chat) == known

    @pytest.mark.parametrize("identity", ["agent-7", "webhook:customer-43", "", None])
    def test_what_others_write_is_no_echo(self, identity: str | None, chat: Gateway) -> None:
        assert accept(chat, "desk", line(1, identity=identity))

    def test_an_echo_may_name_the_conversation_itself(self, built: Gateway, redis_client: redis.Redis) -> None:
        echo = replace(ANSWER, identity=CUSTOMER)
        assert Inbox(built).accept("desk", echo).message_id is None
        assert [] == items(redis_client, "outbound") + items(redis_client, "inbound")

    CHANGES = {
        "by the next message": (Changed("CH1", 1), 1, []),
        "by one behind a gap": (Changed("CH1", 5), 0, ["check"]),
        "in a way that only a look tells": (Changed("CH1"), 0, ["check"]),
    }

    @pytest.mark.parametrize(("event", "known", "asked"), CHANGES.values(), ids=CHANGES)
    def test_a_chat_changed(
        self, chat: Gateway, redis_client: redis.Redis, event: Changed, known: int, asked: list[str]
    ) -> None:
        inbox = Inbox(chat)
        assert inbox.accept("desk", event).message_id is None
        assert known == seen(chat)
        assert asked == items(redis_client, "inbound")
        assert ["inbound:desk"] * len(asked) == [wake.lane for wake in inbox.wakes]

    ENDS = {
        "of that chat": (Ended("EV1", alias="CH1"), "ended platform CH1"),
        "of the conversation": (Ended("EV1", conversation=CONVERSATION), "ended platform"),
    }

    @pytest.mark.parametrize(("event", "item"), ENDS.values(), ids=ENDS)
    def test_an_end_names_the_chat_and_waits_where_the_session_is(
        self, chat: Gateway, redis_client: redis.Redis, event: Ended, item: str
    ) -> None:
        for _ in range(2):
            Inbox(chat).accept("desk", event)
        assert [item] == items(redis_client, "inbound")
        assert waiting(chat, "inbound:desk") == 1

    NOBODY: dict[str, Event] = {
        "a message": replace(LINE, alias="CH9"),
        "a change": Changed("CH9", 3),
        "an end": Ended(alias="CH9"),
        "typing": Typing(alias="CH9"),
        "a conversation that is not theirs": Ended(conversation="elsewhere/webhook:x"),
    }

    @pytest.mark.parametrize("event", NOBODY.values(), ids=NOBODY)
    def test_what_is_said_of_an_unknown_chat_is_not_taken_but_counted(self, chat: Gateway, event: Event) -> None:
        with pytest.raises(NotTaken) as refused:
            Inbox(chat).accept("desk", event)
        assert (refused.value.status, refused.value.retry_after) == (404, None)
        assert {"unknown:desk": 1} == chat.store.lanes.counts()

    def test_who_writes_in_a_chat_does_not_take_the_conversation(self, chat: Gateway) -> None:
        mailboxes = chat.store.mailboxes
        append(chat.store, CONVERSATION, "inbound", "inbound:desk", "handoff")
        claim = mailboxes.work("inbound:desk", "a-token", None, lease=30).claim
        assert claim is not None
        assert claim.session is not None
        after = SessionChange(replace(claim.session, destination="helper", handles={}), changes_hands=True)
        mailboxes.settle(Done(claim, session=after))
        accept(chat, "desk", line(1))
        session = chat.store.sessions.read(CONVERSATION)
        assert session is not None
        assert session.destination == "helper"


WEBHOOK = Webhook(
    "POST",
    "http://127.0.0.1:8000/destinations/desk/message?key=desk-token-0001",
    "/destinations/desk/message",
    {"authorization": "Bearer desk-token-0001", "x-other": "ü", "x-again": "desk-token-0001"},
    b'{"a":"desk-token-0001"}\xff\x00',
)


def test_a_parked_webhook_comes_back_as_it_was_but_for_the_secrets(built: Gateway) -> None:
    letter_id = park(built, "desk", WEBHOOK, RuntimeError("desk-token-0001"))
    letter = built.store.dead_letters.show(letter_id)
    assert letter is not None
    assert (letter.where, letter.error) == ("desk", "RuntimeError: [redacted]")
    assert "desk-token-0001" not in letter.webhook
    assert (
        Webhook(
            "POST",
            "http://127.0.0.1:8000/destinations/desk/message?key=[redacted]",
            "/destinations/desk/message",
            {"x-other": "ü", "x-again": "[redacted]"},
            b'{"a":"[redacted]"}\xff\x00',
        )
        == unpark(letter.webhook)
    )  # fmt: skip


CREDENTIALS = (
    *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "apikey", "x-auth-token"),
    *("x-csrf-token", "x-telegram-bot-api-secret-token", "x-amz-security-token", "x-shared-secret", "x-password"),
    *("x-amzn-oidc-accesstoken", "cf-access-jwt-assertion", "x-session-id"),
)
NONE = (
    *("content-type", "host", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"),
    *("x-twilio-signature", "i-twilio-idempotency-token", "x-request-id"),
)


@pytest.mark.parametrize("header", [*CREDENTIALS, *NONE])
def test_a_parked_webhook_keeps_no_credentials(header: str, built: Gateway) -> None:
    letter = built.store.dead_letters.show(park(built, "shop", replace(WEBHOOK, headers={header: "v-1"}), ValueError()))
    assert letter is not None
    assert ({header: "v-1"} if header in NONE else {}) == unpark(letter.webhook).headers


def test_a_parked_webhook_of_a_chat_is_still_its_visitors(built: Gateway) -> None:
    chat = built.channels["chat"]
    token = chat.new_token()  # type: ignore[attr-defined]
    body = b'{"type":"message.created","data":{"id":"1","content":{"type":"text","text":"Hi"}}}'
    webhook = Webhook("POST", "http://x/channels/chat", "/channels/chat", {"authorization": f"Bearer {token}"}, body)
    letter = built.store.dead_letters.show(park(built, "chat", webhook, RuntimeError("a bug")))
    assert letter is not None
    assert token not in letter.webhook
    (before,), (after,) = chat.parse(webhook), chat.parse(unpark(letter.webhook))
    assert before == after


SMS = {
    "type": "twilio",
    "account_sid": "AC" + "1" * 32,
    "auth_tokens": ["twilio-token-0001"],
    "address": "+15551239999",
    "destination": "helper",
}
CONSENT = {"consent": {"languages": {"en": {}, "de": {"stop": ["STOPP"], "stop_text": "Gut."}}}}


class TestConsent:
    """What a customer's words say of the messages that they want."""

    @pytest.fixture
    def built(self, redis_client: redis.Redis, clock: Clock) -> Gateway:
        return gateway(redis_client, clock, channels__shop=CONSENT, channels__sms=SMS)

    def says(self, built: Gateway, text: str, channel: str = "shop", opt_out: str = "") -> None:
        customer = CUSTOMER if channel == "shop" else "webchat:x" if channel == "chat" else "sms:+15551230001"
        metadata = {"opt_out": opt_out} if opt_out else {}
        accept(built, channel, Written(Text(text), external_id=new_id(), customer=customer, metadata=metadata))

    def timeline(self, built: Gateway, conversation: str = CONVERSATION) -> list[tuple[str, str, Any]]:
        records = built.store.messages.timeline(conversation)
        return [(r.message.author, as_text(r.message.content), r.message.metadata.get("opt_out")) for r in records]

    def state(self, built: Gateway, conversation: str = CONVERSATION) -> str | None:
        known = built.store.consents.read(conversation)
        return known and f"{known.state}: {known.by}"

    def test_a_keyword_opts_out_and_is_answered_in_its_language(self, built: Gateway) -> None:
        self.says(built, "stopp")
        assert self.state(built) == "out: the customer wrote STOPP"
        assert self.timeline(built) == [("customer", "stopp", "STOP"), ("system", "Gut.", None)]

    def test_a_platform_says_that_they_blocked_us_and_that_they_are_back(self, built: Gateway) -> None:
        Inbox(built).accept("shop", Opted(CUSTOMER, "out"))
        assert self.state(built) == "out: the platform said so"
        Inbox(built).accept("shop", Opted(CUSTOMER, "in"))
        assert self.state(built) == "in: the platform said so"
        assert self.timeline(built) == []

    def test_start_lifts_it(self, built: Gateway) -> None:
        self.says(built, "Stop")
        self.says(built, "yes")
        assert self.state(built) == "in: the customer wrote YES"
        assert self.timeline(built)[-1] == ("system", ANSWERS["START"], None)

    def test_where_nothing_is_to_be_lifted_yes_is_a_word_like_others(self, built: Gateway) -> None:
        self.says(built, "yes")
        assert self.state(built) is None
        assert self.timeline(built) == [("customer", "yes", None)]

    def test_help_is_answered_to_whoever_opted_out_too(self, built: Gateway) -> None:
        self.says(built, "STOP")
        self.says(built, "help")
        answer = built.store.messages.timeline(CONVERSATION)[-1]
        assert (as_text(answer.message.content), answer.status) == (ANSWERS["HELP"], "queued")
        assert self.state(built) == "out: the customer wrote STOP"

    def test_a_channel_without_keywords_has_none(self, built: Gateway) -> None:
        self.says(built, "STOP", channel="chat")
        assert self.state(built, "chat/webchat:x") is None
        assert self.timeline(built, "chat/webchat:x") == [("customer", "STOP", None)]

    def test_it_hears_start_all_the_same_because_others_may_have_opted_them_out(self, built: Gateway) -> None:
        built.store.consents.write("chat/webchat:x", "out", "an operator set it")
        self.says(built, "Start", channel="chat")
        assert self.state(built, "chat/webchat:x") == "in: the customer wrote START"
        assert self.timeline(built, "chat/webchat:x")[-1] == ("system", ANSWERS["START"], None)

    def test_a_visitors_wish_is_kept_as_long_as_they_can_come_back(
        self, built: Gateway, redis_client: redis.Redis
    ) -> None:
        for channel, customer in (("chat", "webchat:x"), ("shop", CUSTOMER)):
            self.says(built, "whatever", channel, "STOP")
            built.store.consents.read(f"{channel}/{customer}")
        keys = [f"{{patchbay}}:o:{conversation}" for conversation in ("chat/webchat:x", CONVERSATION)]
        assert [redis_client.ttl(key) for key in keys] == [built.settings.gateway["session_keep"], -1]

    def test_what_twilio_answers_itself_is_not_answered_again(self, built: Gateway) -> None:
        self.says(built, "STOP", channel="sms")
        assert self.state(built, "sms/sms:+15551230001") == "out: the customer wrote STOP"
        assert self.timeline(built, "sms/sms:+15551230001") == [("customer", "STOP", "STOP")]

    @pytest.mark.parametrize(
        ("word", "expected"),
        [("STOP", "out: the platform said STOP"), ("START", "in: the platform said START"), ("HELP", None)],
    )
    def test_a_platform_may_say_it_and_then_has_answered(self, word: str, expected: str | None, built: Gateway) -> None:
        self.says(built, "whatever", opt_out=word)
        assert self.state(built) == expected
        assert self.timeline(built) == [("customer", "whatever", word)]

    def test_words_of_a_platform_that_we_do_not_know_say_nothing(self, built: Gateway) -> None:
        self.says(built, "whatever", opt_out="PAUSE")
        assert self.state(built) is None


def test_what_the_platform_does_by_itself_is_heard_in_any_language(redis_client: redis.Redis, clock: Clock) -> None:
    german = {"stop": ["STOPP"], "stop_text": "Gut.", "start": ["WIEDER"], "start_text": "Gern."}
    sms = {
        "type": "twilio",
        "account_sid": "AC" + "1" * 32,
        "auth_tokens": ["twilio-token-0001"],
        "address": "+15551239999",
        "destination": "helper",
        "consent": {"languages": {"de": german}},
    }
    built = gateway(redis_client, clock, channels__shop={"consent": sms["consent"]}, channels__sms=sms)
    said: dict[str, list[str | None]] = {"sms": [], "shop": []}
    for channel, customer in (("sms", "sms:+15551230001"), ("shop", CUSTOMER)):
        for word in ("STOP", "START", "STOPP", "WIEDER"):
            accept(built, channel, Written(Text(word), external_id=word, customer=customer))
            known = built.store.consents.read(f"{channel}/{customer}")
            said[channel].append(known and known.state)
    assert said == {"sms": ["out", "in", "out", "in"], "shop": [None, None, "out", "in"]}
    assert waiting(built, "outbound:sms") == 2  # answers to the German words alone


ANSWERED = {
    "needed, a keyword of the platform": ("needed", "STOP", 0),
    "needed, a keyword of our own": ("needed", "STOPP", 1),
    "always": ("always", "STOP", 1),
    "never": ("never", "STOPP", 0),
}


@pytest.mark.parametrize(("confirm", "keyword", "answers"), ANSWERED.values(), ids=ANSWERED)
def test_confirmations_go_where_the_platform_sends_none(
    confirm: str, keyword: str, answers: int, redis_client: redis.Redis, clock: Clock
) -> None:
    consent = {"confirm": confirm, "languages": CONSENT["consent"]["languages"]}
    built = gateway(redis_client, clock, channels__sms={**SMS, "consent": consent})
    accept(built, "sms", Written(Text(keyword), external_id="SM1", customer="sms:+15551230001"))
    assert waiting(built, "outbound:sms") == answers
