"""The two pages as a person uses them."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

# Every status that any message on the page has had, in order, as "id status".
WATCH = """() => {
  window.seen = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) window.seen.push([target.dataset.author, target.dataset.status]);
  }).observe(document.getElementById("log"), { subtree: true, attributes: true, attributeFilter: ["data-status"] });
}"""


@dataclass(frozen=True)
class Chat:
    page: Page

    def say(self, text: str) -> None:
        self.page.get_by_test_id("composer").fill(text)
        self.page.get_by_test_id("composer").press("Enter")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_test_id("message")

    def own(self, text: str) -> Locator:
        return self._of("customer", text)

    def bot(self, text: str) -> Locator:
        return self._of("bot", text)

    def agent(self, text: str) -> Locator:
        return self._of("agent", text)

    def watch(self) -> None:
        self.page.evaluate(WATCH)

    def seen(self, author: str) -> list[str]:
        """The statuses that messages of that author went through."""
        return [status for who, status in self.page.evaluate("window.seen") if who == author]

    def look_away(self) -> None:
        self.page.evaluate("document.hasFocus = () => false")

    def look(self) -> None:
        self.page.evaluate("delete document.hasFocus; window.dispatchEvent(new Event('focus'))")

    def is_ready(self) -> None:
        expect(self.page.get_by_test_id("log")).to_have_attribute("aria-live", "polite")

    def _of(self, author: str, text: str) -> Locator:
        message = self.page.locator(f"[data-testid=message][data-author={author}]")
        return message.filter(has=self.page.get_by_text(text, exact=True))


@dataclass(frozen=True)
class FlexDesk:
    page: Page

    def accept(self, last_words: str) -> None:
        """The task in whose chat that was said last."""
        self.page.get_by_test_id("task").filter(has_text=last_words).click()
        self.page.get_by_test_id("accept").click()
        expect(self.page.get_by_test_id("composer-text")).to_be_visible()

    def say(self, text: str) -> None:
        self.page.get_by_test_id("composer-text").fill(text)
        self.page.get_by_test_id("send").click()

    def send_file(self, name: str, kind: str, content: bytes) -> None:
        self.page.get_by_test_id("file").set_input_files({"name": name, "mimeType": kind, "buffer": content})
        self.page.get_by_test_id("send").click()

    def end(self) -> None:
        self.page.get_by_test_id("end").click()

    def message(self, text: str) -> Locator:
        return self.page.get_by_test_id("message").filter(has=self.page.get_by_text(text, exact=True))

    def customer(self, text: str) -> Locator:
        """What a customer wrote; an offered reply has the same words."""
        return self.message(text).and_(self.page.locator("[data-author=customer]"))


@dataclass(frozen=True)
class Desk:
    page: Page

    def choose(self, last_words: str) -> None:
        """The contact whose newest message that is."""
        self.page.get_by_test_id("contact-list").get_by_role("button").filter(has_text=last_words).click()

    def say(self, text: str) -> None:
        self.page.get_by_test_id("kind-text").check(force=True)
        self.page.get_by_test_id("composer-text").fill(text)
        self.page.get_by_test_id("send").click()

    def offer(self, title: str, *replies: str) -> None:
        self.page.get_by_test_id("kind-quick_reply").check(force=True)  # its label lies over it
        self.page.get_by_test_id("quick-title").fill(title)
        self.page.get_by_test_id("quick-replies").fill("\n".join(replies))
        self.page.get_by_test_id("send").click()

    def message(self, text: str) -> Locator:
        return self.page.get_by_test_id("message").filter(has=self.page.get_by_text(text, exact=True))

    def customer(self, text: str) -> Locator:
        """What a customer wrote; an offered reply has the same words."""
        return self.message(text).and_(self.page.locator("[data-author=customer]"))


@dataclass(frozen=True)
class Application:
    page: Page

    def choose(self, last_words: str) -> None:
        """The conversation in which that was said last."""
        self.page.get_by_test_id("conversation-list").get_by_role("button").filter(has_text=last_words).click()

    def say(self, text: str) -> None:
        self.page.get_by_test_id("composer-text").fill(text)
        self.page.get_by_test_id("send").click()

    def message(self, text: str) -> Locator:
        return self.page.get_by_test_id("message").filter(has=self.page.get_by_text(text, exact=True))


@dataclass(frozen=True)
class Telegram:
    page: Page

    def add(self, name: str) -> None:
        self.page.get_by_test_id("start-name").fill(name)
        self.page.get_by_test_id("start").click()
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()

    def say(self, text: str) -> None:
        self.page.get_by_test_id("composer-text").fill(text)
        self.page.get_by_test_id("send").click()

    def send_file(self, name: str, kind: str, content: bytes, caption: str) -> None:
        self.page.get_by_test_id("file").set_input_files({"name": name, "mimeType": kind, "buffer": content})
        self.say(caption)

    def press(self, words: str) -> None:
        self.page.get_by_test_id("log").get_by_role("button", name=words).click()

    def block(self) -> None:
        """Or let the bot in again."""
        self.page.get_by_test_id("block").click()

    def message(self, text: str) -> Locator:
        return self.page.get_by_test_id("message").filter(has=self.page.get_by_text(text, exact=True))
