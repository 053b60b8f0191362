"""What a platform of either side may add, and who of those that are configured does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol, runtime_checkable

from app.core.events import File, StatusReport
from app.http import Http
from app.platforms.channel import Channel, Ends, GivesTokens, HasChatPage, KnowsSender, TellsPrices, Types
from app.platforms.destination import (
    CallsUs,
    Destination,
    OpensThreads,
    Records,
    Refuses,
    SendsByRest,
    TakesOver,
    WantsHistory,
)


@runtime_checkable
class Reports(Protocol):
    """A platform that wants to know what became of the messages that came from it, where its capabilities say
    `statuses`."""

    def report(self, report: StatusReport, http: Http) -> None:
        """Tell it of one message's status. Raises: Failure."""


@runtime_checkable
class HoldsFiles(Protocol):
    """A platform whose files stand behind links of ours, below `/channels/NAME/media` or `/destinations/NAME/media`."""

    def check_link(self, token: str) -> str:
        """To which file a link leads whose end that is; the same for every spelling of the token.

        Raises:
            Unverified: it is none of ours, or not good any more.
        """

    def media(self, token: str, http: Http, into: BinaryIO) -> File | str:
        """Write the file behind a link into `into`, or say where it is now.

        Raises:
            Unverified: the link is not good, or there is no such file any more.
            Failure: it cannot be had.
        """


class Offers:
    """Who offers what, by name. Made once: a look at a protocol takes as long as checking a signature does."""

    def __init__(self, channels: Mapping[str, Channel], destinations: Mapping[str, Destination]) -> None:
        c, d, both = channels.items(), destinations.items(), {**channels, **destinations}.items()
        self.reports: Mapping[str, Reports] = {name: one for name, one in both if isinstance(one, Reports)}
        self.files: Mapping[str, HoldsFiles] = {name: one for name, one in both if isinstance(one, HoldsFiles)}
        self.typing: Mapping[str, Types] = {name: one for name, one in c if isinstance(one, Types)}
        self.ends: Mapping[str, Ends] = {name: one for name, one in c if isinstance(one, Ends)}
        self.prices: Mapping[str, TellsPrices] = {name: one for name, one in c if isinstance(one, TellsPrices)}
        self.tokens: Mapping[str, GivesTokens] = {name: one for name, one in c if isinstance(one, GivesTokens)}
        self.senders: Mapping[str, KnowsSender] = {name: one for name, one in c if isinstance(one, KnowsSender)}
        self.pages: Mapping[str, HasChatPage] = {name: one for name, one in c if isinstance(one, HasChatPage)}
        self.spooled = {name for name, one in c if one.spools} | {name for name, one in d if one.spools}
        self.webhooks: Mapping[str, CallsUs] = {name: one for name, one in both if isinstance(one, CallsUs)}
        self.refusals: Mapping[str, Refuses] = {name: one for name, one in d if isinstance(one, Refuses)}
        self.takeovers: Mapping[str, TakesOver] = {name: one for name, one in d if isinstance(one, TakesOver)}
        self.threads: Mapping[str, OpensThreads] = {name: one for name, one in d if isinstance(one, OpensThreads)}
        self.recordings: Mapping[str, Records] = {name: one for name, one in d if isinstance(one, Records)}
        self.histories: Mapping[str, WantsHistory] = {name: one for name, one in d if isinstance(one, WantsHistory)}
        self.rest: Mapping[str, SendsByRest] = {name: one for name, one in d if isinstance(one, SendsByRest)}
