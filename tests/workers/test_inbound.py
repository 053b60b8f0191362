"""What happens to a customer's message at the head of its mailbox."""

from __future__ import annotations

import orjson
import pytest
import redis
import structlog

from app.core.consent import ANSWERS
from app.core.events import Answer, Said
from app.core.message import Attachment, Card, Image, QuickReply, Text
from tests.support.gateway import recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from workers.sending import again, kept


def test_half_a_character_that_lies_in_the_store_stops_no_worker(office: Office, redis_client: redis.Redis) -> None:
    for number, odd in enumerate((b"hello\\ud83d", b"hello\xed\xa0\xbd")):
        message = office.customer_writes("hello", f"c-{number}")
        key = "{patchbay}:m:" + message
        body = str(redis_client.hget(key, "body")).encode()
        redis_client.hset(key, "body", body.replace(b"hello", odd))
    office.work()
    assert ["hello\ufffd", "hello\ufffd\ufffd\ufffd"] == office.asked()
    assert [] == office.letters()


def test_it_brings_the_message_to_the_bot_and_the_reply_back(office: Office) -> None:
    message = office.customer_writes("hello")
    office.work()
    assert office.asked() == ["hello"]
    assert office.said() == ["You said: hello"]
    assert office.status(message) == "delivered"


def test_it_says_what_the_bot_cannot_read_in_words(office: Office) -> None:
    office.customer_writes(Attachment("image", "https://cdn.example.test/cat.png", description="My cat"))
    office.customer_writes(QuickReply("Which?", ("Red", "Blue")))
    office.work()
    assert office.asked() == ["My cat: https://cdn.example.test/cat.png", "Which?\n1. Red\n2. Blue"]


def test_it_hands_over_with_the_transcript_before_what_was_typed_meanwhile(office: Office) -> None:
    office.customer_writes("hello")
    office.work()
    office.customer_writes("a human please")
    office.customer_writes("typed meanwhile")
    office.work()
    expected = [
        ("message", "hello"),
        ("message_echo", "You said: hello"),
        ("message", "a human please"),
        ("message_echo", "I fetch somebody."),
        ("message", "typed meanwhile"),
    ]
    assert expected == office.seen()
    session = office.gateway.store.sessions.read("shop/webhook:ada")
    assert session is not None
    assert (session.destination, session.mode, session.context) == ("desk", "human", {"order": "1001"})


def test_a_flag_in_the_memory_hands_over_too(office: Office) -> None:
    office.bot.answers(bot_says("Moment.", memory={"handoff": True}))
    office.customer_writes("x")
    office.work()
    assert office.seen()[0] == ("message", "x")


KEPT = {
    "nothing": Answer(),
    "words": Answer(replies=(Said(Text("Hi")),)),
    "a card for somebody else": Answer(
        replies=(Said(Card("Hi", (Image("https://a.test/"),)), {"a": 1}, "sms:+1", True),)
    ),
    "a handoff": Answer(handoff=True),
    "a call to record": Answer(record="CA1"),
}


@pytest.mark.parametrize("answer", KEPT.values(), ids=KEPT)
def test_what_is_kept_of_an_answer_comes_back(answer: Answer) -> None:
    assert answer == again(orjson.loads(orjson.dumps(kept(answer))))


def test_a_handoff_to_nobody_ends_the_dialogue(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"handoff": None}, channels__chat={"handoff": None})
    office.customer_writes("a human please")
    office.customer_writes("still there?")
    office.work()
    assert office.asked() == ["a human please", "still there?"]
    assert office.seen() == []


@pytest.mark.parametrize(
    ("configured", "asked", "tasks"),
    [
        pytest.param(None, None, [None, None], id="nobody asks for a task"),
        pytest.param("greeting", None, ["greeting", None], id="the channel's task begins a dialogue"),
        pytest.param(None, "quote", ["quote", "quote"], id="a message may ask for a task at any time"),
        pytest.param("greeting", "quote", ["quote", "quote"], id="the message's wish goes before the channel's"),
        pytest.param("greeting", 7, ["greeting", None], id="a wish that is no text is none"),
    ],
)
def test_it_enters_the_task_that_is_asked_for(
    make_office: MakeOffice, configured: str | None, asked: object, tasks: list[str | None]
) -> None:
    office = make_office(channels__shop={"target_task": configured} if configured else {})
    metadata = {"target_task": asked} if asked else {}
    office.customer_writes("one", metadata=metadata)
    office.customer_writes("two", metadata=metadata)
    office.work()
    entered = [call.path.partition("TargetTask=")[2] or None for call in office.bot.calls]
    assert tasks == entered


