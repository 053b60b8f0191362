"""What a destination has open for a conversation: opened by a handoff, polled now and then, ended, and taken down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from msgspec.structs import replace

from app.core.errors import Failure
from app.core.events import Answer, Polled
from app.core.lane import SILENT
from app.core.message import Message, Text, derived_id, split_conversation
from app.core.routing import Route, fresh, silent
from app.core.session import Session
from app.core.work import (
    Achieved,
    Append,
    AppendItem,
    Claim,
    Close,
    Dead,
    Done,
    End,
    Item,
    Outcome,
    Retry,
    SessionChange,
    TellEnd,
    ThreadState,
    mailbox_of,
)
from app.gateway import Gateway
from app.log import logger
from app.platforms.destination import Handoff, Who
from workers import history
from workers.failing import failed
from workers.job import Job, session_after
from workers.replies import replies, to_customer

log = logger("inbound")

MAX_TRANSCRIPT = 50  # messages
LAST_POLL_PATIENCE = 20.0  # seconds for which an end waits to bring along what was missed


def opened(job: Job, route: Route) -> Outcome:
    """Hand the conversation over: people begin with what was said so far."""
    handoff = Handoff(
        conversation=job.claim.conversation,
        session=job.session,
        transcript=_transcript(job),
        remember=job.remember({}),
        keep=job.keep,
        uncertain=job.claim.uncertain,
        progress=job.progress,
    )
    taker = job.gateway.offers.takeovers.get(job.destination.name)
    try:
        answer = taker.open(handoff, job.gateway.http) if taker else Answer()
    except Failure as failure:
        return given_up(job, failed(job.claim, failure, job.lane.retry))
    return Done(
        job.claim,
        session=session_after(job, route, answer),
        append=replies(job, _version(job), answer.replies),
        poll_in=job.poll_every,
    )


def polled(job: Job) -> Outcome:
    """Look at the thread: what was missed, what was read, whether it is over or was left."""
    claim, session = job.claim, job.session
    if not session.thread or not job.poll_every:
        return Done(claim, poll_in=0.0, lane=SILENT)
    try:
        found, state = _poll(job)
    except Failure as failure:
        outcome = failed(claim, failure, job.lane.retry)
        if not isinstance(outcome, Dead):
            return outcome
        # the next poll finds the same
        return Done(claim, reason=outcome.reason, error=outcome.error, poll_in=job.poll_every, lane=outcome.lane)
    front: tuple[Item, ...] = ()
    if found.over:
        front = (End("platform", session.thread),)
    elif not found.written and silent(session, job.gateway.timeouts, claim.now):
        front = (End("silence"),)
    return Done(
        claim,
        session=SessionChange(session) if found.written else None,
        append=_carried_over(job, found),
        thread=state,
        front=front,
        poll_in=None if front else job.poll_every,
    )


def ended(job: Job, route: Route, end: End) -> Outcome:
    """The session is over: bring along what was missed, have its thread taken down, and tell the customer."""
    claim, session = job.claim, job.session
    if end.thread and end.thread != session.thread:
        return Done(claim, lane=SILENT)  # an earlier one
    if end.by == "silence" and not silent(session, job.gateway.timeouts, claim.now):
        return Done(claim, lane=SILENT)  # somebody has spoken meanwhile
    written: tuple[Append | AppendItem, ...] = ()
    state: ThreadState | None = None
    if session.thread:
        try:
            found, state = _poll(job)
            written = _carried_over(job, found)
        except Failure as failure:
            outcome = failed(claim, failure, job.lane.retry)
            if isinstance(outcome, Retry) and claim.now - claim.first_at < LAST_POLL_PATIENCE * 1000:
                return outcome
            # a sick destination must not hold the customer for long; the closing polls again
            log.warning("not looked at", destination=job.destination.name, error=failure.detail)
        written += (closing(claim.conversation, session, end.by),)
    return Done(
        claim,
        session=SessionChange(fresh(session, route, claim.now), changes_hands=True),
        append=(*written, *(_farewell(job) if end.by != "customer" else ())),
        thread=state,
        poll_in=0.0,
        lane=SILENT,
    )


def closing(conversation: str, session: Session, who: Who) -> AppendItem:
    """Have taken down what a session that is over has open at its destination."""
    return aside(conversation, session.destination, Close(who, session.handles))


def aside(conversation: str, destination: str, item: Item, *, scope: str = "") -> AppendItem:
    """In the lane of reports: what is no message may wait for a sick destination, the customer may not."""
    lane = f"status:{destination}"
    return AppendItem(mailbox_of(conversation, lane), lane, item, scope)


def closed(gateway: Gateway, name: str, claim: Claim, close: Close) -> Outcome:
    """Take it down at the destination `name`, which opens threads. Raises: Failure, LeaseLost."""
    session = Session(name, handles=close.handles)
    job = Job(gateway, gateway.lanes[f"status:{name}"], gateway.destinations[name], claim, session)
    gateway.offers.threads[name].close(session, cast("Who", close.by), gateway.http)
    job.achieved(Achieved())
    found, state = _poll(job)  # what was said up to now; from here on no webhook tells of more
    return Done(claim, append=_carried_over(job, found), thread=state)


def given_up(job: Job, outcome: Outcome) -> Outcome:
    """The outcome of a failed try; if it was the last one, a thread that stands half is taken down."""
    if not isinstance(outcome, Dead) or not job.session.thread or job.threads is None:
        return outcome
    try:
        if not job.threads.abandon(job.session, job.gateway.http):
            return outcome
    except Failure as failure:
        log.error("not abandoned", destination=job.destination.name, error=failure.detail)
        return outcome  # the next poll comes back to it
    return replace(outcome, session=SessionChange(replace(job.session, handles={})))


def _transcript(job: Job) -> list[Message]:
    """What was said since the session began; what they said there already stands there."""
    records = job.gateway.store.messages.timeline(job.claim.conversation, MAX_TRANSCRIPT)
    return [message for message in history.said(records, job.session) if message.source != job.destination.name]


def _poll(job: Job) -> tuple[Polled, ThreadState]:
    """What the destination finds in its thread, and how far it is known then; what was read is reported at once."""
    name, store = job.destination.name, job.gateway.store
    known = store.mailboxes.thread(job.thread_name)
    found = job.threads.poll(job.session, known.seen, job.gateway.http) if job.threads else Polled()
    for index in range(known.read + 1, found.read + 1):
        ref = f"{job.session.thread}/{index}"
        scope, owner = f"{name}:inbound:{ref}", job.claim.conversation
        _, wakes = store.messages.report(ref, "read", scope=scope, direction="inbound", owner=owner, wait=False)
        job.gateway.publisher.publish(wakes)
    seen = -1 if known.seen is None else known.seen
    return found, ThreadState(known.name, max(seen, found.seen), max(known.read, found.read))


def _carried_over(job: Job, found: Polled) -> tuple[Append, ...]:
    """Messages in the destination's thread, for the customer; the script drops those that came by webhook."""
    name = job.destination.name
    return tuple(
        to_customer(
            job.gateway,
            name,
            job.claim.conversation,
            derived_id(f"{name}:{written.alias}", written.external_id),
            written.content,
            author=written.author,
            at=job.claim.now,
            external_id=written.external_id,
            metadata=written.metadata,
            scope=f"{name}:written:{written.external_id}",
        )
        for written in found.written
    )


def _farewell(job: Job) -> Iterator[Append | AppendItem]:
    """What the customer and their channel hear of an end that is not their own doing."""
    conversation, parent = job.claim.conversation, _version(job)
    if job.threads and job.threads.farewell:
        yield to_customer(
            job.gateway,
            job.destination.name,
            conversation,
            derived_id(parent, "farewell"),
            Text(job.threads.farewell),
            author="system",
            at=job.claim.now,
        )
    lane = f"outbound:{split_conversation(conversation)[0]}"
    yield AppendItem(mailbox_of(conversation, "outbound"), lane, TellEnd(derived_id(parent, "ended")))


def _version(job: Job) -> str:
    """Names the session: each handoff has a version of its own."""
    return f"{job.claim.conversation}/{job.session.version}"
