"""Somebody with Telegram, the bot and a person in respond.io, each in front of a real page."""

from __future__ import annotations

import base64

from playwright.sync_api import expect

from .conftest import Gateway, Windows
from .pages import Desk, Telegram

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_the_bot_hands_over_and_who_blocked_it_hears_nothing(windows: Windows, running: Gateway, words: str) -> None:
    telegram = Telegram(windows.new().open(f"{running.sandbox}/telegram"))
    telegram.add(words)
    telegram.say("quote")
    picture = telegram.page.get_by_role("img", name="quote.png")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 400
    telegram.say("May I talk to a person?")
    expect(telegram.message("One moment, I'll get a colleague.")).to_be_visible()
    telegram.send_file("parcel.png", "image/png", PIXEL, words)

    desk = Desk(windows.new().open(running.desk))
    desk.choose(words)
    sent = desk.message(words).get_by_role("img")
    assert sent.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    desk.offer("Which size?", "Small", "Large")
    telegram.press("Small")
    expect(desk.customer("Small")).to_be_visible()

    telegram.block()
    expect(telegram.page.get_by_text("They have blocked the bot.")).to_be_visible()
    desk.say("Are you still there?")
    expect(desk.message("Are you still there?")).to_have_attribute("data-status", "failed")
    telegram.block()
    telegram.say(f"{words} again")
    expect(desk.customer(f"{words} again")).to_be_visible()
    desk.say("Welcome back.")
    expect(telegram.message("Welcome back.")).to_be_visible()
    expect(telegram.message("Are you still there?")).to_have_count(0)
