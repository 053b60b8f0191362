"""What all desks have in common, in a real browser: whom there is, one conversation, and the form to answer in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import phone_page

from .calls import CONTACT_ID, message_event
from .test_agent_page import deliver

OTHER = "dmlzaXRvci84Mg=="


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    with phone_page(browser, f"{served}/agent") as page:
        yield page


def choose(page, contact=CONTACT_ID):
    page.get_by_test_id(f"contact-{contact}").click()
    expect(page.get_by_test_id("composer-text")).to_be_visible()


def back(page):
    page.get_by_role("button", name="Back to contacts").click()


def write(page, words):
    page.get_by_test_id("composer-text").fill(words)


def send(page, words):
    write(page, words)
    page.get_by_test_id("composer-text").press("Enter")


def written(page):
    return page.get_by_test_id("composer-text")


def is_at_end(page):
    return page.get_by_test_id("log").evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 2")


def test_what_is_half_written_outlives_a_reload_and_belongs_to_whom_it_is_for(served, page):
    deliver(served, message_event("m1"))
    deliver(served, message_event("m2"), contact_id=OTHER)
    choose(page)
    write(page, "half a thought")
    back(page)
    choose(page, OTHER)
    expect(written(page)).to_have_value("")
    write(page, "another")
    page.reload()  # whom one talked to is still there
    expect(written(page)).to_have_value("another")
    back(page)
    choose(page)
    expect(written(page)).to_have_value("half a thought")
    send(page, "a whole one")
    expect(page.get_by_test_id("message").last).to_contain_text("a whole one")
    page.reload()
    expect(written(page)).to_be_visible()
    expect(written(page)).to_have_value("")


def test_another_tab_has_drafts_of_its_own(served, page):
    deliver(served, message_event())
    choose(page)
    write(page, "half a thought")
    other = page.context.new_page()
    other.goto(page.url)
    choose(other)
    expect(written(other)).to_have_value("")


def test_what_was_refused_meanwhile_is_a_draft_again(served, page):
    deliver(served, message_event("m1"))
    deliver(served, message_event("m2"), contact_id=OTHER)
    choose(page)
    held = []
    page.route("**/messages", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    send(page, "on its way")
    while not held:  # pytest-timeout bounds it
        page.wait_for_timeout(20)
    back(page)
    choose(page, OTHER)
    with page.expect_response("**/messages"):
        held.pop().fulfill(status=400, json={"error": {"message": "no"}})
    expect(written(page)).to_have_value("")
    expect(page.get_by_role("alert")).to_have_count(0)
    back(page)
    choose(page)
    expect(written(page)).to_have_value("on its way")


TOO_LONG = {"by one": (7001, "1 character too many"), "by many": (8500, "1,500 characters too many")}


@pytest.mark.parametrize(("length", "said"), TOO_LONG.values(), ids=TOO_LONG)
def test_a_text_that_is_too_long_is_counted_and_held_back(served, page, gateway, length, said):
    deliver(served, message_event())
    choose(page)
    count = page.get_by_test_id("count")
    send(page, "🙂" * length)  # a sign is a character, however the browser keeps it
    expect(count).to_contain_text(said)
    expect(page.get_by_test_id("message")).to_have_count(1)
    assert written(page).evaluate("field => [...field.value].length") == length
    write(page, "🙂" * 6990)
    expect(count).to_have_text("10 characters left.")
    written(page).press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(2)
    expect(count).to_have_text("")


def test_the_log_stays_where_one_reads_and_jumps_to_ones_own_message(served, page, gateway):
    for number in range(30):
        deliver(served, message_event(f"m{number}", words=f"Line {number}"))
    choose(page)
    log, latest = page.get_by_test_id("log"), page.get_by_role("button", name="New messages")
    expect(page.get_by_test_id("message")).to_have_count(30)
    assert is_at_end(page)
    expect(latest).to_be_hidden()
    log.evaluate("log => { log.scrollTop = 0; }")
    page.wait_for_timeout(100)
    deliver(served, message_event("late", words="News"))
    expect(page.get_by_test_id("message")).to_have_count(31)
    assert log.evaluate("log => log.scrollTop") == 0
    latest.click()
    assert is_at_end(page)
    expect(latest).to_be_hidden()
    log.evaluate("log => { log.scrollTop = 0; }")
    page.wait_for_timeout(100)
    send(page, "Good day")
    expect(page.get_by_test_id("message")).to_have_count(32)
    assert is_at_end(page)


def test_what_is_said_about_a_picture_is_shown(served, page):
    picture = {"type": "image", "url": "https://files.test/a.png", "description": "A red parcel"}
    page.route("https://files.test/**", lambda route: route.fulfill(status=404))
    deliver(served, message_event() | {"message": {"type": "attachment", "attachment": picture}})
    choose(page)
    expect(page.get_by_test_id("message").locator(".text")).to_have_text("A red parcel")


FACES = {
    "two names": ({"firstName": "Grace", "lastName": "Hopper"}, "GH"),
    "one name": ({"firstName": "Ada"}, "A"),
    "three names": ({"firstName": "Ada Byron", "lastName": "Lovelace"}, "AL"),
    "a number": ({"firstName": "+15551230042"}, "42"),
    "no letters of ours": ({"firstName": "שרה", "lastName": "כהן"}, "שכ"),
}


@pytest.mark.parametrize(("contact", "face"), FACES.values(), ids=FACES)
def test_people_can_be_told_apart_by_their_faces(served, page, contact, face):
    deliver(served, message_event(), contact=contact)
    expect(page.locator(".contact .face")).to_have_text(face)


def test_who_has_a_name_is_not_shown_by_an_address(served, page):
    deliver(served, message_event(), contact={"firstName": "Ada", "phone": "+15551230001"})
    choose(page)
    expect(page.get_by_role("heading", level=2)).to_have_text("Ada")
    expect(page.get_by_test_id("about")).to_have_text("+15551230001")
    assert CONTACT_ID not in page.inner_text("body")
