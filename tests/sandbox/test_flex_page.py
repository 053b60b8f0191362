"""The Flex desk in a real browser, by keyboard and on a small screen."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

import app.sandbox
from app.sandbox import create_app
from tests.support.browser import phone_page

from .flex import (
    CUSTOMER,
    ON,
    SETTINGS,
    chat,
    conversation,
    make_channel,
    make_conversation,
    make_flow,
    make_interaction,
    tasks,
)

PICTURE = Path(app.sandbox.__file__).parent / "static" / "quote.png"
KNOWN = {
    "name": "Ada <b>Lovelace</b>",
    "memory": {"order": "4711"},
    "transcript": [{"author": "customer", "text": "Where is it?"}, {"author": "bot", "text": "On its way."}],
}


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with phone_page(browser, f"{served}/flex") as page:
        yield page


@pytest.fixture
def channel(twilio, listener):
    """A chat that waits, with a listener."""
    made = make_channel(twilio, make_flow(twilio), task_attributes=json.dumps(KNOWN))
    context = chat(twilio, made.sid)
    context.webhooks.create(
        type="webhook",
        configuration_url=listener.url,
        configuration_filters=["onMessageSent", "onMemberUpdated", "onChannelUpdated"],
    )
    context.messages.create(from_=CUSTOMER, body="<img src=x onerror=alert(1)> Hi", **ON)
    return context


def open_chat(page):
    page.get_by_test_id("task").first.press("Enter")
    expect(page.get_by_test_id("accept")).to_be_visible()
    page.get_by_test_id("accept").press("Enter")
    expect(page.get_by_test_id("composer-text")).to_be_focused()


def test_a_chat_by_keyboard(twilio, page, listener, channel):
    expect(page.get_by_test_id("waiting")).to_have_text("1 task is waiting.")
    expect(page.get_by_test_id("task")).to_contain_text("Waiting")
    page.get_by_test_id("task").press("Enter")
    expect(page.get_by_test_id("task-list")).to_be_hidden()
    expect(page.get_by_role("heading", level=2)).to_have_text("Ada <b>Lovelace</b>")
    expect(page.get_by_test_id("transcript")).to_contain_text("bot: On its way.")
    expect(page.get_by_test_id("context")).to_contain_text("4711")
    expect(page.get_by_test_id("composer-text")).to_be_hidden()
    assert "onMemberUpdated" not in listener.events
    page.get_by_test_id("accept").press("Enter")
    composer = page.get_by_test_id("composer-text")
    expect(composer).to_be_focused()
    expect(page.get_by_test_id("log")).to_contain_text("<img src=x onerror=alert(1)> Hi")
    assert composer.locator("xpath=ancestor::form").evaluate("form => form.getBoundingClientRect().bottom") == 740
    page.keyboard.type("Good day")
    page.keyboard.press("Enter")
    sent = page.locator("[data-testid=message][data-author=agent]")
    expect(sent).to_have_attribute("data-status", "sent")
    expect(composer).to_have_value("")
    assert {"onMemberUpdated", "onTypingStarted"} <= set(listener.events)
    channel.members(CUSTOMER).update(last_consumed_message_index=1)
    expect(sent).to_contain_text("Read")
    page.get_by_test_id("end").press("Enter")
    expect(page.get_by_test_id("about")).to_contain_text("Over")
    expect(composer).to_be_hidden()
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    assert tasks(twilio).list()[0].assignment_status == "completed"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_conversation_on_the_same_page(twilio, page, channel):
    room = make_conversation(twilio, "webchat:v82")
    make_interaction(twilio, room.sid, customerName="Grace", channelType="web")
    expect(page.get_by_test_id("task")).to_have_count(2)
    open_chat(page)
    expect(page.get_by_test_id("about")).to_have_text("web · Conversations · Open")
    conversation(twilio, room.sid).messages.create(author="webchat:v82", body="Hello from Grace")
    expect(page.get_by_test_id("log")).to_contain_text("Hello from Grace")
    participants = conversation(twilio, room.sid).participants
    expect(page.get_by_test_id("message")).to_have_count(1)
    conversation(twilio, room.sid).update(state="closed")
    expect(page.get_by_test_id("complete")).to_be_visible()
    page.get_by_test_id("complete").press("Enter")
    expect(page.get_by_test_id("about")).to_contain_text("Over")
    assert participants(SETTINGS.flex_agent).fetch().last_read_message_index == 0


def test_a_picture_is_sent_with_words(page, listener, channel):
    open_chat(page)
    page.get_by_test_id("file").set_input_files(PICTURE)
    expect(page.get_by_text("quote.png")).to_be_visible()
    page.get_by_test_id("composer-text").fill("Look")
    page.get_by_test_id("send").press("Enter")
    sent = page.locator("[data-testid=message][data-author=agent]")
    expect(sent.get_by_role("img")).to_have_attribute("alt", "quote.png")
    expect(sent).to_contain_text("Look")
    expect(sent).to_have_attribute("data-status", "sent")
    assert sent.get_by_role("img").evaluate("image => image.complete && image.naturalWidth > 0")
    (form,) = (call.form for call in listener.calls if call.form.get("MediaSid"))
    assert (form["MediaFilename"], form["MediaContentType"]) == ("quote.png", "image/png")


def test_a_webhook_that_fails_stands_next_to_the_message(page, listener, channel):
    open_chat(page)
    page.get_by_test_id("composer-text").fill("Good day")
    page.wait_for_timeout(200)  # for the typing hint, which is a webhook as well
    listener.answers = [500]
    page.keyboard.press("Enter")
    failed = page.locator("[data-testid=message][data-status=failed]")
    expect(failed).to_contain_text("The gateway answered 500")


def test_what_is_refused_is_said_and_stays_in_the_form(twilio, page):
    room = make_conversation(twilio)
    make_interaction(twilio, room.sid)
    open_chat(page)
    page.get_by_test_id("composer-text").fill("x" * 1601)
    page.get_by_test_id("send").press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Not sent: text: must have at most 1600 characters")
    expect(page.get_by_test_id("composer-text")).to_have_value("x" * 1601)


def test_a_send_that_fails_on_the_way_says_so(page, channel):
    open_chat(page)
    page.route("**/messages", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_test_id("composer-text").fill("Good day")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Not sent")
    expect(page.get_by_test_id("composer-text")).to_have_value("Good day")


def test_the_back_button_returns_to_the_list(served, page, channel):
    page.get_by_test_id("task").press("Enter")
    page.get_by_role("button", name="Back to tasks").press("Enter")
    expect(page.get_by_test_id("task")).to_be_focused()
    requests.delete(f"{served}/inspect")
    expect(page.get_by_text("No tasks yet.")).to_be_visible()


def test_what_the_bot_knows_is_open_until_the_task_is_accepted(twilio, page):
    make_channel(twilio, make_flow(twilio), task_attributes=json.dumps(KNOWN))
    page.get_by_test_id("task").press("Enter")
    expect(page.get_by_test_id("transcript")).to_be_visible()
    page.get_by_test_id("accept").press("Enter")
    expect(page.get_by_test_id("composer-text")).to_be_visible()
    expect(page.get_by_test_id("transcript")).to_be_hidden()


def test_what_the_chat_shows_is_not_shown_twice(page, channel):
    page.get_by_test_id("task").press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(1)
    expect(page.get_by_test_id("transcript")).to_be_hidden()
    page.get_by_text("What the bot knows").press("Enter")
    expect(page.get_by_test_id("transcript")).to_be_visible()


def test_the_focus_does_not_go_where_one_cannot_write(twilio, page, channel):
    page.set_viewport_size({"width": 1000, "height": 740})
    make_interaction(twilio, make_conversation(twilio, "webchat:v82").sid, customerName="Grace")
    expect(page.get_by_test_id("task")).to_have_count(2)
    page.get_by_test_id("task").last.click()
    page.get_by_test_id("accept").click()
    expect(page.get_by_test_id("composer-text")).to_be_focused()
    page.get_by_test_id("task").first.click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Grace")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    page.get_by_test_id("task").last.click()
    expect(page.get_by_test_id("composer-text")).to_be_focused()


def test_an_agent_sees_that_the_customer_has_left(twilio, page, channel):
    open_chat(page)
    expect(page.get_by_test_id("log")).not_to_contain_text("This chat is over")
    channel.update(attributes=json.dumps({"status": "INACTIVE"}))
    expect(page.get_by_test_id("log")).to_contain_text(
        "This chat is over: an agent has ended it, or the customer has left."
    )
    expect(page.get_by_test_id("message")).to_have_count(1)
    expect(page.get_by_test_id("composer-text")).to_be_hidden()


NAMES = {
    "agent_5Fkim": "Kim",
    "kim": "Kim",
    "agent_5Fkim_2Dmarie": "Kim-Marie",
    "kim_40example_2Ecom": "kim@example.com",
    "ada_5Flovelace": "Ada Lovelace",
    "x_zz": "X Zz",
}


@pytest.mark.parametrize(("identity", "name"), NAMES.items(), ids=NAMES)
def test_an_agent_has_the_name_of_a_person(identity, name):
    client = create_app(replace(SETTINGS, flex_agent=identity)).test_client()
    assert f"You are <strong>{name}</strong>." in client.get("/flex").text