def test_a_dialogue_without_listen_is_over_and_the_next_message_begins_a_new_one(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"target_task": "greeting"})
    office.bot.answers(bot_says("Bye.", listen=False))
    office.customer_writes("one")
    office.customer_writes("two")
    office.work()
    assert all("TargetTask=greeting" in call.path for call in office.bot.calls)


def test_four_hours_of_silence_end_a_dialogue(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"target_task": "greeting"})
    begins = []
    for pause in (0, 4 * 3600 - 1, 4 * 3600 + 1):
        office.clock.advance(pause)
        office.customer_writes("hello")
        office.work()
        begins.append("TargetTask" in office.bot.calls[-1].path)
    assert begins == [True, False, True]


def test_a_day_of_silence_brings_the_customer_back_to_the_bot(office: Office) -> None:
    office.customer_writes("a human please")
    office.work()
    office.clock.advance(86_401)
    office.customer_writes("hello again")
    office.work()
    assert office.asked()[-1] == "hello again"


def test_a_customer_who_ends_the_conversation_gets_the_botagain(office: Office) -> None:
    office.customer_writes("a human please")
    office.customer_writes("thanks")
    office.customer_ends()
    office.customer_writes("hello")
    office.work()
    assert office.seen()[-1] == ("message", "thanks")
    assert office.asked()[-1] == "hello"


def test_a_repeated_end_does_not_end_a_later_session(office: Office) -> None:
    office.customer_writes("a human please")
    office.customer_ends(external_id="end-1")
    office.customer_writes("a human again")
    office.customer_ends(external_id="end-1")
    office.customer_writes("are you there?")
    office.work()
    assert ("message", "are you there?") == office.seen()[-1]


def test_the_transcript_holds_what_waited_while_an_earlier_dialogue_ended(office: Office) -> None:
    office.bot.answers(
        bot_says("Bye.", listen=False), bot_says("I fetch somebody.", task="talk_to_human", listen=False)
    )
    office.customer_writes("hello")
    office.customer_writes("a human, my order burns")
    office.work()
    assert ("message", "a human, my order burns") == office.seen()[0]


def test_an_agent_who_writes_first_holds_the_conversation(office: Office) -> None:
    office.agent_writes("May I help?")
    office.customer_writes("yes")
    office.work()
    assert office.seen() == [("message", "yes")]
    assert office.asked() == []


def test_an_agent_who_writes_while_the_bot_answers_is_not_pushed_aside(office: Office) -> None:
    def interrupted(call: object) -> Told:
        office.agent_writes("I take over")
        return bot_says("Let me think.")

    office.bot.answer = interrupted
    office.customer_writes("hello")
    office.work()
    office.customer_writes("who is there?")
    office.work()
    assert office.seen()[-1] == ("message", "who is there?")


class TestALateBot:
    """`deadline` seconds, then the policy decides. The bot here takes longer than the deadline on every call."""

    @pytest.fixture
    def slow(self, make_office: MakeOffice) -> MakeOffice:
        def make(**settings: object) -> Office:
            return make_office(destinations__helper={"deadline": 0.1, **settings})

        return make

    def _late(self, office: Office) -> None:
        def answer(call: object) -> Told:
            office.bot.closing.wait(0.2)
            return bot_says("At last.")

        office.bot.answer = answer
        office.customer_writes("hello")
        office.work()

    def test_its_reply_is_sent_by_default(self, slow: MakeOffice) -> None:
        office = slow()
        self._late(office)
        assert office.said() == ["At last."]

    def test_its_reply_is_dropped_if_so_configured(self, slow: MakeOffice) -> None:
        office = slow(late="drop")
        self._late(office)
        assert office.said() == []
        assert office.seen() == []

    def test_people_take_over_if_so_configured(self, slow: MakeOffice) -> None:
        office = slow(late="people")
        self._late(office)
        assert office.said() == []
        assert office.seen() == [("message", "hello")]

    def test_people_get_the_message_that_the_bot_never_answered(self, slow: MakeOffice) -> None:
        office = slow(late="people", timeout=0.2)
        office.bot.answers(Told(hang=True))
        message = office.customer_writes("hello")
        office.work()
        assert office.seen() == [("message", "hello")]
        assert office.status(message) == "sent"
        assert office.letters() == []


