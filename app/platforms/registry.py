"""The platforms that Patchbay speaks, by kind and by the `type` in the configuration: our own, and other packages'.

Another package brings one by an entry point of the group `patchbay.platforms`, whose name is the kind and the type:

    [project.entry-points."patchbay.platforms"]
    "channel.pager" = "pager.patchbay:PagerChannel"

A class is loaded when a configuration names its type, not before.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, cast

from msgspec import Struct

from app.platforms.channel import Channel, ChannelSchema
from app.platforms.destination import Destination, DestinationSchema

GROUP = "patchbay.platforms"
Kind = Literal["channel", "destination"]
KINDS: Mapping[str, tuple[type, type]] = {  # what the class and its Settings must be made from
    "channel": (Channel, ChannelSchema),
    "destination": (Destination, DestinationSchema),
}
OURS = "Patchbay"
BUILT_IN = {
    "channel.telegram": "app.platforms.telegram.channel:TelegramChannel",
    "channel.twilio": "app.platforms.twilio.channel:TwilioChannel",
    "channel.webchat": "app.platforms.webchat:WebchatChannel",
    "channel.webhook": "app.platforms.webhook.channel:WebhookChannel",
    "destination.autopilot": "app.platforms.autopilot.destination:AutopilotDestination",
    "destination.flex_chat": "app.platforms.flex.chat:FlexChatDestination",
    "destination.flex_conversations": "app.platforms.flex.conversations:FlexConversationsDestination",
    "destination.openai": "app.platforms.openai.destination:OpenaiDestination",
    "destination.respondio": "app.platforms.respondio.destination:RespondioDestination",
    "destination.twiml": "app.platforms.twiml.destination:TwimlDestination",
}


class PlatformError(Exception):
    """A type cannot be used; the text is a sentence for the operator: which package, and what to do."""


class Entry(Struct, frozen=True):
    """One platform: `where` it is, as `module:Class`, and the package that brings it."""

    kind: str
    type: str
    where: str
    package: str


class Registry:
    """Platforms by kind and type."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self._loaded: dict[tuple[str, str], Any] = {}
        for entry in entries:
            self._entries.setdefault((entry.kind, entry.type), []).append(entry)

    def types(self, kind: Kind) -> list[str]:
        return sorted(type_ for known, type_ in self._entries if known == kind)

    def load(self, kind: Kind, type_: str) -> Any:
        """The class of a known type.

        Raises:
            KeyError: there is none of that type.
            PlatformError: it cannot be used.
        """
        key = kind, type_
        if key not in self._loaded:
            self._loaded[key] = _checked(_only(self._entries[key]))
        return self._loaded[key]


@cache
def platforms() -> Registry:
    """Ours and those of the packages in this environment."""
    return Registry([*_entries(BUILT_IN.items(), OURS), *_installed()])


def channel_class(type_: str) -> type[Channel]:
    """Raises: KeyError, PlatformError, as `Registry.load`."""
    return cast("type[Channel]", platforms().load("channel", type_))


def destination_class(type_: str) -> type[Destination]:
    """Raises: KeyError, PlatformError, as `Registry.load`."""
    return cast("type[Destination]", platforms().load("destination", type_))


def _installed() -> Iterable[Entry]:
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "a package"
        yield from _entries([(point.name, point.value)], package)


def _entries(points: Iterable[tuple[str, str]], package: str) -> Iterable[Entry]:
    """What is of neither kind is none of ours."""
    for name, where in points:
        kind, _, type_ = name.partition(".")
        if kind in KINDS and type_:
            yield Entry(kind, type_, where, package)


def _only(entries: list[Entry]) -> Entry:
    if len(entries) > 1:
        packages = " and ".join(entry.package for entry in entries)
        raise PlatformError(f"{packages} both bring a {entries[0].kind} of type {entries[0].type}; uninstall one.")
    return entries[0]


def _checked(entry: Entry) -> Any:
    """The class, if it can be what it says that it is. Raises: PlatformError."""
    module, _, name = entry.where.partition(":")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # whatever another package raises while it is imported
        raise PlatformError(f"{_brought(entry)} cannot be loaded: {type(error).__name__}: {error}.") from error
    contract, schema = KINDS[entry.kind]
    if contract not in getattr(found, "__mro__", ()):  # a protocol takes no issubclass
        raise PlatformError(f"{_brought(entry)} is no subclass of {contract.__module__}.{contract.__name__}.")
    if missing := sorted(found.__abstractmethods__):
        raise PlatformError(f"{_brought(entry)} lacks {', '.join(missing)}.")
    settings = getattr(found, "Settings", None)
    if not (inspect.isclass(settings) and issubclass(settings, schema)):
        raise PlatformError(f"{_brought(entry)} has no Settings made from {schema.__module__}.{schema.__name__}.")
    return found


def _brought(entry: Entry) -> str:
    return f"The {entry.kind} type {entry.type} of {entry.package} ({entry.where})"
