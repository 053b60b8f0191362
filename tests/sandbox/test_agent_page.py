"""The agent desk in a real browser, by keyboard and on a small screen."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import phone_page

from .calls import BEARER, CONTACT_ID, WEBHOOK, message_event, status_event, webhook_body


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with phone_page(browser, f"{served}/agent") as page:
        yield page


def deliver(served, *events, **more):
    body = webhook_body(*events, **more)
    assert requests.post(served + WEBHOOK, json=body, headers=BEARER).ok


def test_a_conversation_by_keyboard(served, page, gateway):
    words = "<img src=x onerror=alert(1)> Hi"
    deliver(served, message_event(words=words), contact={"firstName": "Ada"})
    contact = page.get_by_test_id(f"contact-{CONTACT_ID}")
    expect(contact).to_contain_text("1 unread")
    contact.press("Enter")
    log = page.get_by_test_id("log")
    expect(log).to_contain_text(words)
    page.get_by_test_id("composer-text").fill("Good day")
    page.keyboard.press("Enter")
    sent = page.locator('[data-testid=message][data-mid="gw-1"]')
    expect(sent).to_have_attribute("data-status", "queued")
    expect(page.get_by_test_id("composer-text")).to_have_value("")
    deliver(served, status_event("gw-1", "delivered"))
    expect(sent).to_contain_text("Delivered")
    deliver(served, message_event("e1", "message_echo", "From the bot"))
    expect(page.get_by_test_id("message").last).to_contain_text("Bot")
    assert page.get_by_test_id("message").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_refusal_stands_next_to_the_message(served, page, gateway):
    deliver(served, message_event())
    gateway.answers = [(400, {"error": {"message": "63016: outside the messaging window"}})]
    page.get_by_test_id(f"contact-{CONTACT_ID}").click()
    page.get_by_test_id("composer-text").fill("Good day")
    page.get_by_test_id("send").click()
    failed = page.locator("[data-testid=message][data-status=failed]")
    expect(failed).to_contain_text("63016: outside the messaging window")


def test_what_does_not_fit_is_said_and_stays_in_the_form(served, page):
    deliver(served, message_event())
    page.get_by_test_id(f"contact-{CONTACT_ID}").click()
    page.get_by_test_id("kind-location").press("Space")
    page.get_by_test_id("latitude").fill("99")
    page.get_by_test_id("longitude").fill("1")
    page.get_by_test_id("send").click()
    expect(page.get_by_role("alert")).to_have_text("Not sent: latitude: must lie between -90 and 90")
    expect(page.get_by_test_id("latitude")).to_have_value("99")


def test_a_conversation_on_a_phone_has_its_heading_and_says_that_the_sandbox_is_away(served, page):
    deliver(served, message_event())
    page.get_by_test_id(f"contact-{CONTACT_ID}").click()
    expect(page.get_by_role("heading", level=1, name="Agent desk")).to_have_count(1)
    assert page.get_by_role("banner").first.evaluate("bar => bar.clientHeight") == 0  # the room is the conversation's
    page.route("**/agent/api/**", lambda route: route.abort())
    away = page.get_by_text("The sandbox does not answer.")
    expect(away).to_be_visible()
    expect(away).to_be_in_viewport(ratio=1)
