"""The stand-in for Telegram, asked by `python-telegram-bot`'s own Bot and read by its models."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import telegram
from telegram.error import BadRequest, Forbidden, InvalidToken, RetryAfter
from telegram.request import HTTPXRequest

from app.sandbox.telegram.settings import TelegramSettings

OWN = TelegramSettings()
PEOPLE = "/telegram/api/people"


@pytest.fixture
def ask(texts):
    """Call one method of the library's Bot."""

    def ask(method, *args, token=OWN.telegram_token, **kwargs):
        async def call():
            # Reading the authorities that it would never ask takes it longer than the call.
            http = HTTPXRequest(httpx_kwargs={"trust_env": False, "verify": False})
            base = f"{texts}/telegram"
            bot = telegram.Bot(token, f"{base}/bot", f"{base}/file/bot", request=http)
            async with http:
                return await getattr(bot, method)(*args, **kwargs)

        with ThreadPoolExecutor(1) as aside:  # where no browser's test has a loop of its own
            return aside.submit(asyncio.run, call()).result()

    return ask


@pytest.fixture
def play(texts):
    """Do something on the page."""

    def play(path="", **body):
        answer = requests.post(f"{texts}{PEOPLE}{path}", json=body)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    return play


@pytest.fixture
def told(texts):
    def told():
        return requests.get(f"{texts}/inspect", headers={"Accept": "application/json"}).json()["telegram"]

    return told


@pytest.fixture
def ada(play):
    """Somebody who has begun a chat."""
    person = play(name="Ada Byron")
    play(f"/{person['contactId']}/messages", text="/start")
    return int(person["contactId"])


@pytest.fixture
def webhook(ask, taking, ada):
    ask("set_webhook", taking.url, secret_token="abc", allowed_updates=["message", "my_chat_member", "edited_message"])
    return taking


class Taking:
    """A webhook; `answers` are used up in order, afterwards everything is taken."""

    def __init__(self):
        self.url, self.updates, self.secrets, self.answers = "", [], [], []


@pytest.fixture
def taking():
    state = Taking()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            state.updates.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.secrets.append(self.headers["X-Telegram-Bot-Api-Secret-Token"])
            status, body = state.answers.pop(0) if state.answers else (200, b"{}")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/channels/telegram"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def test_the_library_knows_the_bot(ask):
    assert ask("get_me").username == "example_shop_bot"
    with pytest.raises(InvalidToken):
        ask("get_me", token="7700001:another")


def test_the_webhook_is_told_as_it_was_set(ask, webhook):
    info = ask("get_webhook_info")
    assert (info.url, info.max_connections) == (webhook.url, 40)
    assert set(info.allowed_updates) == {"message", "my_chat_member", "edited_message"}
    assert ask("delete_webhook")
    assert ask("get_webhook_info").url == ""


def test_the_library_sends_every_kind_of_message(ask, ada, texts, told):
    keyboard = telegram.ReplyKeyboardMarkup([["Yes"], ["No"]], one_time_keyboard=True, resize_keyboard=True)
    first = ask("send_message", ada, "Is it there?", reply_markup=keyboard)
    assert (first.text, first.chat_id, first.from_user.is_bot) == ("Is it there?", ada, True)
    assert ask("send_photo", ada, f"{texts}/static/quote.png", caption="A quote").photo[-1].width == 1280
    assert ask("send_location", ada, 52.52, 13.4).location.latitude == 52.52
    assert ask("send_venue", ada, 52.52, 13.4, "Town hall", "Main Street 1").venue.title == "Town hall"
    assert ask("send_chat_action", ada, "typing")
    assert ask("answer_callback_query", "42")
    shown = requests.get(f"{texts}{PEOPLE}/{ada}/messages").json()["messages"]
    assert [one["text"] for one in shown[1]["message"]["buttons"]] == ["Yes", "No"]
    assert [one["author"] for one in shown] == ["you", *["business"] * 4]
    assert told()["violations"] == []


REFUSED = {
    "nobody": ((99, "Hi"), BadRequest, "Chat not found"),
    "too long": (("ada", "🎁" * 2049), BadRequest, "too long"),
    "nothing": (("ada", " "), BadRequest, "is empty"),
}


