"""What a bot answers: what it says and shows, what it remembers, whether it listens, and what nobody can read.

Version 2 wraps it in `response`, version 1 does not, and bots of one's own write it in many other ways, some as the
list of actions that Autopilot's tasks answered with. Every shape whose meaning is plain is read; the rest is named,
never passed over in silence.
"""

from __future__ import annotations

import html
import mimetypes
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from app.core.message import Card, Content, Image, Text
from app.core.schema import LABEL_LIMIT, URL_LIMIT, is_web_url
from app.core.text import cut

DEPTH = 6  # of lists and objects inside of each other
SSML_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
NAME = re.compile(r"[a-z]{1,32}")
NO = ("", "false", "no", "off", "0", "none", "null")

# By what names bots go, the best first; capital letters, `_` and `-` make no difference.
SAYS, SHOWS, LISTEN, ACTIONS = ("says", "say"), ("shows", "show"), ("listen", "listens"), ("actions", "action")
TEXT = ("text", "body", "message", "say", "speech", "content", "value")
HEADING, BELOW = ("title", "caption"), ("text", "body")  # of a card that has both
SHOWN = ("display_text", *HEADING, *TEXT)
IMAGES = ("images", "image", "pictures", "picture", "image_url", "media", "media_url")
URL, LABEL = ("url", "src", "href", "link", "image_url", "media_url"), ("label", "alt", "description", "name")
REPLY = ("text", "reply", "replies", "answer", "speech", "messages")  # where there is neither of the above
BESIDE = ("response", "dialogue", "memory", "listen", "listens")  # says nothing by itself


class Reading(Struct, frozen=True):
    """`told` is for the customer. `handoff`: an action asks for people. `unsupported` names what could not be read."""

    told: tuple[Content, ...]
    listens: bool
    handoff: bool
    memory: Mapping[str, Any]
    unsupported: tuple[str, ...]


def read(body: Mapping[str, Any]) -> Reading:
    return _Reader(body).reading()


def named(value: Any, *names: str) -> Any:
    """What an object has by the first of these names that it knows; None, if it has none of them or is none."""
    if not isinstance(value, Mapping):
        return None
    found = next((value[name] for name in names if value.get(name) is not None), None)
    if found is not None:
        return found
    known = {_plain(name): entry for name, entry in value.items() if entry is not None}
    return next((known[name] for name in map(_plain, names) if name in known), None)