def test_a_call_with_unknown_outcome_is_not_madeagain(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"timeout": 0.2})
    office.bot.answers(Told(hang=True))
    message = office.customer_writes("hello")
    office.work()
    office.work_later(600)
    assert len(office.bot.calls) == 1
    assert office.status(message) == "failed"
    assert "timed_out" in office.letters()[0]


def test_a_call_with_unknown_outcome_is_made_again_if_so_configured(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"resend_after_timeout": True})
    office.bot.answers(Told(drop=True), bot_says("Here."))
    office.customer_writes("hello")
    office.work()
    office.work_later(600)
    assert office.asked() == ["hello", "hello"]
    assert office.said() == ["Here."]


LONG = {"letters": "x" * 2_049, "emoji": "👩‍👧" * 900, "words": "Where is my parcel? " * 300}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_text_too_long_for_the_bot_is_asked_in_parts_and_answered(text: str, office: Office) -> None:
    office.bot.answer = lambda call: bot_says("Yes.")
    message = office.customer_writes(text)
    office.work()
    assert text == "".join(office.asked())
    assert len(office.asked()) == len(office.said()) > 1
    assert (office.status(message), office.letters()) == ("delivered", [])


def test_a_text_too_long_for_the_bot_is_cut_if_so_configured(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"long_text": "cut"})
    message = office.customer_writes("x" * 2_049)
    office.work()
    assert (["x" * 2_048], "delivered") == (office.asked(), office.status(message))
    assert office.gateway.store.lanes.counts()["unsupported:helper:long_text"] == 1


def test_what_cannot_be_read_of_an_answer_is_counted_and_logged_with_the_message(office: Office) -> None:
    office.bot.answers(Told(body=b'{"response":{"says":[{"utter":"Hi"}],"listen":true}}'))
    message = office.customer_writes("hello")
    with structlog.testing.capture_logs() as logs:
        office.work()
    assert [("helper", "says", message)] == [
        (line["destination"], line["what"], line["message"]) for line in logs if line["event"] == "unsupported"
    ]
    assert office.gateway.store.lanes.counts()["unsupported:helper:says"] == 1
    assert office.said() == []


def test_what_could_not_be_read_of_an_earlier_part_is_not_forgotten(office: Office) -> None:
    unread = Told(body=b'{"response":{"says":[{"utter":"Hi"}],"listen":true}}')
    office.bot.answers(unread, Told(status=503), bot_says("Yes."))
    office.customer_writes("x" * 2_049)
    office.work()
    office.work_later(600)
    assert office.said() == ["Yes."]
    assert office.gateway.store.lanes.counts()["unsupported:helper:says"] == 1


def test_typing_is_shown_while_a_bot_thinks(make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.replies.TYPING_AFTER", 0.02)
    office = make_office(channels__shop={"typing": True})

    def thinks(call: object) -> Told:
        office.bot.closing.wait(0.3)
        return bot_says("Done.")

    office.bot.answer = thinks
    office.customer_writes("hello")
    office.work()
    kinds = [call.json["type"] for call in office.shop.calls]
    assert kinds.index("conversation.typing") < kinds.index("message.created")
    assert recorder(office.gateway).wakes == []


def test_keywords_are_not_for_bots_but_for_people(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"consent": {}})
    asked = office.customer_writes("help")
    office.work()
    assert (office.asked(), office.status(asked)) == ([], "delivered")
    office.customer_writes("a human please")
    office.customer_writes("STOP")
    office.work()
    assert office.seen()[-1] == ("message", "STOP")


def test_a_bots_reply_to_somebody_who_opted_out_goes_nowhere(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"consent": {}})
    office.customer_writes("hello")
    office.customer_writes("Stop")
    office.work()
    assert office.asked() == ["hello"]
    assert office.said() == [ANSWERS["STOP"]]
    office.customer_writes("start")
    office.customer_writes("hello again")
    office.work()
    assert office.said() == [ANSWERS["STOP"], ANSWERS["START"], "You said: hello again"]
