"""One head in hand that is bound for a destination: who has the conversation, and what is achieved is kept at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from app.core.events import Answer
from app.core.routing import Route, fresh
from app.core.session import Session
from app.core.work import Achieved, Claim, SessionChange, ThreadState
from app.gateway import Gateway, Lane
from app.platforms.destination import Destination, Remember
from workers import lease


class Job:
    """`session` is the one that the head is for, with what its adapter has changed in it so far."""

    def __init__(self, gateway: Gateway, lane: Lane, destination: Destination, claim: Claim, session: Session) -> None:
        self.gateway = gateway
        self.lane = lane
        self.destination = destination
        self.claim = claim
        self.session = session
        self.threads = gateway.offers.threads.get(destination.name)

    @property
    def burst(self) -> float:
        """Seconds for which a question waits for more; 0: each message is one of its own."""
        found: float = self.gateway.settings.destinations[self.destination.name].values["burst"]
        return found

    @property
    def poll_every(self) -> float | None:
        """Seconds between two polls of an open thread; None where nothing is opened."""
        return (self.threads and self.threads.poll_every) or None

    def keep(self, handles: Mapping[str, Any], *, seen: int | None = None) -> None:
        """See `app.platforms.destination.Keep`. Raises: LeaseLost, StoreUnavailable."""
        self.session = replace(self.session, handles=dict(handles))
        thread = self.session.thread
        self.achieved(
            Achieved(
                session=self.session,
                aliases=self._named([thread] if thread else []),
                thread=ThreadState(self.thread_name, seen) if seen is not None else None,
                poll_in=self.poll_every or 0.0,
            )
        )

    def remember(self, ours: Mapping[str, Any]) -> Remember:
        """Keeps the adapter's progress beside ours (see `app.platforms.destination.Remember`)."""

        def remember(progress: Mapping[str, Any], aliases: Sequence[str]) -> None:
            self.achieved(Achieved(progress={**ours, "adapter": dict(progress)}, aliases=self._named(aliases)))

        return remember

    @property
    def progress(self) -> Mapping[str, Any]:
        """What the adapter remembered in an earlier try."""
        found: Mapping[str, Any] = self.claim.progress.get("adapter", {})
        return found

    @property
    def thread_name(self) -> str:
        """Of the session's open thread, with its name space."""
        return f"{self.destination.name}:{self.session.thread}"

    def achieved(self, achieved: Achieved) -> None:
        lease.remember(self.gateway, self.lane, self.claim, achieved)

    def _named(self, aliases: Sequence[str]) -> tuple[str, ...]:
        return tuple(f"{self.destination.name}:{alias}" for alias in aliases)


def session_after(job: Job, route: Route, answer: Answer) -> SessionChange:
    """What an answer makes of the session that it was given in."""
    if answer.end or answer.handoff:
        after = fresh(job.session, route, job.claim.now)
        return SessionChange(after, changes_hands=after.destination != job.session.destination)
    if job.session.refused:  # not any more
        job.session = replace(job.session, refused=0)
    if answer.handles is None or answer.handles == job.session.handles:
        return SessionChange(job.session)  # the store dates it
    return SessionChange(replace(job.session, handles=answer.handles))
