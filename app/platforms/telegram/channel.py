"""Channel `telegram`: private chats with a Telegram bot.

Source: https://core.telegram.org/bots/api. Telegram takes no idempotency key and tells nothing of messages once it has
taken them: after a lost answer a message may come twice, and `sent` is the last status.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from marshmallow import fields, validate

from app.core import errors
from app.core.errors import Failure, Unverified
from app.core.events import Accepted, Event, File, Receipt, Reply, Webhook, Written
from app.core.message import Attachment
from app.core.reading import encoded
from app.core.schema import parse_json, url_field
from app.http import Http
from app.platforms.channel import Channel, ChannelSchema, Outgoing
from app.platforms.links import Links
from app.platforms.provision import Run
from app.platforms.tables import Table, Tables
from app.platforms.telegram.api import FILE_REFUSED, Bot, TelegramFailure
from app.platforms.telegram.inbound import ALLOWED, PROVIDER, callback_of, named, read
from app.platforms.telegram.outbound import CAPABILITIES, call_for, link_to

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - names a header, opens nothing
TOKEN = r"[A-Za-z0-9:_-]{8,256}\Z"  # noqa: S105 - its shape
SECRET = r"[A-Za-z0-9_-]{8,256}\Z"  # noqa: S105 - its shape
CHAT = re.compile(r"-?[0-9]{1,18}")
DAY = 86_400


def _secret_of(shape: str, rule: str, **kwargs: Any) -> fields.String:
    return fields.String(metadata={"secret": True}, validate=validate.Regexp(shape, error=rule), **kwargs)


class Settings(ChannelSchema):
    """`token` is the bot's, which @BotFather gives. One of `secret_tokens` comes with every webhook; `patchbay
    provision` tells Telegram the first one, and how many calls to make at once (`connections`). Customers' files
    stand behind links of ours for `media_keep` seconds."""

    token = _secret_of(TOKEN, "Must be as @BotFather gave it: letters, digits, : _ and - alone.", required=True)
    secret_tokens = fields.List(
        _secret_of(SECRET, "Must be 8 to 256 letters, digits, _ and -; make one with: openssl rand -hex 32"),
        required=True,
        validate=validate.Length(min=1),
    )
    connections = fields.Integer(load_default=40, validate=validate.Range(1, 100))
    media_keep = fields.Integer(load_default=7 * DAY, validate=validate.Range(60))
    api_url = url_field(required=False)


class TelegramChannel(Channel):
    """See `app.platforms.channel.Channel` for the verbs."""

    Settings = Settings
    provider = PROVIDER
    capabilities = CAPABILITIES
    calls = 2  # a file, and its link where Telegram could not fetch it
    repeats_for = float(DAY)  # for as long it keeps what was not answered well
    made: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = settings
        self._secrets: list[str] = settings["secret_tokens"]
        self._bot = Bot(settings)

    # Configuration

    @staticmethod
    def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
        """One bot has one webhook, so it is one channel."""
        token = mine.values.get("token")
        alike = (one for one in tables.channels.values() if one.type == mine.type and one.values.get("token") == token)
        if isinstance(token, str) and (first := next(alike, mine)) is not mine:
            yield "token", f"The channel {first.name} has the same bot."

    def provision(self, run: Run) -> Mapping[str, str]:
        """Telegram never tells a webhook's secret, so its address shows which one it was set with."""
        found = self._bot.call("getWebhookInfo", run.http, {})
        if not isinstance(found, dict):
            raise Failure(errors.UNPARSEABLE, "the webhook is no JSON object")
        wanted = {
            "url": f"{self._settings['callback']}?mark={self._mark()}",
            "allowed_updates": sorted(ALLOWED),
            "max_connections": self._settings["connections"],
        }
        if any(_sorted(found.get(name)) != value for name, value in wanted.items()):
            described = "\n    ".join(["POST setWebhook", *(f"{name}={value}" for name, value in wanted.items())])
            parameters = {**wanted, "secret_token": self._secrets[0]}
            run.change(described, lambda: self._bot.call("setWebhook", run.http, parameters))
        if found.get("last_error_message"):
            run.notes.append(f"The last webhook that failed: {str(found['last_error_message'])[:200]}")
        return {}

    def sample(self, callback: str) -> Webhook:
        headers = {"content-type": "application/json", SECRET_HEADER: self._secrets[0]}
        return Webhook("POST", callback, urlsplit(callback).path, headers, encoded({"update_id": 0}))

    # Webhooks

    def verify(self, webhook: Webhook) -> None:
        given = webhook.headers.get(SECRET_HEADER, "").encode()
        fitting = [hmac.compare_digest(given, one.encode()) for one in self._secrets]  # always all of them
        if not any(fitting):
            raise Unverified("the header X-Telegram-Bot-Api-Secret-Token is missing or does not match")

    def parse(self, webhook: Webhook) -> list[Event]:
        return read(parse_json(webhook.body, webhook.headers.get("content-type", "")), self._links().to)

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        """An answer may hold one call: whoever pressed a button sees that it was heard."""
        events = [one.event for one in accepted]
        pressed = (callback_of(event.external_id) for event in events if isinstance(event, Written))
        if query := next(filter(None, pressed), None):
            return Reply(200, {"method": "answerCallbackQuery", "callback_query_id": query})
        return Reply(200, {})

    # Calls

    def send(self, outgoing: Outgoing, http: Http) -> Receipt:
        chat, content = self._chat(outgoing.message.customer), outgoing.content
        method, parameters = call_for(content)
        try:
            sent = self._bot.call(method, http, {"chat_id": chat, **parameters})
        except TelegramFailure as failure:
            if not isinstance(content, Attachment) or not failure.speaks_of(FILE_REFUSED):
                raise
            method, parameters = link_to(content)
            sent = self._bot.call(method, http, {"chat_id": chat, **parameters})
        number = sent.get("message_id") if isinstance(sent, dict) else None
        if isinstance(number, bool) or not isinstance(number, int):
            raise Failure(errors.UNPARSEABLE, "the new message has no id", maybe_done=True)
        return Receipt(named(str(chat), number))

    def typing(self, customer: str, http: Http) -> None:
        self._bot.call("sendChatAction", http, {"chat_id": self._chat(customer), "action": "typing"})

    def check_link(self, token: str) -> str:
        return " ".join(self._file_of(token))

    def media(self, token: str, http: Http, into: BinaryIO) -> File | str:
        file_id, mime_type = self._file_of(token)
        self._bot.download(file_id, http, into)
        return File(mime_type)

    # Parts

    def _chat(self, customer: str) -> int | str:
        chat = customer.removeprefix(f"{self.provider}:")
        return int(chat) if CHAT.fullmatch(chat) else chat

    def _links(self) -> Links:
        keep = self._settings["media_keep"]
        return Links([self._settings["token"]], f"media of channel {self.name}", self._settings["callback"], keep)

    def _file_of(self, token: str) -> tuple[str, str]:
        names = self._links().read(token)
        if len(names) != 2:
            raise Unverified("the link is not valid any more")
        return names[0], names[1]

    def _mark(self) -> str:
        """Tells secrets apart, and says nothing to whoever has not the bot's token."""
        key, secret = self._settings["token"].encode(), self._secrets[0].encode()
        return hmac.new(key, secret, hashlib.sha256).hexdigest()[:12]


def _sorted(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, list) else value
