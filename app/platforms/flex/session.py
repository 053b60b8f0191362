"""A session's thread from first message to end: opened, filled, polled, told what became of messages, closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from app.core.errors import Failure
from app.core.events import Answer, Checkup, Receipt, StatusReport
from app.core.message import Message, Text, derived_id
from app.core.render import Capabilities, render
from app.core.session import Session
from app.core.text import cut
from app.http import Http
from app.platforms.destination import Delivery, Handoff, Who
from app.platforms.flex.attributes import Customer
from app.platforms.flex.interactions import Interactions
from app.platforms.flex.messages import Messages, Saying
from app.platforms.flex.settings import BODY_LIMIT, UNIT
from app.platforms.flex.steps import Opening, Step, open_thread
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import Handles, Threads
from app.platforms.twilio.account import Resource, TwilioFailure

CAPABILITIES = Capabilities(
    contents=frozenset({"text", "attachment"}),
    text_limit=BODY_LIMIT,
    text_unit=UNIT,
    described=frozenset(),
    statuses=True,
    resend_safe=True,
    people=True,
)
CANNOT_BE_REACHED = "The customer could not be reached: {error}"


class Sessions(Struct, frozen=True):
    """`target`: what names the customer in Flex, their `address` or the whole `conversation`."""

    threads: Threads
    steps: Sequence[Step]
    messages: Messages
    tasks: Tasks
    interactions: Interactions | None
    target: Literal["address", "conversation"]

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        message, session = delivery.message, delivery.session
        customer = Customer(message.conversation, message.profile, session.context)
        opening = self._opening(delivery, customer, message.id, http)
        self._open(opening)
        handles, saying = opening.handles, Saying(delivery.id, opening.identity, delivery.content)
        index, refused = -1, None
        try:
            index = self.messages.say(handles, saying, http, doubtful=delivery.uncertain)
        except TwilioFailure as failure:
            if failure.kind.retry:
                raise
            refused = failure
        if refused or self.threads.generation.ends_silently:
            thread = self._after(handles, refused, http)
            if thread is None:
                handles.clear()
                self._open(opening)
                index = self.messages.say(handles, saying, http)
            elif self.threads.is_over(thread):
                return Answer(over=True)
            elif refused:
                raise refused
        return Answer(Receipt(f"{handles['chat']}/{index}"), handles=handles)

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Open the thread with what the bot knew, and show in it what was said so far."""
        profiles = [said.profile for said in handoff.transcript if said.profile]
        customer = Customer(
            handoff.conversation, profiles[-1] if profiles else None, handoff.session.context, handoff.transcript
        )
        opening = self._opening(handoff, customer, derived_id(handoff.conversation, handoff.session.version), http)
        resumed = bool(opening.handles)
        self._open(opening)
        thread = opening.handles["chat"]
        told = _told(handoff, thread)
        last = max((n for n, said in enumerate(handoff.transcript) if said.direction == "inbound"), default=-1)
        for number, said in enumerate(handoff.transcript[told:], told):
            for saying in _sayings(said, opening.identity, wake=number == last):
                # an earlier try may have come this far
                self.messages.say(opening.handles, saying, http, doubtful=resumed and number == told)
            handoff.remember({"chat": thread, "told": said.id}, [])
        return Answer(handles=opening.handles)

    def report(self, report: StatusReport, http: Http) -> None:
        """People see what the customer has read, and that they could not be reached."""
        said, handles = report.message.metadata, report.handles
        if not handles.get("ready") or said.get("chat") != handles.get("chat"):
            return  # that thread is over
        if report.status == "read" and isinstance(said.get("index"), int):
            self.threads.read_by_customer(handles, said["index"], http)
        if report.status == "failed":
            text = cut(CANNOT_BE_REACHED.format(error=report.error or "no reason was given"), BODY_LIMIT, UNIT)
            saying = Saying(derived_id(report.message.id, "failed"), "system", Text(text))
            try:
                self.messages.say(handles, saying, http, doubtful=report.uncertain)
            except TwilioFailure as failure:
                thread = None if failure.kind.retry else self.threads.find(handles, http)
                if failure.kind.retry or (thread is not None and not self.threads.is_over(thread)):
                    raise

    def poll(self, handles: Handles, seen: int | None, http: Http) -> Checkup:
        """What no webhook brought is carried over by the messages' numbers."""
        # one that is not ready: whoever was to open it gave up, or died of it
        thread = self.threads.find(handles, http) if handles.get("ready") else None
        if thread is None:
            return Checkup(over=True)
        newest = self.threads.newest(handles, http, seen)
        written = [one for message in reversed(newest) for one in self.messages.from_thread(handles, message)]
        return Checkup(
            written=tuple(written) if seen is not None else (),
            seen=newest[0]["index"] if newest else -1,
            read=self.threads.read_by_people(handles, http),
            over=self.threads.is_over(thread)
            or bool(self.interactions and self.interactions.has_failed(handles, http)),
        )

    def close(self, session: Session, who: Who, http: Http) -> None:
        handles = session.handles
        if self.abandon(session, http) or not handles.get("chat"):
            return
        if who != "platform":
            self._end(handles, http)
            self.tasks.end(handles, http)
        self.threads.unhook(handles, http)
        if who == "platform" and self.interactions:
            # one whose interaction failed is still open, and the customer's next words would go there
            self.threads.close(handles, http)

    def abandon(self, session: Session, http: Http) -> bool:
        handles = session.handles
        if not handles.get("chat") or handles.get("ready"):
            return False
        if self.threads.is_used(handles, http):  # then what was said must stay
            self._end(handles, http)
            self.threads.unhook(handles, http)
        else:
            self._remove(handles, http)
        self.tasks.end(handles, http)
        return True

    def _opening(self, work: Delivery | Handoff, customer: Customer, key: str, http: Http) -> Opening:
        identity = customer.address if self.target == "address" else customer.conversation
        return Opening(customer, identity, key, dict(work.session.handles), work.keep, http, work.uncertain)

    def _open(self, opening: Opening) -> None:
        open_thread(opening, self.threads, self.steps)

    def _after(self, handles: Handles, refused: Failure | None, http: Http) -> Resource | None:
        """The thread after a message; if it cannot be seen, it is open whether the message is there."""
        try:
            return self.threads.find(handles, http)
        except Failure as failure:
            failure.maybe_done = failure.maybe_done or refused is None
            raise

    def _end(self, handles: Handles, http: Http) -> None:
        """Close a thread that nobody needs any more."""
        if self.interactions:
            self.interactions.end(handles, http)
        self.threads.close(handles, http)

    def _remove(self, handles: Handles, http: Http) -> None:
        """Take away a thread that was never open to people, with its interaction: or its task would wait for an agent
        who then finds no thread."""
        if self.interactions:
            self.interactions.end({**handles, **(self.interactions.find(handles, http) or {})}, http)
        self.threads.remove(handles, http)


def _told(handoff: Handoff, thread: str) -> int:
    """How many messages of the transcript an earlier try has shown in this thread."""
    known = [said.id for said in handoff.transcript]
    at = handoff.progress.get("told") if handoff.progress.get("chat") == thread else None
    return known.index(at) + 1 if at in known else 0


def _sayings(said: Message, identity: str, *, wake: bool) -> list[Saying]:
    """A message of the transcript in parts. Only the customer's last words wake a flow that waits for the thread."""
    author = identity if said.direction == "inbound" else said.source
    return [
        Saying(said.id if part == 0 else derived_id(said.id, part), author, content, wake)
        for part, content in enumerate(render(said.content, CAPABILITIES))
    ]