@pytest.mark.parametrize(("args", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_as_telegram_does(ask, ada, args, error, words):
    with pytest.raises(error, match=words):
        ask("send_message", ada if args[0] == "ada" else args[0], args[1])


def test_an_address_without_a_file_is_refused(ask, ada, texts):
    with pytest.raises(BadRequest, match=r"(?i)failed to get http url content"):
        ask("send_photo", ada, f"{texts}/static/nothing.png")
    with pytest.raises(BadRequest, match=r"(?i)wrong type of the web page content"):
        ask("send_photo", ada, f"{texts}/static/sandbox.css")


def test_a_bot_cannot_write_first_nor_to_whom_has_blocked_it(ask, play, ada):
    stranger = int(play(name="Grace")["contactId"])
    with pytest.raises(Forbidden, match="initiate"):
        ask("send_message", stranger, "Hi")
    play(f"/{ada}/block", blocked=True)
    with pytest.raises(Forbidden, match="blocked by the user"):
        ask("send_message", ada, "Hi")
    play(f"/{ada}/block", blocked=False)
    assert ask("send_message", ada, "Hi").text == "Hi"


def test_a_fault_of_429_says_for_how_long(ask, ada, texts, monkeypatch):
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    requests.post(f"{texts}/faults", json={"target": "telegram", "kind": "fail", "status": 429})
    with pytest.raises(RetryAfter):
        ask("send_message", ada, "Hi")


def test_the_library_reads_every_update(webhook, play, ada, texts):
    play(f"/{ada}/location", latitude=52.52, longitude=13.4)
    play(f"/{ada}/contact", first_name="Charles", phone_number="+436601234567")
    said = play(f"/{ada}/messages", text="Where?")
    play(f"/{ada}/edit", message=int(said["mId"]), text="Where is it?")
    picture = requests.get(f"{texts}/static/quote.png").content
    where = f"{texts}{PEOPLE}/{ada}/media?filename=box.png&text=Look"
    assert requests.post(where, data=picture, headers={"Content-Type": "image/png"}).status_code == 201
    play(f"/{ada}/block", blocked=True)
    read = [telegram.Update.de_json(one, None) for one in webhook.updates]
    place, contact, text, edited, photo, blocked = read
    assert not any(one.api_kwargs or (one.message and one.message.api_kwargs) for one in read)
    assert (place.message.location.longitude, contact.message.contact.first_name) == (13.4, "Charles")
    assert (text.message.text, edited.edited_message.text) == ("Where?", "Where is it?")
    assert (photo.message.caption, len(photo.message.photo)) == ("Look", 3)
    assert blocked.my_chat_member.new_chat_member.status == "kicked"
    assert {"abc"} == set(webhook.secrets)
    numbers = [one.update_id for one in read]
    assert numbers == list(range(numbers[0], numbers[0] + len(read)))


def test_the_library_fetches_a_file(webhook, ask, ada, texts):
    where = f"{texts}{PEOPLE}/{ada}/media?filename=offer.pdf"
    assert requests.post(where, data=b"%PDF-1", headers={"Content-Type": "application/pdf"}).status_code == 201
    file = ask("get_file", webhook.updates[-1]["message"]["document"]["file_id"])
    assert requests.get(file.file_path).content == b"%PDF-1"
    with pytest.raises(BadRequest, match=r"(?i)wrong file_id"):
        ask("get_file", "nothing")


def test_what_was_not_taken_is_sent_again(webhook, play, ada):
    webhook.answers = [(503, b""), (500, b"")]
    assert play(f"/{ada}/messages", text="Hello")["status"] == "sent"
    assert [webhook.updates[0]] * 3 == webhook.updates
    webhook.answers = [(403, b"")] * 3
    failed = play(f"/{ada}/messages", text="Hello")
    assert (failed["status"], "403" in failed["error"]) == ("failed", True)


def test_an_answer_may_hold_a_call(webhook, play, ada, told):
    webhook.answers = [(200, b'{"method":"sendChatAction","chat_id":%d,"action":"typing"}' % ada)]
    play(f"/{ada}/messages", text="Hello")
    assert told()["calls"][-1] == {"method": "sendChatAction", "chat_id": ada, "action": "typing"}
    webhook.answers = [(200, b'{"method":"sendMessage"}')]
    play(f"/{ada}/messages", text="Hello")
    assert len(told()["violations"]) == 1


FAULTS = {"drop": ["2"], "duplicate": ["1", "1", "2"], "reorder": ["2", "1"]}


@pytest.mark.parametrize(("kind", "expected"), FAULTS.items(), ids=FAULTS)
def test_updates_meet_the_faults(webhook, play, ada, texts, kind, expected):
    requests.post(f"{texts}/faults", json={"target": "telegram", "kind": kind})
    for words in ("1", "2"):
        play(f"/{ada}/messages", text=words)
    assert expected == [one["message"]["text"] for one in webhook.updates]


def test_no_secret_is_shown(webhook, told, texts, ada):
    shown = f"{told()} {requests.get(f'{texts}/telegram').text} {requests.get(f'{texts}/').text}"
    assert [secret for secret in (OWN.telegram_token, OWN.telegram_secret, "'abc'") if secret in shown] == []
