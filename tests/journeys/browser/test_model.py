"""A visitor, a language model and a person in Flex, each in front of a real page."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Gateway, Windows
from .pages import Chat, FlexDesk


def test_the_model_remembers_and_says_why_it_hands_over(windows: Windows, running: Gateway, words: str) -> None:
    chat = Chat(windows.new().open(f"{running.base}/chat/ai"))
    chat.is_ready()
    told = {"My name is Ada": "Nice to meet you, Ada.", words: f"You said: {words}", "Who am I?": "You are Ada."}
    for asked, answer in told.items():
        chat.say(asked)
        expect(chat.bot(answer)).to_be_visible()
    chat.say(f"{words}: an agent, please")
    expect(chat.bot("One moment, I'll get a colleague.")).to_be_visible()

    desk = FlexDesk(windows.new().open(f"{running.sandbox}/flex"))
    chat.say(f"{words} again")
    desk.accept(f"{words} again")
    desk.page.get_by_test_id("context").locator("summary").click()
    expect(desk.page.get_by_test_id("context")).to_contain_text(f"They wrote: {words}: an agent, please")
    expect(desk.page.get_by_test_id("transcript").get_by_text("You are Ada.", exact=True)).to_be_visible()
    desk.say("Hello Ada, Kim here.")
    expect(chat.agent("Hello Ada, Kim here.")).to_be_visible()
    desk.end()
    expect(chat.page.get_by_text("The agent has left. The bot is back.")).to_be_visible()
    chat.say("Who am I?")
    expect(chat.bot("You have not told me your name.")).to_be_visible()  # a new session
