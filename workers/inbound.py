"""One head of an inbound mailbox: bring the customer's message to whoever holds the conversation now."""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from app.core import errors
from app.core.consent import word_of
from app.core.costs import Cost
from app.core.errors import Failure
from app.core.events import Answer
from app.core.lane import SILENT, LaneEffect
from app.core.message import Content, Message, split_conversation
from app.core.render import render
from app.core.routing import Route, current, handed_over, silent
from app.core.session import Session
from app.core.work import (
    AppendItem,
    Behind,
    Claim,
    Dead,
    Deliver,
    Done,
    End,
    Handoff,
    LostHandoff,
    Outcome,
    Poll,
    Record,
    Reroute,
    Retry,
    SessionChange,
)
from app.gateway import Gateway
from workers import ages, bursts, dead_ends, threads
from workers.failing import failed
from workers.job import Job, session_after
from workers.replies import replies, typing_shown, unsupported
from workers.sending import Sending

NOBODY_TOOK_OVER = "no answer in time, and nobody took the conversation over"


def work(gateway: Gateway, name: str, claim: Claim) -> Outcome:
    """Work the head for the destination `name`.

    Raises:
        Failure: the attempt failed; the drain settles it.
        LeaseLost: nothing may be settled.
    """
    channel = split_conversation(claim.conversation)[0]
    route = gateway.routes.get(channel)
    if route is None:
        raise Failure(errors.MISCONFIGURED, f"the channel {channel} is no longer configured")
    if isinstance(claim.item, LostHandoff):
        return dead_ends.lost(gateway, claim)
    if isinstance(claim.item, Handoff) and (before := dead_ends.handed_over_anew(gateway, route, claim)):
        return before
    session = _holder(gateway, route, claim)
    if session.destination != name:
        return Reroute(claim, f"inbound:{session.destination}", lane=SILENT)
    return _worked(Job(gateway, gateway.lanes[f"inbound:{name}"], gateway.destinations[name], claim, session), route)


def _holder(gateway: Gateway, route: Route, claim: Claim) -> Session:
    """The session that the head is for. One with an open thread holds until that is closed, however silent it was, and
    one that waits to be handed over until it is."""
    session = claim.session
    if session and isinstance(claim.item, Handoff):
        return session
    if session is None or session.destination not in gateway.destinations or not session.thread:
        session = current(session, route, gateway.timeouts, claim.now)
    return replace(session, since=claim.message.id) if claim.message and not session.since else session


def _worked(job: Job, route: Route) -> Outcome:
    match job.claim.item:
        case Deliver() if job.claim.message:
            if job.session.thread and silent(job.session, job.gateway.timeouts, job.claim.now):
                return Behind(job.claim, (End("silence"),), lane=SILENT)
            question = bursts.gathered(job, job.claim.message)
            return question if isinstance(question, Retry) else deliver(job, route, question)
        case Handoff():
            return threads.opened(job, route)
        case Poll():
            return threads.polled(job)
        case End() as end:
            return threads.ended(job, route, end)
    return Done(job.claim, lane=SILENT)  # its record is forgotten: nothing is left to do


def deliver(job: Job, route: Route, message: Message) -> Outcome:
    """Bring a message to the destination that the job is for."""
    parts = render(message.content, job.destination.capabilities)
    if before := _needless(job, message, parts):
        return before
    sending, started = Sending(job, message, ages.marked(job, message, parts)), time.monotonic()
    if bursts.late(job, message) and not job.destination.capabilities.resend_safe:
        return _unanswered(job, route, message, sending.so_far())
    try:
        with typing_shown(job, message):
            answer = sending.send()
    except Failure as failure:
        return _failed(job, route, message, failure, sending.so_far())
    if answer.over:  # the end is worked first; then the message goes to whoever answers next
        return Behind(job.claim, (End("platform", job.session.thread),))
    answer = _in_time(job, answer, time.monotonic() - started)
    return _answered(job, route, message, answer, _cost(job, parts, answer.spent))