class _Reader:
    """Goes through one answer and notes what cannot be read."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._said: list[Content] = []
        self._shown: list[Content] = []
        self._memory: dict[str, Any] = {}
        self._handoff = False
        self._unsupported: list[str] = []
        response = named(body, "response")
        self._layers = [layer for layer in (response, body) if isinstance(layer, Mapping)]
        self._listens = _is_yes(self._find(LISTEN))
        self._say(self._find(SAYS) if len(self._layers) > 1 or response is None else [response, self._find(SAYS)])
        self._show(self._find(SHOWS))
        for action in _listed(self._find(ACTIONS)):
            self._act(action)
        self._otherwise()

    def reading(self) -> Reading:
        unsupported = tuple(dict.fromkeys(self._unsupported))
        return Reading((*self._said, *self._shown), self._listens, self._handoff, self._memory, unsupported)

    def _find(self, names: Sequence[str]) -> Any:
        """What the response has by these names, or the body around it: bots mix the two versions."""
        found = (named(layer, *names) for layer in self._layers)
        return next((entry for entry in found if entry is not None), None)

    def _otherwise(self) -> None:
        """An answer that has said nothing yet may be a reply by another name; if it is not, but has words, they go
        unheard."""
        if self._find((*SAYS, *SHOWS, *ACTIONS)) is not None or self._said or self._unsupported:
            return
        self._say(self._find(REPLY))
        if not self._said and any(_holds_words(entry) for entry in self._beside()):
            self._unsupported.append("response")

    def _beside(self) -> Iterator[Any]:
        for layer in self._layers:
            yield from (entry for name, entry in layer.items() if _plain(name) not in BESIDE)

    def _act(self, action: Any) -> None:
        """An object of one or more actions, or one by its name alone."""
        named_alone = {action: True} if isinstance(action, str) else action
        if not isinstance(named_alone, Mapping):
            self._unsupported.append("actions")
            return
        for name, value in named_alone.items():
            self._do(_plain(name), value)

    def _do(self, name: str, value: Any) -> None:
        if name in SAYS:
            self._say(value)
        elif name in SHOWS:
            self._show(value)
        elif name in LISTEN:
            self._listens = _is_yes(value)
        elif name == "handoff":
            self._handoff = _is_yes(value)
        elif name == "remember" and isinstance(value, Mapping):
            self._memory |= value
        else:
            self._unsupported.append(f"action.{name}" if NAME.fullmatch(name) else "action.other")

    def _say(self, value: Any) -> None:
        self._said += map(Text, self._words(value, TEXT, "says"))

    def _show(self, value: Any, depth: int = 0) -> None:
        """Each entry is a card: an object with a text and images, a picture's address alone, or a text alone."""
        for entry in _listed(value):
            if isinstance(entry, list) and depth < DEPTH:
                self._show(entry, depth + 1)
            elif isinstance(entry, Mapping):
                self._card(entry)
            elif isinstance(entry, str) and is_web_url(entry) and _is_picture(entry, unknown=False):
                self._shown.append(Card("", (Image(entry),)))
            else:
                self._shown += map(Card, self._words(entry, SHOWN, "shows"))

    def _card(self, entry: Mapping[str, Any]) -> None:
        """An address without images is that of a picture, unless it is plainly that of something else: a link."""
        shown, url = named(entry, *IMAGES), named(entry, *URL)
        has_text = named(entry, *SHOWN) is not None
        texts = self._words(_whole(entry), SHOWN, "shows") if has_text or shown is url is None else []
        if shown is None and isinstance(url, str) and is_web_url(url) and not _is_picture(url, unknown=True):
            texts.append(url)
        elif shown is None and url is not None:
            shown = entry
        images = tuple(self._images(shown))
        if texts or images:
            self._shown.append(Card("\n".join(texts), images))

    def _images(self, value: Any) -> Iterator[Image]:
        for entry in _listed(value):
            url, label = (entry, None) if isinstance(entry, str) else (named(entry, *URL), named(entry, *LABEL))
            if isinstance(url, str) and len(url) <= URL_LIMIT and is_web_url(url):
                yield Image(url, cut(label, LABEL_LIMIT, "characters") or None if isinstance(label, str) else None)
            elif entry is not None:
                self._unsupported.append("image")

    def _words(self, value: Any, names: Sequence[str], what: str) -> list[str]:
        found = list(_words(value, names))
        self._unsupported += [what] * found.count(None)
        return [text for text in found if text is not None]


def _words(value: Any, names: Sequence[str], depth: int = 0) -> Iterator[str | None]:
    """The texts in a value that are not blank, and None for each part that nobody can read."""
    match value:
        case None:
            pass
        case str():
            text = without_ssml(value) if value.lstrip().startswith("<speak") else value
            yield from [text] if text.strip() else []
        case int() | float() if not isinstance(value, bool):
            yield str(value)
        case list() if depth < DEPTH:
            for entry in value:
                yield from _words(entry, names, depth + 1)
        case Mapping() if depth < DEPTH:
            yield from _worded(value, names, depth)
        case _:
            yield None


def _worded(value: Mapping[str, Any], names: Sequence[str], depth: int) -> Iterator[str | None]:
    """What an object says by the best of these names: a text before anything else."""
    found = {name: entry for name in names if (entry := named(value, name)) is not None}
    texts = {name: text for name, text in found.items() if isinstance(text, str) and text.strip()}
    others = [entry for entry in found.values() if not isinstance(entry, str)]
    if texts:
        name, text = next(iter(texts.items()))
        yield without_ssml(text) if name == "speech" else text
    elif others:
        yield from _words(others[0], names, depth + 1)
    elif value and not found:
        yield None


def _whole(entry: Mapping[str, Any]) -> Any:
    """What a card says: its heading and what stands below it, or else the entry, in which the best is found."""
    heading, below = named(entry, *HEADING), named(entry, *BELOW)
    both = isinstance(heading, str) and isinstance(below, str) and named(entry, "display_text") is None
    return [heading, below] if both else entry


def without_ssml(speech: str) -> str:
    bare = SSML_TAG.sub(" ", speech)
    return html.unescape(" ".join(bare.split())) if bare != speech else speech


def _holds_words(value: Any) -> bool:
    return bool(value) and isinstance(value, str | list | Mapping)


def _is_yes(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in NO
    return value not in (None, False)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _is_picture(url: str, *, unknown: bool) -> bool:
    """What the name at the end of an address says; `unknown` if that is nothing."""
    found = mimetypes.guess_type(urlsplit(url).path)[0]
    return found.startswith("image/") if found else unknown
