"""The home page in a real browser: the faults as buttons."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import phone_page


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with phone_page(browser, served) as page:
        yield page


def active(served):
    return [(one["target"], one["kind"]) for one in requests.get(f"{served}/faults").json()["faults"]]


def test_faults_are_switched_by_keyboard_and_all_is_well_again(served, page):
    said, well = page.get_by_test_id("faults-on"), page.get_by_test_id("well")
    expect(said).to_have_text("All is well.")
    expect(well).to_be_hidden()
    down = page.get_by_role("button", name="Bot down")
    down.press("Enter")
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(said).to_have_text("Bot answers every call with 503.")
    assert active(served) == [("autopilot", "fail")]
    page.get_by_test_id("fault-flex-repeats").press("Space")
    expect(said).to_have_text("Bot answers every call with 503. Twilio Flex sends every webhook twice.")
    down.press("Enter")
    expect(down).to_have_attribute("aria-pressed", "false")
    assert active(served) == [("flex", "duplicate")]
    well.press("Enter")
    expect(said).to_have_text("All is well.")
    expect(page.locator("[aria-pressed=true]")).to_have_count(0)
    assert active(served) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_others_switch_shows(served, page):
    requests.put(f"{served}/sandbox/faults/messaging/disorders")
    expect(page.get_by_test_id("fault-messaging-disorders")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("well")).to_be_visible()


def test_what_cannot_be_switched_is_said(page):
    expect(page.get_by_test_id("faults-on")).to_have_text("All is well.")
    page.route("**/sandbox/faults/**", lambda route: route.fulfill(status=404, json={"error": {"message": "Gone."}}))
    page.get_by_test_id("fault-flex-down").click()
    expect(page.get_by_role("alert")).to_have_text("Gone.")


@pytest.mark.parametrize("path", ["/", "/agent", "/phone", "/application"])
def test_without_scripts_a_page_says_so_and_offers_nothing_that_would_not_work(browser, served, path):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{served}{path}")
        expect(page.locator("noscript p")).to_be_visible()
        assert "This page needs JavaScript." in page.content()
        for button in page.get_by_role("button").all():
            assert button.is_disabled() or not button.is_visible()
