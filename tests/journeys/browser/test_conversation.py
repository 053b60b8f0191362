"""A visitor, the bot and a person, each in front of a real page."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Route, expect

from .conftest import Gateway, Window, Windows
from .pages import Chat, Desk

LADDER = ["waiting", "queued", "sent", "delivered", "read"]


@pytest.fixture
def visitor(windows: Windows) -> Window:
    return windows.new()


@pytest.fixture
def chat(visitor: Window, running: Gateway) -> Chat:
    chat = Chat(visitor.open(running.chat))
    chat.is_ready()
    return chat


@pytest.fixture
def desk(windows: Windows, running: Gateway) -> Desk:
    return Desk(windows.new().open(running.desk))


def hand_over(chat: Chat, desk: Desk, words: str) -> None:
    """The visitor asks for a person, says something to him, and the agent opens the conversation."""
    chat.say("May I talk to a person?")
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()
    chat.say(words)
    desk.choose(words)
    expect(desk.message(words)).to_be_visible()


def test_the_bot_answers_and_the_ticks_climb(chat: Chat, words: str) -> None:
    chat.watch()
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_be_visible()
    expect(chat.bot(f"You said: {words}")).to_have_attribute("data-status", "read")
    expect(chat.own(words)).to_have_attribute("data-status", "delivered")
    expect(chat.own(words).get_by_role("img", name="Delivered")).to_be_visible()
    statuses = chat.seen("customer")
    assert statuses == sorted(statuses, key=LADDER.index)
    assert statuses[-1] == "delivered"
    expect(chat.messages).to_have_count(2)


def test_an_agent_takes_over_and_sees_when_he_is_read(chat: Chat, desk: Desk, words: str) -> None:
    hand_over(chat, desk, words)
    expect(chat.own("May I talk to a person?")).to_have_attribute("data-status", "delivered")
    expect(chat.own(words)).to_have_attribute("data-status", "sent")

    chat.look_away()
    desk.say("Good day, how can I help?")
    answer = chat.agent("Good day, how can I help?")
    expect(answer).to_be_visible()
    expect(desk.message("Good day, how can I help?")).to_have_attribute("data-status", "delivered")
    expect(chat.page).to_have_title("(1) The example shop")

    chat.look()
    expect(desk.message("Good day, how can I help?")).to_have_attribute("data-status", "read")
    expect(answer).to_have_attribute("data-status", "read")
    expect(chat.page).to_have_title("The example shop")


def test_a_reload_keeps_the_conversation(chat: Chat, words: str) -> None:
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_have_attribute("data-status", "read")
    before = chat.messages.evaluate_all("all => all.map(m => [m.dataset.id, m.dataset.author, m.innerText])")
    reports: list[str] = []
    chat.page.on("request", lambda request: reports.append(request.url) if "/channels/" in request.url else None)

    chat.page.reload()
    chat.is_ready()

    assert before == chat.messages.evaluate_all("all => all.map(m => [m.dataset.id, m.dataset.author, m.innerText])")
    assert reports == []  # nothing is sent or reported a second time


def test_the_ticks_climb_in_every_tab_whichever_of_them_sent(chat: Chat, visitor: Window, running: Gateway) -> None:
    other = Chat(visitor.open(running.chat))
    other.is_ready()
    texts = [f"Number {number}" for number in range(6)]
    for text in texts:  # either tab may take it out of the outbox
        other.say(text)
        expect(other.bot(f"You said: {text}")).to_be_visible()
    for tab in (chat, other):
        for text in texts:
            expect(tab.own(text)).to_have_attribute("data-status", "delivered")
        expect(tab.messages).to_have_count(2 * len(texts))


def test_what_is_written_offline_is_sent_once_and_in_order(chat: Chat, visitor: Window, words: str) -> None:
    visitor.context.set_offline(True)
    chat.say(f"{words} one")
    chat.say(f"{words} two")
    expect(chat.own(f"{words} two").get_by_role("img", name="Waiting to be sent")).to_be_visible()

    visitor.context.set_offline(False)
    expect(chat.bot(f"You said: {words} two")).to_be_visible()
    expect(chat.own(f"{words} two")).to_have_attribute("data-status", "delivered")
    said = chat.page.locator("[data-author=bot] .bubble").all_inner_texts()
    assert [f"You said: {words} one", f"You said: {words} two"] == said
    visitor.errors.clear()  # a browser tells its console that it is offline


def test_what_waits_has_a_name_of_its_own_in_the_storage_and_the_list_of_older_pages_is_taken_over(
    chat: Chat, visitor: Window, words: str
) -> None:
    """A tab that took what it sent out of one list would throw away what another tab has just put in."""
    older = [{"id": f"older-{number}", "text": f"{words} {number}", "at": number} for number in (1, 2)]
    chat.page.evaluate("list => localStorage.setItem('patchbay:shop:outbox', JSON.stringify(list))", older)
    chat.page.route("**/channels/shop", lambda route: route.abort())
    chat.page.reload()
    chat.say(f"{words} 3")
    kept = "Object.keys(localStorage).filter((key) => key.startsWith('patchbay:shop:outbox')).length"
    assert chat.page.evaluate(kept) == 3
    assert chat.page.evaluate("localStorage.getItem('patchbay:shop:outbox')") is None
    chat.page.unroute_all(behavior="wait")
    chat.page.reload()
    expect(chat.bot(f"You said: {words} 3")).to_be_visible()
    said = chat.page.locator("[data-author=bot] .bubble").all_inner_texts()
    assert [f"You said: {words} {number}" for number in (1, 2, 3)] == said
    assert chat.page.evaluate(kept) == 0
    visitor.errors.clear()  # of the tries that were stopped


def test_a_message_whose_answer_was_lost_arrives_once_even_after_a_reload(
    chat: Chat, visitor: Window, words: str
) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        route.fetch()  # accepted
        lost.append(route.request.post_data or "")
        route.abort()

    chat.page.route("**/channels/shop", lose)
    chat.page.route("**/events?*", lambda route: route.abort())  # nor does the page learn it from its stream
    chat.page.reload()
    chat.say(words)
    expect(chat.own(words)).to_have_attribute("data-status", "waiting")
    while len(lost) < 2:  # the first try and another; pytest-timeout bounds it
        chat.page.wait_for_timeout(50)
    chat.page.unroute_all(behavior="wait")
    chat.page.reload()

    expect(chat.bot(f"You said: {words}")).to_be_visible()
    expect(chat.own(words)).to_have_attribute("data-status", "delivered")
    chat.say(f"{words} more")
    expect(chat.bot(f"You said: {words} more")).to_be_visible()
    expect(chat.messages).to_have_count(4)
    assert len(set(lost)) == 1
    visitor.errors.clear()  # a browser tells its console about requests that failed


def test_a_refused_message_says_why_and_can_be_tried_again(chat: Chat, visitor: Window, words: str) -> None:
    refusal = {"error": {"field": "data.content.text", "message": "Longer than maximum length 7000."}}
    chat.page.route("**/channels/shop", lambda route: route.fulfill(status=400, json=refusal), times=1)
    chat.say(f"{words} refused")
    expect(chat.own(f"{words} refused")).to_have_attribute("data-status", "failed")
    expect(chat.own(f"{words} refused")).to_contain_text("Not delivered. Longer than maximum length 7000.")

    chat.say(f"{words} next")  # it does not stand in the way
    expect(chat.bot(f"You said: {words} next")).to_be_visible()
    chat.page.reload()
    chat.is_ready()
    chat.own(f"{words} refused").get_by_role("button", name="Try again").click()
    expect(chat.bot(f"You said: {words} refused")).to_be_visible()
    expect(chat.own(f"{words} refused")).to_have_count(1)
    expect(chat.own(f"{words} refused")).to_have_attribute("data-status", "delivered")
    visitor.errors.clear()


@pytest.mark.parametrize("status", [429, 503])
def test_a_crowded_receiver_is_given_the_time_it_asks_for(chat: Chat, visitor: Window, words: str, status: int) -> None:
    chat.page.evaluate(
        """() => { window.waits = []; const real = setTimeout;
        window.setTimeout = (work, ms, ...rest) => { window.waits.push(ms); return real(work, ms, ...rest); }; }"""
    )
    chat.page.route(
        "**/channels/shop",
        lambda route: route.fulfill(status=status, headers={"Retry-After": "1.234"}, json={}),
        times=1,
    )
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_be_visible()
    assert 1234 in chat.page.evaluate("window.waits")
    visitor.errors.clear()


def test_a_token_that_is_no_longer_good_begins_a_new_conversation(
    chat: Chat, visitor: Window, words: str, running: Gateway
) -> None:
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_be_visible()
    chat.page.evaluate("localStorage.setItem('patchbay:shop:token', JSON.stringify('no-longer-good'))")
    chat.page.reload()
    expect(chat.page.get_by_text("A new one begins here.")).to_be_visible()
    expect(chat.messages).to_have_count(0)
    chat.say(f"{words} again")
    expect(chat.bot(f"You said: {words} again")).to_have_attribute("data-status", "read")  # no report is under way

    chat.page.route(  # and when it is a post that is refused
        "**/channels/shop", lambda route: route.fulfill(status=401, json={"error": {"message": "expired"}}), times=1
    )
    chat.say(f"{words} at last")
    expect(chat.bot(f"You said: {words} at last")).to_be_visible()
    expect(chat.messages).to_have_count(2)
    visitor.errors.clear()


def test_a_visitor_can_be_forgotten_on_this_device(chat: Chat, visitor: Window, running: Gateway, words: str) -> None:
    expect(chat.page.get_by_test_id("forget")).to_be_hidden()  # there is nothing to forget
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_have_attribute("data-status", "read")
    other = Chat(visitor.open(running.chat))
    expect(other.bot(f"You said: {words}")).to_be_visible()
    token = chat.page.evaluate("localStorage.getItem('patchbay:shop:token')")
    chat.page.get_by_test_id("composer").fill("half a thought")

    chat.page.get_by_test_id("forget").click()
    chat.page.get_by_test_id("forget-no").click()
    expect(chat.messages).to_have_count(2)
    with chat.page.expect_response("**/chat/shop/forget") as told:
        chat.page.get_by_test_id("forget").click()
        chat.page.get_by_test_id("forget-yes").click()
    assert told.value.status == 204

    for tab in (chat, other):
        expect(tab.messages).to_have_count(0)
        expect(tab.page.get_by_text("Forgotten on this device.")).to_be_visible()
    expect(chat.page.get_by_test_id("composer")).to_have_value("")
    headers = {"Authorization": f"Bearer {json.loads(token)}"}
    post = chat.page.request.post(
        f"{running.base}/channels/shop", headers=headers, data={"type": "conversation.typing"}
    )
    assert post.status == 401

    chat.say(f"{words} anew")
    for tab in (chat, other):
        expect(tab.bot(f"You said: {words} anew")).to_be_visible()
        expect(tab.messages).to_have_count(2)
    kept = chat.page.evaluate("JSON.stringify(localStorage)")
    assert (token in kept, words in kept) == (False, False)
    chat.page.reload()
    expect(chat.bot(f"You said: {words} anew")).to_be_visible()
    expect(chat.messages).to_have_count(2)


HEARS = """async (removed) => {
    const { visitorUrl } = document.getElementById("chat").dataset;
    const { token } = await (await fetch(visitorUrl, { method: "POST" })).json();
    const [key, newValue] = ["patchbay:shop:token", JSON.stringify(token)];
    localStorage.setItem(key, newValue);
    if (removed) dispatchEvent(new StorageEvent("storage", { key, newValue: null }));
    dispatchEvent(new StorageEvent("storage", { key, newValue }));
}"""


def test_a_tab_that_hears_late_of_the_forgetting_says_so_too(chat: Chat, words: str) -> None:
    """The other tab has fetched its new token before this one hears that the old one is gone; and yet another token."""
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_be_visible()
    for removed in (True, False):
        chat.page.evaluate(HEARS, removed)
        expect(chat.messages).to_have_count(0)
        expect(chat.page.get_by_text("Forgotten on this device.")).to_be_visible()
    chat.say(f"{words} anew")
    expect(chat.bot(f"You said: {words} anew")).to_be_visible()
    expect(chat.messages).to_have_count(2)
    chat.page.evaluate(HEARS, False)
    expect(chat.page.get_by_text("A new one begins here.")).to_be_visible()


def test_a_browser_forgets_at_once_and_tells_the_server_when_it_can(
    chat: Chat, visitor: Window, running: Gateway, words: str
) -> None:
    chat.say(words)
    expect(chat.bot(f"You said: {words}")).to_be_visible()
    token = json.loads(chat.page.evaluate("localStorage.getItem('patchbay:shop:token')"))
    visitor.context.set_offline(True)
    chat.say(f"{words} never sent")
    chat.page.get_by_test_id("forget").click()
    chat.page.get_by_test_id("forget-yes").click()
    expect(chat.messages).to_have_count(0)
    assert chat.page.evaluate("Object.keys(localStorage).filter((key) => key.endsWith('token'))") == []
    with chat.page.expect_response(lambda answer: answer.url.endswith("/forget") and answer.status == 204) as told:
        visitor.context.set_offline(False)
    assert told.value.request.headers["authorization"] == f"Bearer {token}"
    chat.is_ready()
    expect(chat.messages).to_have_count(0)
    visitor.errors.clear()  # a browser tells its console that it is offline


def test_two_visitors_are_kept_apart(chat: Chat, windows: Windows, running: Gateway, words: str) -> None:
    other = Chat(windows.new().open(running.chat))
    chat.say(f"{words} of the first")
    other.say(f"{words} of the second")
    expect(chat.bot(f"You said: {words} of the first")).to_be_visible()
    expect(other.bot(f"You said: {words} of the second")).to_be_visible()
    expect(chat.messages).to_have_count(2)
    expect(other.messages).to_have_count(2)


def test_two_tabs_of_one_visitor_show_the_same(chat: Chat, visitor: Window, running: Gateway, words: str) -> None:
    other = Chat(visitor.open(running.chat))
    other.is_ready()
    chat.say(f"{words} here")
    other.say(f"{words} there")
    for tab in (chat, other):
        expect(tab.bot(f"You said: {words} here")).to_be_visible()
        expect(tab.bot(f"You said: {words} there")).to_be_visible()
        expect(tab.messages).to_have_count(4)


def test_the_keyboard_is_enough(chat: Chat, desk: Desk, words: str) -> None:
    keys = chat.page.keyboard
    keys.press("Tab")
    expect(chat.page.get_by_test_id("log")).to_be_focused()
    keys.press("Tab")
    expect(chat.page.get_by_test_id("composer")).to_be_focused()
    keys.type("I want an agent")
    keys.press("Shift+Enter")
    keys.type("please")
    keys.press("Enter")
    expect(chat.own("I want an agent\nplease")).to_be_visible()
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()
    keys.type(words)
    keys.press("Enter")

    desk.choose(words)
    desk.offer("Which size?", "Small", "Large")
    expect(chat.agent("Which size?")).to_be_visible()
    keys.press("Shift+Tab")
    expect(chat.page.get_by_role("button", name="Large")).to_be_focused()
    keys.press("Shift+Tab")
    keys.press("Enter")

    expect(chat.own("Small")).to_have_attribute("data-status", "sent")
    expect(desk.customer("Small")).to_be_visible()
    expect(chat.page.get_by_test_id("composer")).to_be_focused()
    for name in ("Small", "Large"):
        expect(chat.page.get_by_role("button", name=name)).to_be_disabled()
    chat.page.reload()
    expect(chat.page.get_by_role("button", name="Large")).to_be_disabled()
