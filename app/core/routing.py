"""Who gets a customer's message: the session decides, read when the message is worked, not when it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.core.frozen import frozen
from app.core.session import Session


@frozen
class Route:
    """The part of a channel's configuration that routing needs: who answers first, and who after a handoff."""

    first: str
    handoff: str | None = None


def current(session: Session | None, route: Route, timeouts: Mapping[str, float], now: int) -> Session:
    """The session that holds now: the stored one, or a new one with the first destination.

    A session is over when its destination is no longer configured or was silent for longer than its time-out.

    Args:
        timeouts: seconds of silence after which a session ends, for every configured destination by name.
        now: Unix milliseconds.
    """
    if session is None or session.destination not in timeouts or silent(session, timeouts, now):
        return fresh(session, route, now)
    return session


def silent(session: Session, timeouts: Mapping[str, float], now: int) -> bool:
    """Whether nothing was said for longer than the session's destination, which is configured, waits."""
    return now - session.last_at > timeouts[session.destination] * 1000


def fresh(session: Session | None, route: Route, now: int) -> Session:
    """A new session with the channel's first destination."""
    version = session.version if session else 0
    return Session(destination=route.first, last_at=now, version=version)


def handed_over(session: Session, route: Route, memory: dict[str, object], now: int) -> Session | None:
    """The session after a handoff to people; None where the channel has nobody to hand over to."""
    if route.handoff is None or route.handoff == session.destination:
        return None
    return replace(session, destination=route.handoff, mode="human", handles={}, context=memory, last_at=now)
