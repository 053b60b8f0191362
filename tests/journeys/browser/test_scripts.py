"""The sandbox's pages with names and words that run from right to left, and that they fit a phone then."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Gateway, Windows
from .pages import Chat, Desk, FlexDesk

ARABIC = "مرحبا، أين طلبي؟"
HEBREW = "שרה כהן"
NARROW = {"width": 390, "height": 800}
INPUTS = {
    "agent": ("composer-text", "attachment-name", "attachment-description", "quick-title", "quick-replies", "address"),
    "flex": ("composer-text",),
    "phone": ("composer-text", "start-name", "label", "address"),
    "application": ("composer-text", "start-text"),
}


def directions(found: Locator) -> set[str]:
    return set(found.evaluate_all("all => all.map(one => getComputedStyle(one).direction)"))


def fits(page: Page) -> None:
    page.set_viewport_size(NARROW)
    for what in ("document.documentElement", "document.getElementById('log')", "document.getElementById('composer')"):
        assert page.evaluate(f"{what}.scrollWidth <= {what}.clientWidth"), what
    expect(page.get_by_test_id("send")).to_be_in_viewport(ratio=1)
    assert page.locator(".whom").evaluate("one => one.clientHeight") < 75  # a name and a line, however long they are


@pytest.mark.parametrize(("place", "fields"), INPUTS.items(), ids=INPUTS)
def test_what_is_typed_runs_in_its_own_direction(
    windows: Windows, running: Gateway, place: str, fields: tuple[str, ...]
) -> None:
    page = windows.new().open(f"{running.sandbox}/{place}")
    for field in fields:
        page.locator(f"#{field}").evaluate("(one, words) => { one.value = words; }", ARABIC)
        assert directions(page.locator(f"#{field}")) == {"rtl"}, field


def test_the_phone_shows_names_words_and_answers(windows: Windows, running: Gateway) -> None:
    page = windows.new().open(f"{running.sandbox}/phone")
    page.locator("#start summary").click()
    page.get_by_test_id("start-kind").select_option("whatsapp")
    page.get_by_test_id("start-name").fill(HEBREW)
    page.get_by_test_id("start").click()
    page.get_by_test_id("composer-text").fill(f"{ARABIC} {'long ' * 30}")
    page.get_by_test_id("send").click()
    expect(page.get_by_test_id("message")).to_have_count(2)
    assert directions(page.get_by_test_id("message").first.locator(".text")) == {"rtl"}
    assert directions(page.locator("#customer-name, .contact .name bdi")) == {"rtl"}
    page.get_by_test_id("reply").first.click()
    fits(page)


def test_the_desk_shows_what_both_sides_wrote(windows: Windows, running: Gateway, words: str) -> None:
    chat = Chat(windows.new().open(running.chat))
    chat.is_ready()
    chat.say("May I talk to a person?")
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()
    chat.say(f"{ARABIC} {words}")
    desk = Desk(windows.new().open(running.desk))
    desk.choose(words)
    desk.offer(f"{HEBREW} {words}", HEBREW, "Large")
    expect(chat.agent(f"{HEBREW} {words}")).to_be_visible()
    for text in (f"{ARABIC} {words}", f"{HEBREW} {words}"):
        assert directions(desk.message(text).locator(".text")) == {"rtl"}
    assert directions(desk.message(f"{HEBREW} {words}").get_by_text("Large", exact=True)) == {"ltr"}
    preview = desk.page.locator(".contact .preview bdi").filter(has_text=words)
    expect(preview).to_have_text(f"{HEBREW} {words}")
    assert directions(preview) == {"rtl"}
    fits(desk.page)


def test_the_flex_desk_shows_what_the_bot_knows(windows: Windows, running: Gateway, words: str) -> None:
    chat = Chat(windows.new().open(f"{running.base}/chat/flex"))
    chat.is_ready()
    for text in (f"{ARABIC} {words}", "May I talk to a person?"):
        chat.say(text)
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()
    chat.say(f"{HEBREW} {words}")
    desk = FlexDesk(windows.new().open(f"{running.sandbox}/flex"))
    desk.accept(words)
    said = desk.page.get_by_test_id("transcript").get_by_text(f"{ARABIC} {words}", exact=True)
    assert directions(said) == {"rtl"}
    assert directions(desk.customer(f"{HEBREW} {words}").locator(".text")) == {"rtl"}
    fits(desk.page)
