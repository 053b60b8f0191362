"""Who gets a customer's message: the session decides, read when the message is worked, not when it arrives."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from app.core.errors import Kind
from app.core.session import Session

MAX_REFUSED = 2  # messages in a row, before the conversation leaves whoever refuses them


class Route(Struct, frozen=True):
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
    return replace(session, destination=route.handoff, mode="human", handles={}, context=memory, last_at=now, refused=0)


def after_death(session: Session, route: Route, kind: Kind, now: int, *, handoff: bool) -> Session | None:
    """The session after a head of its own was given up; None where it goes on as it was.

    A dead end leads back to who answered first. An end is dead where all that is still written would die, too: nobody
    took the handoff, the thread is gone, the platform did not come back in all the tries, or messages were refused in a
    row. Who answered first loses only what they hold of the conversation; an open thread tells by itself whether it
    stands, so refused messages say nothing about that.

    Args:
        kind: why it was given up.
        handoff: the head was the handoff to people; else a message.
    """
    first = session.destination == route.first
    if handoff:
        # the late message for which it was made waits behind it, and is on its way back, too
        return None if first else replace(led_back(session, route, now), late=session.late)
    if first and (not session.handles or kind.speaks_of == "platform"):
        return None
    if kind.speaks_of in ("thread", "platform"):
        return led_back(session, route, now)
    if kind.speaks_of == "content" or session.thread:
        return None
    refused = session.refused + 1
    return led_back(session, route, now) if refused >= MAX_REFUSED else replace(session, refused=refused)


def led_back(session: Session, route: Route, now: int) -> Session:
    """A new session with the first destination. What people never saw goes along, should it be handed over again."""
    return replace(fresh(session, route, now), since=session.since, context=session.context)
