"""What a destination, or we in its place, say to a customer: messages for the mailbox of their channel.

The same work done again makes the same ids, so nothing is said twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

from app.core.errors import StoreUnavailable
from app.core.events import Said
from app.core.message import Author, Content, Message, derived_id, split_conversation
from app.core.work import Append, AppendItem, Typing, mailbox_of
from app.gateway import Gateway
from app.log import logger
from workers.job import Job

log = logger("inbound")

TYPING_AFTER = 1.0  # seconds of waiting for a bot after which the customer sees that somebody types
TYPING_AGAIN = 8.0


def to_customer(
    gateway: Gateway,
    source: str,
    conversation: str,
    message_id: str,
    content: Content,
    *,
    author: Author,
    at: int,
    reported: bool = True,
    external_id: str | None = None,
    metadata: Mapping[str, Any] = MappingProxyType({}),
    scope: str = "",
) -> Append:
    """A message for a conversation, from the destination `source` or in its name; `at` is in Unix ms, `scope` as of
    `Append`. `reported`: the destination hears of its status, if it can."""
    channel, customer = split_conversation(conversation)
    destination = gateway.destinations.get(source)
    hears = reported and destination is not None and destination.capabilities.statuses
    return Append(
        Message(
            id=message_id,
            direction="outbound",
            channel=channel,
            customer=customer,
            content=content,
            author=author,
            source=source,
            at=at,
            external_id=external_id,
            metadata=dict(metadata),
        ),
        lane=f"outbound:{channel}",
        report_to=source if hears else "",
        live=gateway.channels[channel].capabilities.live,
        scope=scope,
    )


def replies(job: Job, parent: str, said: Sequence[Content | Said]) -> tuple[Append, ...]:
    """What the destination says in answer to the work `parent`, some of it perhaps to others."""
    author: Author = "agent" if job.destination.capabilities.people else "bot"
    found, parts = list[Append](), list[str]()  # the latter are those that the next one speaks for
    for number, reply in enumerate(map(as_said, said)):
        message_id = derived_id(parent, f"reply-{number}")
        metadata = reply.speaking_for(parts)
        parts = [*parts, message_id] if reply.part else []
        conversation = job.gateway.meet(job.destination.name, reply.to) if reply.to else job.claim.conversation
        if conversation is None:
            unsupported(job, "recipient", parent)
            continue
        found.append(
            to_customer(
                job.gateway,
                job.destination.name,
                conversation,
                message_id,
                reply.content,
                author=author,
                at=job.claim.now,
                metadata=metadata,
            )
        )
    return tuple(found)


def as_said(reply: Content | Said) -> Said:
    return reply if isinstance(reply, Said) else Said(reply)


def unsupported(job: Job, what: str, message: str) -> None:
    """Tell the operator what a destination asked for in vain, or what nobody can read, in answer to a message."""
    log.warning("unsupported", destination=job.destination.name, what=what, message=message)
    with suppress(StoreUnavailable):  # for a mere count nothing is asked again
        job.gateway.store.lanes.count(f"unsupported:{job.destination.name}:{what}")


@contextmanager
def typing_shown(job: Job, message: Message) -> Iterator[None]:
    """While a bot thinks, let the customer see it, where the channel can show that."""
    channel = job.gateway.channels[message.channel]
    if job.destination.capabilities.people or not channel.capabilities.typing:
        yield
        return
    over = threading.Event()
    threading.Thread(target=_show_typing, args=(job, message, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _show_typing(job: Job, message: Message, over: threading.Event) -> None:
    mailbox, lane = mailbox_of(message.conversation, "outbound"), f"outbound:{message.channel}"
    wait, began = TYPING_AFTER, time.monotonic()
    while not over.wait(wait):
        at = job.claim.now + int((time.monotonic() - began) * 1000)
        with suppress(StoreUnavailable):  # only a hint
            wakes = job.gateway.store.mailboxes.append(AppendItem(mailbox, lane, Typing(at)), claim=job.claim)
            job.gateway.publisher.publish(wakes or ())
        wait = TYPING_AGAIN
