"""What the stand-ins hold, as people read it; programs get the same as JSON."""

import pytest

from app.sandbox.inspection import MAX_SHOWN, platforms

from .calls import ask, deliver, message_event
from .test_pages import BROWSER

TAKES = {
    "a browser": (BROWSER, "", "text/html"),
    "a browser that asks for JSON": (BROWSER, "?json", "application/json"),
    "a program that takes anything": ({"Accept": "*/*"}, "", "application/json"),
    "a program that says nothing": ({}, "", "application/json"),
    "a program that takes JSON": ({"Accept": "application/json"}, "", "application/json"),
    "a program that would rather have JSON": ({"Accept": "application/json, text/html;q=0.5"}, "", "application/json"),
}


@pytest.mark.parametrize(("headers", "query", "kind"), TAKES.values(), ids=TAKES)
def test_browsers_get_a_page_and_programs_json(client, headers, query, kind):
    answer = client.get(f"/inspect{query}", headers=headers)
    assert (answer.status_code, answer.mimetype, answer.headers["Vary"]) == (200, kind, "Accept")


def test_the_page_shows_messages_and_requests_and_runs_none_of_it(client):
    ask(client, "Where is <b>4711</b>?")
    deliver(client, message_event(words="<script>alert(1)</script> Hi"))
    html = client.get("/inspect", headers=BROWSER).text
    assert "Where is &lt;b&gt;4711&lt;/b&gt;?" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Hi" in html
    assert "<script>alert" not in html
    assert "No check has failed." in html


def test_what_was_refused_stands_first_and_open(client):
    deliver(client, message_event("m" * 51))
    html = client.get("/inspect", headers=BROWSER).text
    assert "1 check has failed." in html
    section = html.partition('data-testid="inspect-respondio"')[2].partition("</section>")[0]
    assert section.index("Refused <b>1</b>") < section.index("events[0].mId")
    assert '<details class="listed" open>' in section


LINES = {
    "a call": ({"text": "hello", "current_task": "greeting", "listens": True}, "greeting · hello"),
    "a message within": ({"author": "bot", "message": {"type": "text", "text": "Hi"}}, "bot · Hi"),
    "a file within": ({"message": {"type": "attachment"}}, "attachment"),
    "an attempt": ({"event": "read", "status": 200, "error": None}, "read · 200"),
    "an update with a place": ({"status": 200, "error": "", "message": {"location": {"x": 1}}}, "200 · message"),
    "a picture": ({"message_id": 7, "photo": [{"file_id": "a"}], "replies": []}, "photo"),
    "a picture with words": ({"photo": [{"file_id": "a"}], "caption": "Look"}, "Look"),
    "nothing that says much": ({"size": 3}, "an entry"),
    "nothing filled in": ({"text": "", "error": None}, "an entry"),
}


@pytest.mark.parametrize(("entry", "line"), LINES.values(), ids=LINES)
def test_an_entry_is_a_line_that_says_most(entry, line):
    (platform,) = platforms({"flex": {"things": [entry]}}, {})
    assert line == platform.lists[0].entries[0].line


def test_lists_are_shown_newest_first_and_not_without_end():
    (platform,) = platforms(
        {"messaging": {"messages": [{"text": str(number)} for number in range(MAX_SHOWN + 5)]}}, {"messaging": "Texts"}
    )
    (listed,) = platform.lists
    assert (platform.title, listed.count, len(listed.entries)) == ("Texts", MAX_SHOWN + 5, MAX_SHOWN)
    assert listed.entries[0].line == str(MAX_SHOWN + 4)


def test_what_an_entry_holds_is_listed_below_it_and_the_rest_is_json():
    room = {"name": "Ada", "messages": [{"text": "Hi"}], "files": ["a.png"], "members": []}
    (platform,) = platforms({"new": {"rooms": [room, "no object"], "idle": True}}, {})
    text, entry = platform.lists[0].entries
    assert (text.line, text.rest) == ("no object", "")
    assert [inner.name for inner in entry.lists] == ["messages"]
    assert ('"a.png"' in entry.rest, '"Hi"' in entry.rest) == (True, False)
    assert (platform.title, platform.values, platform.failed) == ("New", {"idle": "true"}, 0)
