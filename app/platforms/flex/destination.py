"""A Flex destination, put together from parts; each type in the configuration is a set of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from msgspec import Struct

from app.core.errors import Failure
from app.core.events import Accepted, Answer, Event, Polled, Receipt, Reply, StatusReport, Webhook
from app.core.message import Text, derived_id
from app.core.render import Capabilities
from app.core.session import Session
from app.core.text import cut
from app.http import Http
from app.platforms.destination import Delivery, Destination, Handoff, Who
from app.platforms.flex.attributes import Customer
from app.platforms.flex.interactions import Interactions
from app.platforms.flex.media import Media
from app.platforms.flex.messages import Messages, Saying, in_parts
from app.platforms.flex.rules import problems
from app.platforms.flex.settings import BODY_LIMIT, UNIT
from app.platforms.flex.steps import Opening, Step, open_thread
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.threads import Handles, Threads
from app.platforms.flex.webhooks import Webhooks
from app.platforms.provision import Run
from app.platforms.twilio.account import Resource, TwilioFailure

CANNOT_BE_REACHED = "The customer could not be reached: {error}"
POLL_EVERY = 300.0  # seconds


class Parts(Struct, frozen=True):
    """What a generation of Flex brings along. Without `interactions` its threads are routed by themselves."""

    threads: Threads
    steps: Sequence[Step]
    tasks: Tasks
    provision: Callable[[Run], Mapping[str, str]]
    interactions: Interactions | None = None
    poll_every: float = POLL_EVERY


class FlexDestination(Destination):
    """See `app.platforms.destination.Destination` for the verbs."""

    capabilities = Capabilities(
        contents=frozenset({"text", "attachment"}),
        text_limit=BODY_LIMIT,
        text_unit=UNIT,
        described=frozenset(),
        statuses=True,
        resend_safe=True,
        people=True,
    )
    # `repeats_for` stays 0: Twilio repeats a webhook three times at most (`RetryCount`), at once
    spools = True
    calls = 6  # is it there already, fetch a file (which may have moved twice), bring it up, send
    made: Mapping[str, str] = {}
    problems = staticmethod(problems)

    def __init__(self, name: str, settings: Mapping[str, Any], parts: Parts) -> None:
        self.name = name
        self.poll_every: float = settings["check_every"] or parts.poll_every
        self.farewell: str | None = settings["ended_text"]
        self._provision = parts.provision
        self._files = Media(name, settings, parts.threads.account)
        service, upload = settings["chat_service_sid"] or "", settings["media"] == "upload"
        self._by_address: bool = settings["target"] == "address"
        self._threads, self._steps = parts.threads, parts.steps
        self._tasks, self._interactions = parts.tasks, parts.interactions
        self._messages = Messages(parts.threads, self._files, service, upload=upload)
        self._webhooks = Webhooks(parts.threads.generation, self._messages)

    # Webhooks

    def verify(self, webhook: Webhook) -> None:
        self._threads.account.verify(webhook)

    def parse(self, webhook: Webhook) -> list[Event]:
        return self._webhooks.parse(webhook)

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(200, "")

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        """403 for a bad signature. A thread that we do not know is no error that Twilio could mend."""
        if status == 404:
            return Reply(200, "")
        return Reply(403 if status == 401 else status, {"error": {"message": sentence}})

    # Sessions

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        message, session = delivery.message, delivery.session
        customer = Customer(message.conversation, message.profile, session.context)
        opening = self._opening(delivery, customer, message.id, http)
        self._open(opening)
        handles, saying = opening.handles, Saying(delivery.id, opening.identity, delivery.content)
        index, refused = -1, None
        try:
            index = self._messages.say(handles, saying, http, doubtful=delivery.uncertain)
        except TwilioFailure as failure:
            if failure.kind.retry:
                raise
            refused = failure
        if refused or self._threads.generation.ends_silently:
            thread = self._after(handles, refused, http)
            if thread is None:
                handles.clear()
                self._open(opening)
                index = self._messages.say(handles, saying, http)
            elif self._threads.is_over(thread):
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
            author = opening.identity if said.direction == "inbound" else said.source
            # only the customer's last words are news to a flow that waits for the thread
            for saying in in_parts(said, author, self.capabilities, wake=number == last):
                # an earlier try may have come this far
                self._messages.say(opening.handles, saying, http, doubtful=resumed and number == told)
            handoff.remember({"chat": thread, "told": said.id}, [])
        return Answer(handles=opening.handles)

    def report(self, report: StatusReport, http: Http) -> None:
        """People see what the customer has read, and that they could not be reached."""
        said, handles = report.message.metadata, report.handles
        if not handles.get("ready") or said.get("chat") != handles.get("chat"):
            return  # that thread is over
        if report.status == "read" and isinstance(said.get("index"), int):
            self._threads.read_by_customer(handles, said["index"], http)
        if report.status == "failed":
            text = cut(CANNOT_BE_REACHED.format(error=report.error or "no reason was given"), BODY_LIMIT, UNIT)
            saying = Saying(derived_id(report.message.id, "failed"), "system", Text(text))
            try:
                self._messages.say(handles, saying, http, doubtful=report.uncertain)
            except TwilioFailure as failure:
                thread = None if failure.kind.retry else self._threads.find(handles, http)
                if failure.kind.retry or (thread is not None and not self._threads.is_over(thread)):
                    raise

    def poll(self, session: Session, seen: int | None, http: Http) -> Polled:
        """What no webhook brought is carried over by the messages' numbers."""
        handles = session.handles
        # one that is not ready: whoever was to open it gave up, or died of it
        thread = self._threads.find(handles, http) if handles.get("ready") else None
        if thread is None:
            return Polled(over=True)
        newest = self._threads.newest(handles, http, seen)
        written = [one for message in reversed(newest) for one in self._messages.from_thread(handles, message)]
        return Polled(
            written=tuple(written) if seen is not None else (),
            seen=newest[0]["index"] if newest else -1,
            read=self._threads.read_by_people(handles, http),
            over=self._threads.is_over(thread)
            or bool(self._interactions and self._interactions.has_failed(handles, http)),
        )

    def close(self, session: Session, who: Who, http: Http) -> None:
        handles = session.handles
        if self.abandon(session, http) or not handles.get("chat"):
            return
        if who != "platform":
            self._end(handles, http)
            self._tasks.end(handles, http)
        self._threads.unhook(handles, http)
        if who == "platform" and self._interactions:
            # one whose interaction failed is still open, and the customer's next words would go there
            self._threads.close(handles, http)

    def abandon(self, session: Session, http: Http) -> bool:
        handles = session.handles
        if not handles.get("chat") or handles.get("ready"):
            return False
        if self._threads.is_used(handles, http):  # then what was said must stay
            self._end(handles, http)
            self._threads.unhook(handles, http)
        else:
            self._remove(handles, http)
        self._tasks.end(handles, http)
        return True

    def provision(self, run: Run) -> Mapping[str, str]:
        return self._provision(run)

    def sample(self, callback: str) -> Webhook:
        return self._threads.account.signed(callback, self._webhooks.sample())

    # Files of agents

    def check_link(self, token: str) -> str:
        return " ".join(self._files.links.read(token))

    def media(self, token: str, http: Http, into: BinaryIO) -> str:
        return self._files.where(token, http)

    # Parts

    def _opening(self, work: Delivery | Handoff, customer: Customer, key: str, http: Http) -> Opening:
        identity = customer.address if self._by_address else customer.conversation
        return Opening(customer, identity, key, dict(work.session.handles), work.keep, http, work.uncertain)

    def _open(self, opening: Opening) -> None:
        open_thread(opening, self._threads, self._steps)

    def _after(self, handles: Handles, refused: Failure | None, http: Http) -> Resource | None:
        """The thread after a message; if it cannot be seen, it is open whether the message is there."""
        try:
            return self._threads.find(handles, http)
        except Failure as failure:
            raise failure.restated(maybe_done=refused is None) from None

    def _end(self, handles: Handles, http: Http) -> None:
        """Close a thread that nobody needs any more."""
        if self._interactions:
            self._interactions.end(handles, http)
        self._threads.close(handles, http)

    def _remove(self, handles: Handles, http: Http) -> None:
        """Take away a thread that was never open to people, with its interaction: or its task would wait for an agent
        who then finds no thread."""
        if self._interactions:
            self._interactions.end({**handles, **(self._interactions.find(handles, http) or {})}, http)
        self._threads.remove(handles, http)


def _told(handoff: Handoff, thread: str) -> int:
    """How many messages of the transcript an earlier try has shown in this thread."""
    known = [said.id for said in handoff.transcript]
    at = handoff.progress.get("told") if handoff.progress.get("chat") == thread else None
    return known.index(at) + 1 if at in known else 0
