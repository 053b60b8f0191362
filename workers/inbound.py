"""One head of an inbound mailbox: bring the customer's message to whoever holds the conversation now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from app.core import errors
from app.core.errors import Failure, StoreUnavailable
from app.core.events import Answer
from app.core.message import Content, Message, derived_id, split_conversation
from app.core.render import render
from app.core.routing import Route, current, fresh, handed_over
from app.core.session import Session
from app.destinations.base import Delivery, Destination, Handoff
from app.gateway import Gateway
from app.store.mailbox import Append, Claim, SessionChange, Settlement
from workers.failing import failed

TRANSCRIPT_MOST = 50
TYPING_AFTER = 1.0  # seconds of waiting for a bot after which the customer sees that somebody types
TYPING_AGAIN = 8.0


class LeaseLost(Exception):
    """Another drain holds the mailbox; whatever we did, it decides now."""


def work(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    """Work the head for the destination `name`.

    Raises:
        Failure: the attempt failed; the drain settles it.
        LeaseLost: nothing may be settled.
    """
    channel = split_conversation(claim.conversation)[0]
    route = gateway.routes.get(channel)
    if route is None:
        raise Failure(errors.MISCONFIGURED, f"the channel {channel} is no longer configured")
    session = current(claim.session, route, gateway.timeouts, claim.now)
    if claim.message and not session.since:
        session = replace(session, since=claim.message.id)
    if session.destination != name:
        return Settlement(claim, "reroute", to=f"inbound:{session.destination}", lane_effect="none")
    job = _Job(gateway, gateway.destinations[name], route, session, claim)
    match claim.kind:
        case "message" if claim.message:
            return job.deliver(claim.message)
        case "handoff":
            return job.open()
        case "ended":
            return job.end()
    return Settlement(claim, "done", lane_effect="none")  # its record is forgotten: nothing is left to do


class _Job:
    def __init__(
        self, gateway: Gateway, destination: Destination, route: Route, session: Session, claim: Claim
    ) -> None:
        self._gateway = gateway
        self._destination = destination
        self._route = route
        self._session = session
        self._claim = claim
        self._lane = gateway.lanes[f"inbound:{destination.name}"]

    def deliver(self, message: Message) -> Settlement:
        if self._claim.uncertain and self._claim.status in ("delivered", "read"):
            return Settlement(self._claim, "done", lane_effect="none")  # the platform itself proved it
        started = time.monotonic()
        try:
            with self._typing(message):
                answer = self._send(message)
        except Failure as failure:
            return self._failed(message, failure)
        return self._answered(message, self._in_time(answer, time.monotonic() - started))

    def open(self) -> Settlement:
        records = self._gateway.store.messages.timeline(self._claim.conversation, TRANSCRIPT_MOST)
        ids = [record.message.id for record in records]
        began = ids.index(self._session.since) if self._session.since in ids else 0
        transcript = [
            record.message
            for record in records[began:]
            if record.message.direction == "outbound" or record.status != "queued"  # what still waits comes after
        ]
        handoff = Handoff(
            conversation=self._claim.conversation,
            session=self._session,
            transcript=transcript,
            remember=self._remember({}),
            progress=self._claim.progress.get("adapter", {}),
        )
        answer = self._destination.open(handoff, self._gateway.http)
        parent = f"{self._claim.conversation}/{self._session.version}"  # each handoff has a version of its own
        return Settlement(
            self._claim, "done", session=self._session_after(answer), append=self._replies(parent, answer.replies)
        )

    def end(self) -> Settlement:
        change = SessionChange(fresh(self._session, self._route, self._claim.now), changes_hands=True)
        return Settlement(self._claim, "done", session=change, lane_effect="none")

    def _send(self, message: Message) -> Answer:
        """All parts of the message, from where an earlier try stopped; the answers become one."""
        parts = render(message.content, self._destination.capabilities)
        done = int(self._claim.progress.get("part", 0))
        answers = []
        for number in range(done, len(parts)):
            answers.append(self._send_part(message, parts[number], number, number == done))
            if number + 1 < len(parts):
                self._remember({"part": number + 1})({}, [])
        return _joined(answers)

    def _send_part(self, message: Message, content: Content, number: int, resumed: bool) -> Answer:
        first = not self._session.handles and number == 0
        channel = self._gateway.settings.channels[message.channel].values
        asked = message.metadata.get("target_task")
        delivery = Delivery(
            message=message,
            content=content,
            session=self._session,
            remember=self._remember({"part": number}),
            part=number,
            first=first,
            target_task=asked if isinstance(asked, str) else channel["target_task"] if first else None,
            uncertain=self._claim.uncertain and resumed,
            progress=self._claim.progress.get("adapter", {}) if resumed else {},
        )
        return self._destination.deliver(delivery, self._gateway.http)

    def _remember(self, ours: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Sequence[str]], None]:
        def remember(progress: Mapping[str, Any], aliases: Sequence[str]) -> None:
            names = [f"{self._destination.name}:{alias}" for alias in aliases]
            kept = {**ours, "adapter": dict(progress)}
            if not self._gateway.store.mailboxes.remember(self._claim, kept, names, self._lane.lease):
                raise LeaseLost

        return remember

    def _failed(self, message: Message, failure: Failure) -> Settlement:
        destination = self._destination
        if failure.kind is errors.TIMED_OUT and destination.late == "people":
            after = handed_over(self._session, self._route, {}, self._claim.now)
            if after:
                return Settlement(
                    self._claim,
                    "done",
                    session=SessionChange(after, changes_hands=True),
                    front=("handoff", f"message {message.id}"),
                    lane_effect="sick",
                    reason=failure.kind.code,
                    error=failure.detail,
                )
        return failed(self._claim, failure, self._lane.retry, resend_safe=destination.capabilities.resend_safe)

    def _in_time(self, answer: Answer, took: float) -> Answer:
        """The answer as it counts after `took` seconds."""
        deadline, late = self._destination.deadline, self._destination.late
        if deadline is None or took <= deadline or late == "send":
            return answer
        return replace(answer, replies=(), handoff=answer.handoff or late == "people")

    def _answered(self, message: Message, answer: Answer) -> Settlement:
        after = (
            handed_over(self._session, self._route, dict(answer.memory), self._claim.now) if answer.handoff else None
        )
        change = SessionChange(after, changes_hands=True) if after else self._session_after(answer)
        external = answer.receipt.external_id
        return Settlement(
            self._claim,
            "done",
            status=answer.receipt.status,
            scope=f"{self._destination.name}:inbound:{external}" if external else "",
            session=change,
            front=("handoff",) if after else (),
            append=self._replies(message.id, answer.replies),
        )

    def _session_after(self, answer: Answer) -> SessionChange:
        if answer.end or answer.handoff:
            after = fresh(self._session, self._route, self._claim.now)
            return SessionChange(after, changes_hands=after.destination != self._session.destination)
        handles = self._session.handles if answer.handles is None else answer.handles
        return SessionChange(replace(self._session, handles=handles, last_at=self._claim.now))

    def _replies(self, parent: str, replies: Sequence[Content]) -> tuple[Append, ...]:
        """Messages to the customer. The same work done again makes the same ids, so nothing is said twice."""
        name, capabilities = self._destination.name, self._destination.capabilities
        channel, customer = split_conversation(self._claim.conversation)
        return tuple(
            Append(
                Message(
                    id=derived_id(parent, f"reply-{number}"),
                    direction="outbound",
                    channel=channel,
                    customer=customer,
                    content=content,
                    author="agent" if capabilities.people else "bot",
                    source=name,
                    at=self._claim.now,
                ),
                lane=f"outbound:{channel}",
                report_to=name if capabilities.statuses else "",
                live=self._gateway.channels[channel].capabilities.live,
            )
            for number, content in enumerate(replies)
        )

    @contextmanager
    def _typing(self, message: Message) -> Iterator[None]:
        """While a bot thinks, let the customer see it, where the channel can show that."""
        channel = self._gateway.channels[message.channel]
        if self._destination.capabilities.people or not channel.capabilities.typing:
            yield
            return
        over = threading.Event()

        def show() -> None:
            wait, began = TYPING_AFTER, time.monotonic()
            while not over.wait(wait):
                item = f"typing @{self._claim.now + int((time.monotonic() - began) * 1000)}"
                mailboxes = self._gateway.store.mailboxes
                with suppress(StoreUnavailable):  # only a hint
                    wakes = mailboxes.append(message.conversation, "outbound", f"outbound:{channel.name}", item)
                    self._gateway.publisher.publish(wakes or ())
                wait = TYPING_AGAIN

        threading.Thread(target=show, daemon=True).start()
        try:
            yield
        finally:
            over.set()


def _joined(answers: Sequence[Answer]) -> Answer:
    """The answers to the parts of one message as one: replies in order, the last receipt and session."""
    if not answers:
        return Answer()
    last = answers[-1]
    return replace(
        last,
        replies=tuple(reply for answer in answers for reply in answer.replies),
        handoff=any(answer.handoff for answer in answers),
    )
