"""What the chat page shows of every kind of content, and that it fits a phone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from .conftest import Gateway, Windows
from .pages import Chat

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)
OPENSTREETMAP = re.compile(r"^https://www\.openstreetmap\.org/\?mlat=52\.52&mlon=13\.405")
LONG = "https://example.com/" + "x" * 300  # nowhere to break
CONTENTS: list[dict[str, Any]] = [
    {"type": "text", "text": f"Two\nlines, <b>not bold</b>, (see https://example.com/a_(b)?x=1). {LONG}"},
    {"type": "attachment", "kind": "image", "url": "https://pictures.test/a.png", "description": "A red parcel"},
    {"type": "attachment", "kind": "image", "url": "https://pictures.test/missing.png", "file_name": "missing.png"},
    {"type": "attachment", "kind": "file", "url": "https://files.test/terms.pdf", "file_name": "terms.pdf"},
    {"type": "attachment", "kind": "audio", "url": "https://files.test/note.mp3", "description": "A voice note"},
    {"type": "attachment", "kind": "video", "url": "https://files.test/film.mp4"},
    {"type": "location", "latitude": 52.52, "longitude": 13.405, "address": "Alexanderplatz, Berlin"},
    {"type": "quick_reply", "title": "Which size?", "replies": ["Small", "Large " * 20]},
    {"type": "card", "text": "Parcel S", "images": [{"url": "https://pictures.test/a.png", "label": "Quote S"}]},
    {"type": "hologram"},
    {"type": "attachment", "kind": "file", "url": "javascript:alert(1)", "file_name": "trap"},
]


def message(number: int, content: dict[str, Any], author: str = "bot", **more: Any) -> tuple[str, dict[str, Any]]:
    at = int(time.time() * 1000) - 3 * 86_400_000 if number == 0 else int(time.time() * 1000)
    data = {"id": f"m{number}", "client_id": None, "author": author, "at": at, "content": content, "status": "read"}
    return "message", data | {"error": ""} | more


def stream_of(*events: tuple[str, dict[str, Any]]) -> str:
    numbered = enumerate([*events, ("ready", {})], 1)
    return "retry: 600000\n\n" + "".join(
        f"id: {number}-0\nevent: {kind}\ndata: {json.dumps(data)}\n\n" for number, (kind, data) in numbered
    )


def show(page: Page, url: str, *events: tuple[str, dict[str, Any]]) -> Chat:
    """The chat page with a stream of our making, and an outside world that has one picture."""

    def outside(route: Route) -> None:
        if route.request.url.endswith("a.png"):
            route.fulfill(body=PIXEL, content_type="image/png")
        else:
            route.fulfill(status=404)

    body = stream_of(*events)
    page.route("**/events?*", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    page.route("**/channels/shop", lambda route: route.fulfill(status=202, json={"accepted": []}))
    page.route("**/*.test/**", outside)
    page.goto(url)
    chat = Chat(page)
    chat.is_ready()
    return chat


@pytest.fixture
def page(windows: Windows) -> Page:
    return windows.new().open("about:blank")


def test_every_content_is_shown(page: Page, windows: Windows, running: Gateway) -> None:
    chat = show(page, running.chat, *(message(number, content) for number, content in enumerate(CONTENTS)))
    expect(chat.messages).to_have_count(len(CONTENTS))

    def shown(number: int) -> Locator:
        return page.locator(f"[data-id=m{number}]")

    expect(shown(0)).to_contain_text("<b>not bold</b>")
    expect(shown(0).get_by_role("link").first).to_have_attribute("href", "https://example.com/a_(b)?x=1")
    expect(shown(1).get_by_role("img", name="A red parcel")).to_be_visible()
    expect(shown(2)).to_contain_text("missing.png (no preview)")
    expect(shown(3).get_by_role("link", name="terms.pdf")).to_have_attribute("rel", "noopener noreferrer")
    expect(shown(4)).to_contain_text("A voice note")
    expect(shown(5).locator("video, a")).to_have_count(1)
    expect(shown(6)).to_contain_text("52.52, 13.405")
    expect(shown(6).get_by_role("link")).to_have_attribute("href", OPENSTREETMAP)
    expect(shown(7).get_by_role("button")).to_have_count(2)
    expect(shown(8).get_by_role("img", name="Quote S")).to_be_visible()
    expect(shown(9)).to_contain_text("cannot be shown")
    expect(shown(10).get_by_role("link")).to_have_count(0)
    expect(page.locator(".day")).to_have_count(2)
    windows.opened[0].errors.clear()  # what was not found outside


LINKS = {
    "a sentence ends": ("See https://example.com/a.", "https://example.com/a"),
    "brackets of its own": ("https://example.com/a_(b)_(c)?d", "https://example.com/a_(b)_(c)?d"),
    "brackets around it": ("(https://example.com/a_(b)), then", "https://example.com/a_(b)"),
    "brackets and signs mixed": ("((https://example.com/a).).)", "https://example.com/a"),
    "opened and never closed": ("https://example.com/a((b)", "https://example.com/a((b)"),
    "thousands of brackets": ("https://example.com/" + ")" * 1500, "https://example.com/"),
    "as long as may be": ("https://example.com/" + "x" * 2028, "https://example.com/" + "x" * 2028),
    "too long": ("https://example.com/" + "x" * 2029, None),
    "a host is missing": ("https://...", None),
    "no scheme of the web": ("javascript://example.com/a", None),
}


@pytest.mark.parametrize(("text", "address"), LINKS.values(), ids=LINKS)
def test_links_are_found_in_text(page: Page, running: Gateway, text: str, address: str | None) -> None:
    chat = show(page, running.chat, message(1, {"type": "text", "text": text}))
    assert chat.messages.locator(".text").text_content() == text
    links = chat.messages.get_by_role("link")
    assert [address] * bool(address) == [link.get_attribute("href") for link in links.all()]


def test_no_text_stops_the_page(page: Page, running: Gateway) -> None:
    """Bounded work for each letter: what took minutes when links were looked at once for each of their letters."""
    ends = [")" * 200_000, "." * 200_000 + "x", "(" * 100_000 + ")" * 200_000, ").".join("x" * 100_000)]
    texts = [f"https://example.com/{end}" for end in ends] + ["https://a " * 2_000]
    chat = show(page, running.chat, *(message(n, {"type": "text", "text": text}) for n, text in enumerate(texts)))
    expect(chat.messages).to_have_count(len(texts))
    expect(chat.messages.get_by_role("link")).to_have_count(2_000)


RIGHT_TO_LEFT = {"Arabic": "مرحبا، أين طلبي؟ https://example.com/a/", "Hebrew": "שלום, איפה ההזמנה שלי?"}


@pytest.mark.parametrize("text", RIGHT_TO_LEFT.values(), ids=RIGHT_TO_LEFT)
def test_every_text_runs_in_its_own_direction(page: Page, running: Gateway, text: str) -> None:
    contents: list[dict[str, Any]] = [
        {"type": "text", "text": text},
        {"type": "attachment", "kind": "image", "url": "https://pictures.test/a.png", "description": text},
        {"type": "attachment", "kind": "file", "url": "https://files.test/a.pdf", "file_name": text},
        {"type": "location", "latitude": 1, "longitude": 2, "address": text},
        {"type": "quick_reply", "title": text, "replies": [text]},
        {"type": "card", "text": text, "images": [{"url": "https://pictures.test/a.png", "label": text}]},
    ]
    chat = show(page, running.chat, *(message(n, content) for n, content in enumerate(contents)))
    shown = chat.messages.get_by_text(text.partition(" https")[0])
    expect(shown).to_have_count(8)
    directions = shown.evaluate_all("all => all.map(one => getComputedStyle(one).direction)")
    assert directions == ["rtl"] * 8
    link = page.get_by_role("link", name="https://example.com/a/", exact=True).locator("bdi")
    assert set(link.evaluate_all("all => all.map(one => getComputedStyle(one).direction)")) <= {"ltr"}


def test_what_is_being_written_runs_in_its_own_direction(page: Page, running: Gateway) -> None:
    show(page, running.chat)
    composer = page.get_by_test_id("composer")
    for text, direction in ((RIGHT_TO_LEFT["Arabic"], "rtl"), ("Hello", "ltr"), (RIGHT_TO_LEFT["Hebrew"], "rtl")):
        composer.fill(text)
        assert composer.evaluate("one => getComputedStyle(one).direction") == direction


def test_lines_of_different_scripts_each_run_in_their_own_direction(page: Page, running: Gateway) -> None:
    chat = show(page, running.chat, message(1, {"type": "text", "text": "Hello\n" + RIGHT_TO_LEFT["Hebrew"]}))
    assert chat.messages.locator(".text").evaluate("one => getComputedStyle(one).unicodeBidi") == "plaintext"


@pytest.mark.parametrize("excuse", ["It could not be delivered.", "It was refused.", ""])
def test_a_failure_is_one_sentence_and_can_be_tried_again_once(page: Page, running: Gateway, excuse: str) -> None:
    own = message(1, {"type": "text", "text": "Hello"}, "customer", client_id="c1", status="failed", error=excuse)
    chat = show(page, running.chat, own)
    failed = chat.own("Hello").first
    expect(failed.locator(".problem")).to_have_text(f"{excuse or 'It could not be delivered.'} Try again")
    expect(failed.get_by_role("img")).to_have_count(0)  # nobody hears it twice
    with page.expect_request("**/channels/shop") as sent:
        failed.get_by_role("button", name="Try again").click()
    data = sent.value.post_data_json["data"]
    assert (data["content"], data["id"] != "c1") == ({"type": "text", "text": "Hello"}, True)
    expect(chat.own("Hello")).to_have_count(2)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.get_by_test_id("composer")).to_be_focused()


def test_what_was_said_again_is_not_offered_again(page: Page, running: Gateway) -> None:
    def own(number: int, text: str, status: str) -> tuple[str, dict[str, Any]]:
        return message(number, {"type": "text", "text": text}, "customer", client_id=f"c{number}", status=status)

    file = {"type": "attachment", "kind": "file", "url": "https://files.test/a.pdf"}
    show(
        page, running.chat, own(1, "Hello", "failed"), own(2, "Hello", "delivered"), own(3, "Other", "failed"),
        message(4, file, "customer", client_id="c4", status="failed"),  # this page cannot send files
    )  # fmt: skip
    expect(page.get_by_role("button", name="Try again")).to_have_count(1)
    expect(page.locator("[data-id=m3]").get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(windows: Windows, running: Gateway, width: int, scheme: str) -> None:
    window = windows.new(viewport={"width": width, "height": 640}, color_scheme=scheme)
    own = message(90, {"type": "text", "text": LONG}, "customer", client_id="c90", status="failed", error="Why " * 40)
    chat = show(window.open("about:blank"), running.chat, *(message(n, c) for n, c in enumerate(CONTENTS)), own)
    expect(chat.messages).to_have_count(len(CONTENTS) + 1)
    for what in ("document.documentElement", "document.getElementById('log')"):
        assert chat.page.evaluate(f"{what}.scrollWidth <= {what}.clientWidth"), what
    expect(chat.page.get_by_test_id("composer")).to_be_in_viewport()
    expect(chat.page.get_by_test_id("send")).to_be_in_viewport(ratio=1)
    window.errors.clear()


def test_statuses_never_go_down_in_the_page(page: Page, running: Gateway) -> None:
    statuses: Sequence[str] = ("sent", "read", "delivered", "failed", "queued")
    own = message(1, {"type": "text", "text": "Hello"}, "customer", client_id="c1", status="queued")
    climbs = [("status", {"id": "m1", "status": status, "error": ""}) for status in statuses]
    chat = show(page, running.chat, own, *climbs, own)
    expect(chat.messages).to_have_count(1)
    expect(chat.own("Hello")).to_have_attribute("data-status", "read")


def test_typing_is_shown_until_it_is_over(page: Page, running: Gateway) -> None:
    page.clock.install()
    chat = show(page, running.chat, message(1, {"type": "text", "text": "Hello"}), ("typing", {"at": 0}))
    expect(page.get_by_test_id("typing")).to_be_visible()
    page.clock.run_for(9_000)
    expect(page.get_by_test_id("typing")).to_be_visible()
    page.clock.run_for(2_000)
    expect(page.get_by_test_id("typing")).to_be_hidden()
    expect(chat.messages).to_have_count(1)


def test_the_next_message_ends_the_typing(page: Page, running: Gateway) -> None:
    show(page, running.chat, ("typing", {"at": 0}), message(1, {"type": "text", "text": "Hello"}))
    expect(page.get_by_test_id("typing")).to_be_hidden()


def test_the_greeting_is_no_message(page: Page, running: Gateway) -> None:
    chat = show(page, running.chat)
    expect(page.get_by_test_id("greeting")).to_contain_text("Hello!")
    expect(chat.messages).to_have_count(0)


def test_it_says_that_the_network_is_gone_though_the_stream_stands(windows: Windows, running: Gateway) -> None:
    window = windows.new()
    page = window.open(running.chat)
    Chat(page).is_ready()  # a stream that opens only now would say that all is well
    lost = page.get_by_role("status").filter(has_text="Connecting again")
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(lost).to_be_visible()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(lost).to_be_hidden()


def test_it_says_when_the_connection_is_lost_and_comes_back_by_itself(windows: Windows, running: Gateway) -> None:
    window = windows.new()
    page = window.open("about:blank")
    page.route("**/events?*", lambda route: route.fulfill(status=503), times=3)
    page.goto(running.chat)
    expect(page.get_by_role("status").filter(has_text="Connecting again")).to_be_visible()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    expect(page.get_by_test_id("connection")).to_have_text("")
    window.errors.clear()


def test_it_comes_again_with_another_ticket_where_it_was(windows: Windows, running: Gateway) -> None:
    """Once because the server says so, once because the stream broke and its ticket has expired meanwhile."""
    answers = ['id: 1-1\nevent: ended\ndata: {"at": 1}\n\nretry: 50\nevent: again\ndata: {"seconds": 0.1}\n\n']
    answers += ['retry: 50\n\nid: 2-2\nevent: ended\ndata: {"at": 2}\n\n', ""]
    asked: list[dict[str, list[str]]] = []
    tickets: list[str] = []

    def stream(route: Route) -> None:
        asked.append(parse_qs(urlsplit(route.request.url).query))
        if len(asked) > len(answers):
            route.continue_()
            return
        body = answers[len(asked) - 1]
        route.fulfill(status=200 if body else 401, body=body, content_type="text/event-stream")

    window = windows.new()
    page = window.open("about:blank")
    page.on("request", lambda request: tickets.append(request.url) if request.url.endswith("/ticket") else None)
    page.route("**/events?*", stream)
    page.goto(running.chat)
    expect(page.get_by_text("This conversation has ended")).to_have_count(2)
    Chat(page).is_ready()
    assert ["", "1-1", "1-1", "2-2"] == [query.get("after", [""])[0] for query in asked]
    assert len(tickets) == 3
    assert not any("token" in query for query in asked)
    window.errors.clear()  # a browser tells its console about requests that were refused


ENDS = {
    "with words of who answered": ([message(1, {"type": "text", "text": "Bye."}, "system")], 0),
    "without": ([message(1, {"type": "text", "text": "Bye."}, "agent")], 1),
    "with nothing said": ([], 1),
    "though the visitor wrote meanwhile": (
        [
            message(1, {"type": "text", "text": "Bye."}, "system"),
            message(2, {"type": "text", "text": "Hm"}, "customer"),
        ],
        0,
    ),
    "twice, and words for the first alone": (
        [message(1, {"type": "text", "text": "Bye."}, "system"), ("ended", {"at": 1})],
        1,
    ),
}


@pytest.mark.parametrize(("before", "notes"), ENDS.values(), ids=ENDS)
def test_an_end_is_told_once(
    page: Page, running: Gateway, before: list[tuple[str, dict[str, Any]]], notes: int
) -> None:
    show(page, running.chat, *before, ("ended", {"at": 2}))
    expect(page.get_by_text("This conversation has ended. Write again whenever you like.")).to_have_count(notes)


def test_what_is_half_written_outlives_a_reload_of_its_tab(page: Page, running: Gateway) -> None:
    show(page, running.chat)
    page.get_by_test_id("composer").fill("half\na thought\nin four\nlines")
    page.reload()
    expect(page.get_by_test_id("composer")).to_have_value("half\na thought\nin four\nlines")
    box = page.get_by_test_id("composer").bounding_box()
    assert box is not None
    assert box["height"] > 90  # all of it can be seen
    other = page.context.new_page()
    other.goto(running.chat)
    expect(other.get_by_test_id("composer")).to_have_value("")
    page.get_by_test_id("composer").press("Enter")
    expect(page.get_by_test_id("message")).to_have_count(1)
    page.reload()
    Chat(page).is_ready()
    expect(page.get_by_test_id("composer")).to_have_value("")


def test_a_text_that_is_too_long_is_counted_and_held_back(page: Page, running: Gateway) -> None:
    chat = show(page, running.chat)
    composer, count = page.get_by_test_id("composer"), page.get_by_test_id("count")
    chat.say("x" * 7001)
    expect(count).to_have_text("1 character too many: shorten it, or send it in parts.")
    expect(composer).to_have_value("x" * 7001)
    expect(chat.messages).to_have_count(0)
    composer.fill("x" * 6901)
    expect(count).to_have_text("99 characters left.")
    composer.fill("x" * 6900)
    expect(count).to_have_text("")
    composer.press("Enter")
    expect(chat.messages).to_have_count(1)


def test_without_scripts_it_says_so_and_does_not_look_usable(browser: Browser, running: Gateway) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(running.chat)
        expect(page.locator("noscript p")).to_be_visible()
        assert "This chat needs JavaScript." in page.content()
        expect(page.get_by_test_id("composer")).to_be_hidden()
        expect(page.get_by_test_id("send")).to_be_hidden()


def test_the_gateway_leads_to_the_sandboxs_home_page(page: Page, running: Gateway) -> None:
    page.goto(f"{running.base}/")
    expect(page).to_have_url(f"{running.sandbox}/")
    expect(page).to_have_title("Patchbay sandbox")
    page.get_by_role("list").get_by_role("link", name="Chat shop").click()
    expect(page).to_have_url(running.chat)


@pytest.mark.parametrize("path", ["", "inspect", "agent", "flex", "phone", "application"])
@pytest.mark.parametrize("width", [320, 390])
def test_the_sandboxs_pages_fit_a_phone(windows: Windows, running: Gateway, path: str, width: int) -> None:
    page = windows.new(viewport={"width": width, "height": 800}).open(f"{running.sandbox}/{path}")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    header = page.get_by_role("banner").bounding_box()
    assert header is not None
    assert header["height"] < 60  # one line
