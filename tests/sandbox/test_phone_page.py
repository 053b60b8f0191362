"""The phone in a real browser, by keyboard and on a small screen."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

import app.sandbox
from tests.support.browser import phone_page

from .flex import connect, wait_until
from .messaging import (
    ADA,
    ADA_WHATSAPP,
    NUMBER,
    READY_CONTENT,
    WHATSAPP,
    Answer,
    end_with,
    say,
    seen,
    shown,
    switch,
    wait_idle,
)

PICTURE = Path(app.sandbox.__file__).parent / "static" / "quote.png"


@pytest.fixture
def page(browser: Browser, texts: str) -> Iterator[Page]:
    with phone_page(browser, f"{texts}/phone") as page:
        yield page


@pytest.fixture
def twilio(texts):
    return connect(texts)


def add(page, kind, **known):
    fill_in(page, kind, **known)
    expect(page.get_by_test_id("composer-text")).to_be_visible()
    expect(page.get_by_test_id("customer-list")).to_be_hidden()


def fill_in(page, kind, **known):
    page.get_by_test_id("start-kind").select_option(kind)
    if known:
        page.get_by_text("Name and address").press("Enter")
    for name, words in known.items():
        page.get_by_test_id(f"start-{name}").fill(words)
    page.get_by_test_id("start").press("Enter")


def ours(page):
    return page.locator("[data-testid=message][data-author=business]")


def mine(page):
    return page.locator("[data-testid=message][data-author=you]")


def test_a_conversation_by_keyboard(texts, page, hooks, twilio):
    add(page, "whatsapp", name="Ada <b>Lovelace</b>", address=ADA_WHATSAPP)
    heading = page.get_by_role("heading", level=2)
    expect(heading).to_have_text("Ada <b>Lovelace</b>")
    expect(heading).to_be_focused()
    expect(page.get_by_test_id("customer-list")).to_be_hidden()
    expect(page.get_by_test_id("about")).to_have_text("WhatsApp · +15551230001 to +15551239999")
    page.get_by_test_id("composer-text").focus()
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    expect(mine(page)).to_have_attribute("data-status", "sent")
    expect(page.get_by_test_id("composer-text")).to_have_value("")
    assert hooks.posts[0].form["ProfileName"] == "Ada <b>Lovelace</b>"
    made = twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="<img src=x onerror=alert(1)> Good day")
    expect(ours(page)).to_contain_text("<img src=x onerror=alert(1)> Good day")
    expect(ours(page)).to_contain_text("Read")
    wait_until(lambda: made.fetch().status == "read")
    form = page.get_by_test_id("composer-text").locator("xpath=ancestor::form")
    assert form.evaluate("form => form.getBoundingClientRect().bottom") == 740
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_not_looked_at_stays_unread(texts, page, twilio):
    made = twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="Good day")
    entry = page.get_by_test_id(f"contact-{ADA_WHATSAPP}")
    expect(entry).to_contain_text("1 unread")
    expect(entry).to_contain_text("WhatsApp · Good day")
    assert made.fetch().status == "delivered"
    entry.press("Enter")
    wait_until(lambda: made.fetch().status == "read")
    page.get_by_role("button", name="Back to customers").press("Enter")
    expect(entry).to_be_focused()
    expect(entry).not_to_contain_text("unread")
    made = twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="Are you there?")
    expect(entry).to_contain_text("1 unread")
    assert made.fetch().status == "delivered"
    entry.press("Enter")
    wait_until(lambda: made.fetch().status == "read")


def test_a_picture_goes_out_with_words(page, hooks):
    add(page, "messenger")
    page.get_by_test_id("file").set_input_files(PICTURE)
    expect(page.get_by_text("quote.png")).to_be_visible()
    page.get_by_test_id("composer-text").fill("Look")
    page.get_by_test_id("send").press("Enter")
    expect(mine(page).get_by_role("img")).to_have_attribute("alt", "quote.png")
    expect(mine(page)).to_contain_text("Look")
    expect(mine(page)).to_have_attribute("data-status", "sent")
    assert mine(page).get_by_role("img").evaluate("image => image.complete && image.naturalWidth > 0")
    form = hooks.posts[0].form
    assert (form["MediaContentType0"], form["Body"]) == ("image/png", "Look")
    expect(page.get_by_text("Attach a picture")).to_be_visible()


def test_a_picture_of_ours_is_shown(page, hooks, twilio):
    hooks.files = {"/q.png": Answer(200, PICTURE.read_bytes().decode("latin-1"), "image/png")}
    add(page, "sms", address=ADA)
    twilio.messages.create(to=ADA, from_=NUMBER, body="Your quote", media_url=[f"{hooks.url}/q.png"])
    expect(ours(page).get_by_role("img")).to_have_attribute("alt", "q.png")
    expect(ours(page)).to_contain_text("Delivered")


def test_a_button_is_pressed_and_a_message_answered(texts, page, hooks, twilio):
    add(page, "whatsapp", address=ADA_WHATSAPP)
    made = twilio.messages.create(
        to=ADA_WHATSAPP, from_=WHATSAPP, content_sid=READY_CONTENT, content_variables='{"1": "Ada"}'
    )
    page.get_by_role("button", name="Talk to a person").press("Enter")
    expect(mine(page)).to_contain_text("In reply to: Hello Ada, how can we help?")
    assert hooks.wait_for(1)[0].form["ButtonPayload"] == "person"
    page.get_by_test_id("reply").press("Enter")
    expect(page.get_by_test_id("reply-to")).to_have_text("Reply to: Hello Ada, how can we help?")
    expect(page.get_by_test_id("composer-text")).to_be_focused()
    page.keyboard.type("Please")
    page.keyboard.press("Enter")
    form = hooks.wait_for(2)[1].form
    assert (form["Body"], form["OriginalRepliedMessageSid"]) == ("Please", made.sid)
    expect(page.get_by_test_id("reply-to")).to_be_hidden()
    page.get_by_test_id("composer-text").fill("Another thing")
    page.get_by_test_id("send").press("Enter")
    assert "OriginalRepliedMessageSid" not in hooks.wait_for(3)[2].form


def test_a_location_is_sent_on_whatsapp_only(page, hooks):
    add(page, "sms")
    expect(page.get_by_test_id("kind-location")).to_be_hidden()
    page.get_by_role("button", name="Back to customers").press("Enter")
    add(page, "whatsapp")
    page.get_by_test_id("kind-location").check(force=True)
    page.get_by_test_id("latitude").fill("52,52")
    page.get_by_test_id("longitude").fill("x")
    page.get_by_test_id("send").press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Not sent: longitude: must be a number")
    expect(page.get_by_test_id("latitude")).to_have_value("52,52")
    page.get_by_test_id("longitude").fill("13.405")
    page.get_by_test_id("send").press("Enter")
    expect(mine(page).get_by_role("link")).to_have_text("Location 52.52, 13.405")
    form = hooks.wait_for(1)[0].form
    assert (form["Latitude"], form["Longitude"]) == ("52.52", "13.405")


def test_stop_and_start_are_a_button(texts, page, hooks):
    add(page, "sms", address=ADA)
    consent = page.get_by_test_id("consent")
    expect(consent).to_have_text("STOP")
    consent.press("Enter")
    expect(consent).to_have_text("START")
    expect(consent).to_be_focused()
    expect(page.get_by_test_id("about")).to_contain_text("opted out")
    expect(page.locator("[data-testid=message][data-author=network]")).to_contain_text("unsubscribed")
    assert seen(texts)["opted_out"] == [ADA]
    consent.press("Enter")
    expect(consent).to_have_text("STOP")
    assert [post.form["Body"] for post in hooks.wait_for(2)] == ["STOP", "START"]
    assert seen(texts)["opted_out"] == []


def test_a_webhook_that_fails_stands_next_to_the_message(texts, page, hooks):
    switch(texts, fallback=False)
    hooks.answers = [Answer(500)]
    add(page, "sms")
    page.get_by_test_id("composer-text").fill("Hello")
    page.get_by_test_id("send").press("Enter")
    expect(mine(page)).to_contain_text("The gateway answered 500")
    expect(mine(page)).to_have_attribute("data-status", "failed")


def test_what_did_not_arrive_says_why_and_takes_no_reply(texts, page, twilio):
    end_with(texts, "undelivered", error_code=63016)
    add(page, "whatsapp", address=ADA_WHATSAPP)
    twilio.messages.create(to=ADA_WHATSAPP, from_=WHATSAPP, body="Good day")
    expect(ours(page)).to_contain_text("63016: ")
    expect(page.get_by_test_id("reply")).to_be_hidden()


def test_what_is_refused_is_said(page):
    fill_in(page, "sms", address="5551230001")
    expect(page.locator("#start-problem")).to_contain_text("is no address for sms")
    expect(page.get_by_test_id("start-address")).to_have_value("5551230001")


def test_a_send_that_fails_on_the_way_says_so(page):
    add(page, "sms")
    page.route("**/messages", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    page.get_by_test_id("composer-text").fill("Hello")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-problem")).to_contain_text("Not sent")
    expect(page.get_by_test_id("composer-text")).to_have_value("Hello")


def test_words_do_not_move_to_another_customer(texts, page):
    say(texts, "Hi", ADA)
    say(texts, "Hi", ADA_WHATSAPP)
    page.set_viewport_size({"width": 1000, "height": 740})
    page.get_by_test_id(f"contact-{ADA}").press("Enter")
    page.get_by_test_id("composer-text").fill("For the number")
    page.get_by_test_id(f"contact-{ADA_WHATSAPP}").press("Enter")
    expect(page.get_by_test_id("composer-text")).to_have_value("")
    page.keyboard.type("For WhatsApp")
    page.keyboard.press("Enter")
    expect(mine(page)).to_have_count(2)
    wait_idle(texts)
    assert [entry["message"]["text"] for entry in shown(texts, ADA_WHATSAPP)] == ["Hi", "For WhatsApp"]
    assert [entry["message"]["text"] for entry in shown(texts, ADA)] == ["Hi"]


def test_a_reset_empties_the_page(texts, page):
    add(page, "sms")
    requests.delete(f"{texts}/inspect")
    expect(page.get_by_text("No customers yet.")).to_be_visible()
