"""The page of the Telegram stand-in in a real browser, on a small screen."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from app.sandbox.telegram.settings import TelegramSettings
from tests.support.browser import phone_page


@pytest.fixture
def page(browser: Browser, texts: str) -> Iterator[Page]:
    with phone_page(browser, f"{texts}/telegram") as page:
        yield page


@pytest.fixture
def ada(page, texts) -> int:
    """Somebody who was added on the page and has begun a chat."""
    page.get_by_test_id("start-name").fill("Ada Byron")
    page.get_by_test_id("start").click()
    page.get_by_test_id("composer-text").fill("/start")
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("message")).to_have_count(1)
    return int(requests.get(f"{texts}/telegram/api/people").json()["people"][0]["contactId"])


def bot(texts, method, **parameters):
    url = f"{texts}/telegram/bot{TelegramSettings().telegram_token}/{method}"
    assert requests.post(url, json=parameters).json()["ok"]


def test_a_button_of_the_keyboard_says_what_stands_on_it(page, texts, ada):
    keyboard = {"keyboard": [[{"text": "Order 7"}], [{"text": "Order 8"}]], "one_time_keyboard": True}
    bot(texts, "sendMessage", chat_id=ada, text="Which one?", reply_markup=keyboard)
    page.get_by_role("button", name="Order 8").click()
    expect(page.get_by_test_id("message")).to_have_count(3)
    expect(page.get_by_test_id("message").last).to_contain_text("Order 8")
    expect(page.get_by_test_id("message").last).to_have_attribute("data-author", "you")


def test_a_contact_is_sent_with_name_and_number(page, ada):
    page.get_by_test_id("kind-contact").check(force=True)
    page.get_by_test_id("send").click()
    expect(page.locator("#composer-problem")).to_contain_text("first_name")
    page.get_by_test_id("contact-name").fill("Charles")
    page.get_by_test_id("contact-number").fill("+15551230001")
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("message").last).to_contain_text("Charles +15551230001")


def test_whoever_blocks_the_bot_cannot_write_until_it_is_let_in(page, ada):
    page.get_by_test_id("block").click()
    expect(page.get_by_test_id("about")).to_contain_text("has blocked the bot")
    expect(page.get_by_test_id("composer-text")).to_be_hidden()
    page.get_by_test_id("block").click()
    expect(page.get_by_test_id("composer-text")).to_be_visible()


def test_it_shows_that_the_bot_is_typing(page, texts, ada):
    bot(texts, "sendChatAction", chat_id=ada, action="typing")
    expect(page.get_by_test_id("about")).to_contain_text("the bot is typing")
