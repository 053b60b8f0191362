from app.sandbox.autopilot.dialogues import Call, Dialogues


def say(dialogues: Dialogues, text: str, user_id: str = "u1", **more):
    return dialogues.advance(Call("v2", "webchat", user_id, text, **more))[0]


def test_a_dialogue_keeps_its_sid_until_it_ends():
    dialogues = Dialogues()
    sids = [say(dialogues, text).sid for text in ("hi", "quote", "bye", "hi")]
    assert sids[0] == sids[1] == sids[2] != sids[3]
    assert sids[0].startswith("UK")
    assert len(sids[0]) == 34


def test_memory_ends_with_the_dialogue():
    dialogues = Dialogues()
    say(dialogues, "hi", memory={"plate": "X1"})
    assert say(dialogues, "bye").memory == {"plate": "X1"}
    assert say(dialogues, "hi").memory == {}


def test_users_do_not_share_memory():
    dialogues = Dialogues()
    say(dialogues, "hi", memory={"plate": "X1"})
    assert say(dialogues, "hi", user_id="u2").memory == {}


def test_a_second_call_of_one_user_is_a_violation_until_the_first_has_left():
    dialogues = Dialogues()
    assert dialogues.enter("u1")
    assert dialogues.enter("u2")
    assert not dialogues.enter("u1")
    dialogues.leave("u1")
    assert dialogues.enter("u1")
    assert dialogues.inspect()["violations"] == [{"kind": "concurrent", "user_id": "u1"}]


def test_a_reset_does_not_let_a_running_call_be_overlapped():
    dialogues = Dialogues()
    dialogues.enter("u1")
    dialogues.reset()
    assert not dialogues.enter("u1")


def test_calls_are_kept_in_order():
    dialogues = Dialogues()
    say(dialogues, "hi", target_task="quote")
    say(dialogues, "bye")
    calls = dialogues.inspect()["calls"]
    assert [(call["text"], call["target_task"], call["current_task"]) for call in calls] == [
        ("hi", "quote", "quote"),
        ("bye", None, "goodbye"),
    ]