def _needless(job: Job, message: Message, parts: Sequence[Content]) -> Outcome | None:
    """The outcome of a message that has arrived already, or that was answered in the destination's place."""
    claim, able = job.claim, job.destination.capabilities
    if claim.uncertain and claim.status in ("delivered", "read"):  # the platform itself proved it
        return Done(claim, status=claim.status, lane=SILENT, cost=_cost(job, parts))
    if word_of(message.metadata.get("opt_out")) and not (able.people or able.keywords):
        return Done(claim, status="delivered", lane=SILENT)
    return None


def _in_time(job: Job, answer: Answer, took: float) -> Answer:
    """The answer as it counts after `took` seconds."""
    deadline, late = job.destination.deadline, job.destination.late
    if deadline is None or took <= deadline or late == "send":
        return answer
    return replace(answer, replies=(), handoff=answer.handoff or late == "people")


def _answered(job: Job, route: Route, message: Message, answer: Answer, cost: Cost | None) -> Outcome:
    for what in answer.unsupported:
        unsupported(job, what, message.id)
    after = handed_over(job.session, route, dict(answer.memory), job.claim.now) if answer.handoff else None
    change = SessionChange(after, changes_hands=True) if after else session_after(job, route, answer)
    external = answer.receipt.external_id
    return Done(
        job.claim,
        status=answer.receipt.status,
        scope=f"{job.destination.name}:inbound:{external}" if external else "",
        session=change,
        front=(Handoff(),) if after else (),
        append=(
            *replies(job, message.id, answer.replies),
            *((_recording(job, answer.record),) if answer.record else ()),
        ),
        poll_in=job.poll_every,
        cost=cost,
    )


def _recording(job: Job, call: str) -> AppendItem:
    """Each answer names the call again; it is recorded once."""
    name = job.destination.name
    return threads.aside(job.claim.conversation, name, Record(call), scope=f"{name}:record:{call}")


def _cost(job: Job, parts: Sequence[Content], spent: int | None = None) -> Cost | None:
    return job.gateway.settings.costs.of_turn(job.destination.name, len(parts), spent)


def _failed(job: Job, route: Route, message: Message, failure: Failure, said: Answer | None) -> Outcome:
    """The outcome of a failed try; `said` is what was answered to the parts that went through."""
    destination = job.destination
    was_late = bool(bursts.late(job, message))  # and people refused the conversation
    if failure.kind is errors.TIMED_OUT and destination.late == "people" and not was_late:
        after = handed_over(job.session, route, {}, job.claim.now)
        if after:
            return _to_people(job, message, failure, after)
    resend_safe = destination.capabilities.resend_safe
    outcome = threads.given_up(job, failed(job.claim, failure, job.lane.retry, resend_safe=resend_safe))
    if isinstance(outcome, Dead) and said:
        return replace(outcome, append=replies(job, message.id, said.replies))
    return outcome


def _to_people(job: Job, message: Message, failure: Failure, after: Session) -> Done:
    """The bot's answer is late: the message goes to people, behind the handoff, as do those that were asked with it."""
    asked = job.claim.asked or (message.id,)
    return Done(
        job.claim,
        session=SessionChange(replace(after, late=" ".join(asked)), changes_hands=True),
        front=(Handoff(), *map(Deliver, asked)),
        lane=LaneEffect("sick", why=str(failure), falls="timed_out"),
        reason=failure.kind.code,
        error=failure.detail,
    )


def _unanswered(job: Job, route: Route, message: Message, said: Answer | None) -> Outcome:
    """A message comes back from people who refused the conversation, and may not be brought here again by itself; an
    operator's replay may."""
    failure = Failure(errors.TIMED_OUT, NOBODY_TOOK_OVER, maybe_done=True)
    outcome = _failed(job, route, message, failure, said)
    return replace(outcome, session=SessionChange(replace(job.session, late="")), lane=SILENT)
