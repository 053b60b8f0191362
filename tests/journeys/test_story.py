"""The main story through real processes: a customer, a bot, a handoff, an agent, and what became of each message."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import orjson
import pytest

from app.platforms.destination import UNAVAILABLE
from tests.journeys.conftest import World
from tests.support.processes import wait_until
from tests.support.shop import message, signed, status
from tests.support.sink import Told


def test_a_customer_talks_to_the_bot(world: World) -> None:
    answer = world.shop.write("talk-1", "ada", "hello")
    assert answer.status_code == 202
    ours = answer.json()["accepted"][0]["message_id"]
    wait_until("the bot has answered", lambda: world.said("ada"))
    wait_until("the shop knows of the delivery", lambda: world.statuses(ours) == ["delivered"])
    call = world.sandbox.inspect()["autopilot"]["calls"][0]
    assert (call["user_id"], call["text"]) == ("shop/webhook:ada", "hello")
    created = world.told("message.created")[0]
    assert created["to"] == {"id": "ada"}
    assert created["author"] == "bot"


def test_many_messages_of_one_customer_reach_the_bot_one_after_the_other(world: World) -> None:
    for number in range(10):
        world.shop.write(f"serial-{number}", "grace", f"word {number}")
    wait_until("the bot has answered all", lambda: len(world.sandbox.inspect()["autopilot"]["calls"]) == 10)
    seen = world.sandbox.inspect()["autopilot"]
    assert [f"word {number}" for number in range(10)] == [call["text"] for call in seen["calls"]]
    assert seen["violations"] == []


def test_a_handoff_takes_the_transcript_along_and_the_agent_answers(world: World) -> None:
    world.shop.write("hand-1", "alan", "hello")
    wait_until("the bot has answered", lambda: world.said("alan"))
    world.shop.write("hand-2", "alan", "I want a human")
    world.shop.write("hand-3", "alan", "typed while waiting")
    wait_until("the agent sees it all", lambda: len(world.sandbox.texts("alan")) >= 5)
    authors = [author for author, _ in world.sandbox.texts("alan")]
    texts = [text for _, text in world.sandbox.texts("alan")]
    assert authors == ["customer", "bot", "customer", "bot", "customer"]
    assert texts[0::2] == ["hello", "I want a human", "typed while waiting"]

    written = world.sandbox.agent_writes("alan", "Agent here")
    wait_until("the customer reads it", lambda: "Agent here" in world.said("alan"))
    wait_until("the agent knows that it was sent", lambda: _values(world, written["mId"]) == ["sent"])
    world.shop.post("st-1", status(written["mId"], "delivered"))
    world.shop.post("st-2", status(written["mId"], "read"))
    world.shop.post("st-3", status(written["mId"], "delivered"))
    expected = ["sent", "delivered", "read"]
    wait_until("the agent knows that it was read", lambda: _values(world, written["mId"]) == expected)
    assert world.sandbox.inspect()["respondio"]["violations"] == []


def test_a_handoff_that_is_refused_leads_back_to_the_bot_until_it_is_replayed(world: World) -> None:
    world.sandbox.fault(target="respondio", kind="fail", times=1, status=400)
    world.shop.write("back-1", "radia", "I want a human")
    world.shop.write("back-2", "radia", "typed while waiting")
    wait_until("the customer is told and answered", lambda: len(world.said("radia")) == 3)
    assert UNAVAILABLE == world.said("radia")[1]
    calls = [call["text"] for call in world.sandbox.inspect()["autopilot"]["calls"]]
    assert ["I want a human", "typed while waiting"] == calls
    letter = next(line for line in _dead_letters(world) if "inbound:desk" in line)
    _letters(world, "replay", letter.split()[0])
    wait_until("the agent sees it all", lambda: len(world.sandbox.texts("radia")) == 4)
    assert "typed while waiting" in [text for _, text in world.sandbox.texts("radia")]


def test_a_report_that_overtakes_its_receipt_is_applied(world: World) -> None:
    _hand_over(world, "early")
    world.shop.post("early-report", status("shop-id-early", "read"))
    world.heard.answers(Told(body=b'{"id":"shop-id-early"}'))
    written = world.sandbox.agent_writes("early", "You read this before we knew")
    wait_until("the agent knows", lambda: "read" in _values(world, written["mId"]))
    assert _values(world, written["mId"]) in (["read"], ["sent", "read"])


def test_a_failure_at_the_shop_is_shown_to_the_agent(world: World) -> None:
    _hand_over(world, "kurt")
    world.heard.answers(Told(status=422, body=b"the customer left"))
    written = world.sandbox.agent_writes("kurt", "Are you there?")
    wait_until("the agent knows", lambda: _values(world, written["mId"]) == ["failed"])
    statuses = world.sandbox.inspect()["respondio"]["statuses"]
    assert "the customer left" in statuses[-1]["message"]
    letters = _dead_letters(world)
    assert any("rejected" in letter for letter in letters)


def test_a_repeated_webhook_gets_the_same_answer_and_is_delivered_once(world: World) -> None:
    answers = [world.shop.write("same-1", "niklaus", "only once").json()["accepted"][0] for _ in range(5)]
    assert len({answer["message_id"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers] == [False, True, True, True, True]
    wait_until("the bot has answered", lambda: world.said("niklaus"))
    assert [call["text"] for call in world.sandbox.inspect()["autopilot"]["calls"]] == ["only once"]


def test_a_bot_that_fails_and_recovers_gets_the_message_once(world: World) -> None:
    world.sandbox.fault(target="autopilot", kind="fail", times=3, status=503)
    world.shop.write("recover-1", "barbara", "hello")
    wait_until("the bot has answered", lambda: world.said("barbara"))
    assert [call["text"] for call in world.sandbox.inspect()["autopilot"]["calls"]] == ["hello"]
    assert len(world.sandbox.inspect()["faults"]["met"]) == 3


def test_a_bot_call_whose_outcome_is_unknown_is_not_repeated(world: World) -> None:
    world.sandbox.fault(target="autopilot", kind="close_after", times=1)
    answer = world.shop.write("unknown-1", "edsger", "hello")
    ours = answer.json()["accepted"][0]["message_id"]
    wait_until("the shop knows", lambda: world.statuses(ours) == ["failed"])
    assert len(world.sandbox.inspect()["autopilot"]["calls"]) == 1
    assert any("unknown" in letter for letter in _dead_letters(world))
    world.shop.write("unknown-2", "edsger", "and now?")
    wait_until("the conversation goes on", lambda: world.said("edsger"))


def test_a_desk_that_throttles_gets_every_message_in_order(world: World) -> None:
    _hand_over(world, "tony")
    world.sandbox.fault(target="respondio", kind="fail", times=2, status=429, retry_after=1)
    for number in range(5):
        world.shop.write(f"throttle-{number}", "tony", f"line {number}")
    expected = [f"line {number}" for number in range(5)]
    wait_until("all arrived", lambda: [t for _, t in world.sandbox.texts("tony")][-5:] == expected)
    assert world.sandbox.inspect()["respondio"]["repeats"] == []


BAD_BODIES = [
    ("no JSON", "{", "", "not JSON"),
    ("a list", "[]", "", "object"),
    ("no type", '{"data":{}}', "type", "required"),
    ("no data", '{"type":"message.created"}', "data", "required"),
    ("no id", message("", "x", "y"), "data.id", "Length"),
    ("no customer", '{"type":"message.created","data":{"id":"1","content":{}}}', "data.from", "required"),
    ("no text", message("bad-1", "x", ""), "data.content.text", "Length"),
    ("unknown content", message("b", "x", "y").replace('"text"', '"film"', 1), "data.content.type", "one of"),
    ("unknown status", status("m", "teleported"), "data.status", "one of"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field", "rule"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
def test_a_malformed_body_is_refused_with_field_and_rule(world: World, body: str, field: str, rule: str) -> None:
    answer = world.shop.post("bad", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert field == error.get("field", "")
    assert rule in error["message"]


def test_a_bad_signature_is_refused_and_nothing_is_recorded(world: World) -> None:
    body = message("forged-1", "mallory", "let me in")
    forged = signed("forged-1", body, "whsec_" + "QUJD" * 8)
    assert world.shop.post("forged-1", body, forged).status_code == 401
    tampered = signed("forged-2", body)
    assert world.shop.post("forged-2", body.replace("let me in", "let us in"), tampered).status_code == 401
    assert not world.shop.write("forged-1", "mallory", "honest").json()["accepted"][0]["duplicate"]


def test_no_secret_and_no_text_of_a_customer_is_in_the_logs(world: World) -> None:
    world.shop.write("quiet-1", "whisper", "my-very-private-words")
    wait_until("the bot has answered", lambda: world.said("whisper"))
    logs = world.system.logs()
    assert '"event":' in logs
    for secret in ("bot-token-0001", "desk-token-0001", "my-very-private-words"):
        assert secret not in logs


def test_each_part_says_what_it_is_when_it_starts(world: World) -> None:
    lines = [orjson.loads(line) for line in world.system.logs().splitlines() if '"event":"started"' in line]
    parts = {line["part"]: line for line in lines}
    assert {"web", "fleet"} == parts.keys()
    assert "webhook" == parts["web"]["channels"]["shop"]
    assert ({version("patchbay")}, 256) == ({line["version"] for line in lines}, parts["fleet"]["threads"])


def _values(world: World, mid: str) -> list[str]:
    return [s["value"] for s in world.sandbox.inspect()["respondio"]["statuses"] if s["mId"] == mid]


def _hand_over(world: World, customer: str) -> None:
    world.shop.write(f"over-{customer}", customer, "a human please")
    wait_until("the agent sees the customer", lambda: len(world.sandbox.texts(customer)) >= 2)


def _dead_letters(world: World) -> list[str]:
    return _letters(world, "list")


def _letters(world: World, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "app.cli", "dead-letters", *arguments]
    done = subprocess.run(command, env=world.system.receiver.environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
