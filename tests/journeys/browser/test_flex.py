"""A visitor, the bot and a person in Flex, each in front of a real page, in both generations of Flex's chat."""

from __future__ import annotations

import base64

import pytest
from playwright.sync_api import expect

from .conftest import Gateway, Windows
from .pages import Chat, FlexDesk

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize("channel", ["flex", "classic"])
def test_the_bot_hands_over_an_agent_answers_and_ends_it(
    channel: str, windows: Windows, running: Gateway, words: str
) -> None:
    chat = Chat(windows.new().open(f"{running.base}/chat/{channel}"))
    chat.is_ready()
    chat.say("May I talk to a person?")
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()
    chat.say(words)

    desk = FlexDesk(windows.new().open(f"{running.sandbox}/flex"))
    desk.accept(words)
    expect(desk.message("May I talk to a person?")).to_be_visible()
    expect(desk.message("One moment, I'll get a colleague.")).to_be_visible()
    desk.say("Good day, Kim here.")
    expect(chat.agent("Good day, Kim here.")).to_have_attribute("data-status", "read")
    expect(desk.message("Good day, Kim here.")).to_have_attribute("data-status", "read")
    expect(chat.own(words)).to_have_attribute("data-status", "read")
    desk.send_file("quote.png", "image/png", PICTURE)
    picture = chat.messages.get_by_role("img", name="quote.png")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1

    desk.end()
    expect(chat.page.get_by_text("The agent has left. The bot is back.")).to_be_visible()
    expect(desk.page.get_by_text("This chat is over")).to_be_visible()
    chat.say(f"{words} again")
    expect(chat.bot(f"You said: {words} again")).to_be_visible()
    expect(chat.page.get_by_text("This conversation has ended.")).to_have_count(0)  # one notice is enough
