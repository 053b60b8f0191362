"""Destination `openai`: see `app.platforms.openai`.

The server keeps nothing of a conversation: each question brings along its history, so there is no id to give it and a
question that is asked twice costs twice, no more.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from app.core.errors import Failure
from app.core.events import Answer, Receipt
from app.core.render import EVERYTHING, Capabilities
from app.http import Http
from app.log import REDACTED
from app.platforms.destination import Delivery, Destination, Late
from app.platforms.openai.chat import ChatCompletions
from app.platforms.openai.completion import Completion, Prices, Words, answer_from
from app.platforms.openai.failures import LONGEST_DETAIL, TooLong, checked
from app.platforms.openai.responses import Responses
from app.platforms.openai.settings import OPENAI, Settings
from app.platforms.openai.stream import Collects, Reading
from app.platforms.openai.turns import MAX_PICTURES, Part, Picture, Turn, alternating, before, from_customer, turn_of

MAX_STREAM = 16 * 1024 * 1024  # bytes, of which each word has a hundred around it
MAX_PICTURE_BYTES = 5 * 1024 * 1024


class Form(Protocol):
    """One of the two forms in which the API may be spoken."""

    path: str

    def request(self, turns: Sequence[Turn]) -> dict[str, Any]:
        """The body of a question, of which the last turn is the customer's."""

    def events(self) -> Collects:
        """What puts a stream together."""

    def read(self, answer: Any) -> Completion:
        """Raises: Failure, it tells of one, or UNPARSEABLE."""


FORMS: Mapping[str, type[ChatCompletions | Responses]] = {"chat": ChatCompletions, "responses": Responses}


class OpenaiDestination(Destination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    asks_together = True
    calls = 3  # fetching pictures, asking, and asking again with less

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        # whatever it is, a message is one turn, and is said in words here
        self.capabilities = Capabilities(contents=EVERYTHING, resend_safe=settings["resend_after_timeout"])
        self.deadline: float | None = settings["deadline"]
        self.late: Late = settings["late"]
        self.history: int = settings["history_messages"]
        self._tokens: int = settings["history_tokens"]
        self._images: str = settings["images"]
        self._customer: str = settings["customer_field"]
        self._streams: bool = settings["stream"]
        self._timeout: float = settings["timeout"]
        self._key: str | None = settings["api_key"]
        self._words, self._prices = _words(settings), _prices(settings)
        self._form: Form = FORMS[settings["api"]](settings)
        base = _base(settings.get("base_url") or OPENAI)
        self._url, self._models_url = f"{base}/{self._form.path}", f"{base}/models"

    def try_credentials(self, http: Http) -> None:
        """Ask for the models, which every such server lists."""
        with self._discreet():
            checked(http.request("GET", self._models_url, headers=self._headers(), timeout=self._timeout))

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        sees = self._images != "none"
        asked = turn_of("user", delivery.content, sees=sees)
        if asked is None:  # nobody is asked nothing
            return Answer(Receipt(status="delivered"), spent=0)
        shortened = len(delivery.history) >= self.history
        past = before(delivery.history, self._tokens, sees=sees, shortened=shortened)
        customer = self._named(delivery.message.conversation)
        with self._discreet():
            try:
                completion = self._ask([*past, asked], customer, http)
            except TooLong:
                if not past:
                    raise
                completion = self._ask([*from_customer(past[(len(past) + 1) // 2 :]), asked], customer, http)
        return answer_from(completion, self._words, self._prices)

    def _ask(self, turns: Sequence[Turn], customer: Mapping[str, str], http: Http) -> Completion:
        told = alternating(turns)
        body = {**self._form.request(_embedded(told, self._timeout, http) if self._images == "data" else told)}
        reading = Reading(self._form.events())
        try:
            response = http.post(
                self._url,
                json={**body, **customer},
                headers=self._headers(),
                timeout=self._timeout,
                most_bytes=MAX_STREAM,
                take=reading.take if self._streams else None,
            )
        except Failure:
            if not reading.whole:
                raise
        else:
            reading.take(checked(response).body)
        return self._form.read(reading.answer())

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}"} if self._key else {}

    def _named(self, conversation: str) -> dict[str, str]:
        """The customer, by a name that says nothing about them."""
        name = hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()
        return {} if self._customer == "none" else {self._customer: name}

    @contextmanager
    def _discreet(self) -> Iterator[None]:
        """What a server says is quoted without our key, and not without end."""
        try:
            yield
        except Failure as failure:
            said = failure.detail.replace(self._key, REDACTED) if self._key else failure.detail
            raise failure.restated(detail=said[:LONGEST_DETAIL]) from None


def _base(url: str) -> str:
    """As OpenAI's own libraries want it, or without the version, as some servers' manuals have it."""
    bare = url.rstrip("/")
    return bare if urlsplit(bare).path else f"{bare}/v1"


def _words(settings: Mapping[str, Any]) -> Words:
    by = settings["handoff_by"]
    return Words(
        handoff=None if by == "none" else settings["handoff_tool"],
        end=settings["end_tool"],
        by_flag=by == "json",
        no_answer=settings["no_answer"],
    )


def _prices(settings: Mapping[str, Any]) -> Prices | None:
    whole, cached, written = (settings[f"price_{what}"] for what in ("input", "cached", "output"))
    return None if whole is None else Prices(whole, whole if cached is None else cached, written)


def _embedded(turns: Sequence[Turn], timeout: float, http: Http) -> list[Turn]:
    """The turns with their pictures in them. All of them are fetched within the time-out."""

    def whole(part: Part) -> Part:
        return _fetched(part, timeout / MAX_PICTURES, http) if isinstance(part, Picture) else part

    return [replace(turn, parts=tuple(map(whole, turn.parts))) for turn in turns]


def _fetched(picture: Picture, timeout: float, http: Http) -> Part:
    """The picture itself; in words, if it cannot be had."""
    try:
        found = http.fetch(picture.url, timeout=timeout, most_bytes=MAX_PICTURE_BYTES)
    except Failure:
        return picture.words
    type_ = found.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not found.ok or not type_.startswith("image/"):
        return picture.words
    return Picture(f"data:{type_};base64,{b64encode(found.body).decode()}", picture.words)
