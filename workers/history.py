"""What was said in a session so far, for whoever takes it over and for who keeps no memory of it."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.message import Message
from app.core.session import Session
from app.gateway import Gateway
from app.store.messages import Record

MORE = 50  # messages that are read besides: those of a burst may still wait


def said(records: Sequence[Record], session: Session) -> list[Message]:
    """The messages of a timeline since the session began, without those of the customer that still wait: they come
    after."""
    ids = [record.message.id for record in records]
    began = ids.index(session.since) if session.since in ids else 0
    return [one.message for one in records[began:] if one.message.direction == "outbound" or one.status != "queued"]


def before(gateway: Gateway, destination: str, message: Message, session: Session) -> Sequence[Message]:
    """What was said before a message, oldest first; at most as much as the destination wants, nothing where it keeps a
    memory of its own. Raises: StoreUnavailable."""
    wanted = gateway.offers.histories.get(destination)
    if wanted is None or wanted.history < 1:
        return ()
    records = gateway.store.messages.timeline(message.conversation, wanted.history + MORE)
    return [one for one in said(records, session) if one.id != message.id][-wanted.history :]
