"""What is said in threads, both ways: our messages into them, theirs out of them.

Ours carry our id in `Attributes`: so they are told from others, and found again where a call's outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.core.events import Written
from app.core.message import Attachment, Author, Content, Message, Text, derived_id
from app.core.render import Capabilities, as_link, as_text, render
from app.core.text import cut
from app.http import Http
from app.platforms.flex.media import Media
from app.platforms.flex.settings import BODY_LIMIT, UNIT
from app.platforms.flex.threads import Handles, Threads
from app.platforms.flex.words import author_of, mark, mark_of, plain

LINK_TOO_LONG = "The customer sent a file, but its link is too long to be shown here: {name}"


class Saying(Struct, frozen=True):
    """One content for a thread under our id. `wake`: webhooks and flows hear of it."""

    id: str
    author: str
    content: Content
    wake: bool = True


def in_parts(said: Message, author: str, capabilities: Capabilities, *, wake: bool) -> list[Saying]:
    """A message that was said elsewhere."""
    return [
        Saying(said.id if part == 0 else derived_id(said.id, part), author, content, wake)
        for part, content in enumerate(render(said.content, capabilities))
    ]


class Messages:
    """`service` is the configured chat service, '' where the configuration names none."""

    def __init__(self, threads: Threads, media: Media, service: str, *, upload: bool) -> None:
        self._threads = threads
        self._names = threads.generation
        self._media = media
        self._service = service
        self._upload = upload

    def say(self, handles: Handles, saying: Saying, http: Http, *, doubtful: bool = False) -> int:
        """Put one content into the thread; its number there. `doubtful`: it may be there already."""
        there = self._threads.index_of(handles, saying.id, http) if doubtful else None
        if there is not None:
            return there
        form = {
            self._names.author_field: saying.author,
            "Attributes": mark(saying.id),
            **self._content(handles, saying.content, http),
        }
        return self._threads.say(handles, form, http, wake=saying.wake)

    def from_webhook(self, form: Mapping[str, str], thread: str, sid: str, index: int, body: str) -> list[Written]:
        """What a webhook's message is for the customer; nothing if it is ours, or empty."""
        if mark_of(form.get("Attributes")):
            return []
        author = form.get(self._names.author_field, "")
        by_people = form.get("Source") == "SDK"
        service = form.get("ChatServiceSid") or self._service
        return self._written(
            thread, sid, index, self._contents(form, body, service), "agent" if by_people else author_of(author),
            identity=None if by_people else plain(author),
        )  # fmt: skip

    def from_thread(self, handles: Handles, message: Mapping[str, Any]) -> list[Written]:
        """What a message in the thread is for the customer; nothing if it is their own or ours."""
        author = message.get(self._names.author_field.lower()) or ""
        if mark_of(message.get("attributes")) or plain(author) == handles["identity"]:
            return []
        contents = self._contents(message, message.get("body"), handles["service"])
        return self._written(handles["chat"], message["sid"], message["index"], contents, author_of(author))

    def _contents(self, message: Mapping[str, Any], body: str | None, service: str) -> list[Content]:
        """What it says, then its files."""
        files = [self._media.link(service, file) for file in self._names.files(message)]
        return [*([Text(body)] if body else []), *files]

    @staticmethod
    def _written(
        thread: str, sid: str, index: int, contents: list[Content], author: Author, identity: str | None = None
    ) -> list[Written]:
        """A message of theirs as one or more of ours."""
        return [
            Written(
                content=content,
                external_id=sid if number == 0 else f"{sid}/{number}",
                alias=thread,
                author=author,
                index=index,
                more=number + 1 < len(contents),
                metadata={"chat": thread, "index": index},
                identity=identity,
            )
            for number, content in enumerate(contents)
        ]

    def _content(self, handles: Handles, content: Content, http: Http) -> dict[str, str]:
        """One content as the fields of a message."""
        if not isinstance(content, Attachment):
            return {"Body": as_text(content)}  # render has split it
        sid = self._media.upload(handles["service"], content, http) if self._upload else None
        if sid:
            return {"MediaSid": sid}
        link = as_link(content, BODY_LIMIT, UNIT)
        name = content.description or content.file_name or content.kind
        return {"Body": link or cut(LINK_TOO_LONG.format(name=name), BODY_LIMIT, UNIT)}
