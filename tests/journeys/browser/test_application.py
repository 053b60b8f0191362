"""A visitor and an application written for Twilio, each in front of a real page."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Gateway, Windows
from .pages import Application, Chat


def test_the_application_answers_writes_and_knows_when_it_is_read(
    windows: Windows, running: Gateway, words: str
) -> None:
    chat = Chat(windows.new().open(f"{running.base}/chat/app"))
    chat.is_ready()
    chat.say(words)
    answer = f"You said: {words}\n(over Web chat; say menu for more)"
    expect(chat.bot(answer)).to_be_visible()

    application = Application(windows.new().open(f"{running.sandbox}/application"))
    application.choose(words)
    expect(application.message(words)).to_have_attribute("data-status", "received")
    expect(application.message(answer)).to_have_attribute("data-status", "read")

    application.say(f"{words} first")
    expect(chat.bot(f"{words} first")).to_be_visible()
    expect(application.message(f"{words} first")).to_have_attribute("data-status", "read")

    chat.say("picture")
    picture = chat.messages.get_by_role("img", name="Parcel S, next day.")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    chat.say("menu")
    expect(chat.messages.last).to_contain_text("menu: shows this list")
    chat.say("broken")
    expect(chat.bot("Sorry, something broke (11200). This is the fallback.")).to_be_visible()
    chat.say("stop")
    failed = application.page.locator("[data-testid=message][data-status=failed]")
    expect(failed).to_contain_text("21610: ")
