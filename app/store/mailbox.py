"""Mailboxes: accept into them, claim their heads, settle what was done. The engine's verbs, one script call each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import orjson
from msgspec import Struct

from app.core.acceptance import Acceptance, Entered, Place
from app.core.lane import Seen
from app.core.message import Message
from app.core.work import Achieved, AppendItem, Claim, Outcome, ThreadState, Wake
from app.store.arrivals import Arrivals
from app.store.claims import claim_of
from app.store.connection import Connection
from app.store.keys import EXTERNAL_ID, THREAD
from app.store.limits import Limits
from app.store.wire import readable, wakes_of

Solitude = Literal["kept", "possible", "impossible"]
"""Whether a suspect would be tried alone: the caller has nothing else in hand (`kept`), or will see to that, and then
`begin` (`possible`), or gets none (`impossible`)."""


class Worked(Struct, frozen=True):
    """`stale`: the lease was lost and the outcome changed nothing. `more`: the time slice ended before the work.
    `poisoned`: so many heads became dead letters in place of being claimed."""

    claim: Claim | None
    wakes: tuple[Wake, ...]
    stale: bool = False
    more: bool = False
    poisoned: int = 0


class Following(Struct, frozen=True):
    """What stands behind a head: `items` are all, `messages` those of them that come before anything else."""

    messages: tuple[Message, ...]
    items: int


class Mailboxes:
    """`lists`: for each channel, the lists in which its messages stand."""

    def __init__(
        self, connection: Connection, limits: Limits, lists: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._wire = Arrivals(limits, lists)

    def accept(self, acceptance: Acceptance) -> Entered:
        """Record a message once and put it into its mailbox.

        Raises:
            StoreUnavailable: nothing was recorded, unless it says `maybe_done`.
        """
        state, message_id, *wakes = self._connection.run("accept", *self._wire.acceptance(acceptance))
        return Entered(state, message_id, wakes_of(wakes))

    def known(self, scope: str) -> str | None:
        """The id of the message that was accepted under that name (see `accept`), for as long as its window lasts."""
        client, key = self._connection.client, self._connection.key(EXTERNAL_ID, scope)
        found: str | None = self._connection.guard(lambda: client.get(key))
        return found

    def append(self, entry: AppendItem, *, follow: bool = False, claim: Claim | None = None) -> tuple[Wake, ...] | None:
        """Put what is no message into a mailbox; None if it is full.

        Args:
            follow: use the lane of the session's destination if there is a session.
            claim: of the work that it comes from; once its lease is lost, nothing is appended.
        """
        request = self._wire.item(entry, follow=follow)
        if claim:
            request["held"] = {"mailbox": claim.mailbox, "owner": claim.owner}
        state, *wakes = self._connection.run("append", request)
        return wakes_of(wakes) if state == "ok" else None

    def changed(self, conversation: str, place: Place) -> tuple[Wake, ...]:
        """Hear of a destination's thread what is no message for the customer; see `Place`."""
        return wakes_of(self._connection.run("thread", {"cv": conversation, **self._wire.place(place)}))

    def thread(self, name: str) -> ThreadState:
        """How far a destination's thread is known."""
        client, key = self._connection.client, self._connection.key(THREAD, name)
        seen, read = self._connection.guard(lambda: client.hmget(key, ["seen", "read"]))
        return ThreadState(name, None if seen is None else int(seen), -1 if read is None else int(read))

    def work(
        self,
        lane: str,
        token: str,
        outcome: Outcome | None,
        *,
        lease: float,
        rate: float = 0.0,
        rate_each: float = 0.0,
        expire_after: float = 0.0,
        go_on: bool = True,
        crowded: bool = False,
        seen: Seen | None = None,
        solitude: Solitude = "kept",
    ) -> Worked:
        """Settle the last claim and take the next one.

        Args:
            lease: seconds; must outlast the slowest attempt of the lane.
            rate: calls a second that the lane may make, 0 = no limit.
            rate_each: messages a second that one conversation may get, 0 = no limit.
            expire_after: seconds after which a message that waits is not sent any more, 0 = never.
            go_on: False when the time slice is over: nothing is claimed, and `more` says whether work is left.
            crowded: this worker has no thread for the lane: nothing is claimed, and its pace falls to what is at work.
            seen: what this worker has seen of the lane's calls.
            solitude: see there.
        """
        said = self._connection.run(
            "work",
            self._wire.outcome(outcome, seen) if outcome else "",
            lane,
            token,
            -1 if crowded else int(lease * 1000) if go_on else 0,
            rate,
            self._limits.retention_of(lane.partition(":")[2]),  # only of a channel's lane is any refused there
            solitude,
            int(expire_after * 1000),
            rate_each,
        )
        return _worked(said)

    def settle(self, outcome: Outcome) -> Worked:
        """Settle without claiming more."""
        return self.settle_packed(self.packed(outcome))

    def packed(self, outcome: Outcome) -> bytes:
        """An outcome as it travels, for whoever must keep it for `settle_packed`."""
        return orjson.dumps(self._wire.outcome(outcome))

    def settle_packed(self, packed: bytes) -> Worked:
        """See `settle`."""
        settled, _, _, _, *wakes = self._connection.run("work", packed, "", "", 0, 0, 0, "", 0, 0)
        return Worked(None, wakes_of(wakes), stale=settled == "stale")

    def remember(self, claim: Claim, lease: float, achieved: Achieved) -> bool:
        """Keep how far the work has come, and renew the lease for so many seconds; False if it is lost and the work
        must stop."""
        return bool(self._connection.run("remember", self._wire.achieved(claim, achieved, lease)))

    def begin(self, claim: Claim, lease: float) -> bool:
        """Try a suspect from now on, with nothing else in hand; False if the lease is lost."""
        return bool(self._connection.run("remember", self._wire.achieved(claim, Achieved(), lease) | {"alone": True}))

    def following(self, claim: Claim, most: int) -> Following:
        """The messages directly behind the head that is worked, at most so many."""
        behind, *bodies = self._connection.run("following", {"mailbox": claim.mailbox, "most": most})
        return Following(tuple(readable(bodies)), behind)

    def sweep(self, spare: float = 0.0, apart: float = 0.0) -> tuple[Wake, ...]:
        """Free what dead workers held, bring back what only a clock that was set back can have put so far ahead; the
        drains that are owed now.

        Args:
            spare: seconds that leases which ran out are given yet, as nobody could renew them.
            apart: nothing is done so many seconds after the last sweep, whoever made it.
        """
        asked = {"spare_ms": int(spare * 1000), "apart_ms": int(apart * 1000)}
        return wakes_of(self._connection.run("sweep", {**self._wire.longest(), **asked}))


def _worked(said: Sequence[Any]) -> Worked:
    """What `work.lua` answers."""
    settled, state, poisoned, size, *rest = said
    return Worked(
        claim=claim_of(rest[:size]) if state == "claimed" else None,
        wakes=wakes_of(rest[size:]),
        stale=settled == "stale",
        more=state == "more",
        poisoned=poisoned,
    )
