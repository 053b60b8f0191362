"""Fetches the files of an outbound message from their MediaUrl, as Twilio does before it sends."""

import requests

from app.sandbox.client import send
from app.sandbox.messaging.addresses import SMS
from app.sandbox.messaging.records import Media, Message
from app.sandbox.twilio.records import new_sid

PATIENCE_SECONDS = 10.0
PICTURES = ("image/jpeg", "image/png", "image/gif")
MAX_PICTURE, MAX_OTHER = 5_000_000, 500_000
# By kind: the file could not be had, or is too large. Those of channels do not tell the two apart.
NOT_FETCHED = {SMS: 11200}
TOO_LARGE = {SMS: 30019}
CHANNEL_FAILURE = 63019


class NotFetched(Exception):  # the gateway's error, which becomes the message's
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def fetch_media(message: Message) -> list[Media]:
    """All files, or `NotFetched` for the first that could not be had."""
    return [_fetch(message, url) for url in message.media_urls]


def _fetch(message: Message, url: str) -> Media:
    try:
        response = send(requests.Request("GET", url), PATIENCE_SECONDS, follow=True)
    except requests.RequestException as problem:
        raise _failure(message, "The file could not be fetched") from problem
    if not response.ok:
        raise _failure(message, f"The file's address answered {response.status_code}")
    content_type = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0]
    limit = MAX_PICTURE if content_type in PICTURES else MAX_OTHER
    if len(response.content) > limit:
        code = TOO_LARGE.get(message.kind, CHANNEL_FAILURE)
        raise NotFetched(code, f"The file has {len(response.content)} bytes, at most {limit} are sent")
    filename = url.partition("?")[0].rpartition("/")[2]
    sid = new_sid("ME")
    return Media(sid=sid, message_sid=message.sid, content_type=content_type, data=response.content, filename=filename)


def _failure(message: Message, reason: str) -> NotFetched:
    return NotFetched(NOT_FETCHED.get(message.kind, CHANNEL_FAILURE), reason)
