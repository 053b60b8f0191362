"""One head of an inbound mailbox: bring the customer's message to whoever holds the conversation now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import orjson
from msgspec.structs import asdict, replace

from app.core import errors
from app.core.consent import word_of
from app.core.costs import Cost
from app.core.errors import Failure, StoreUnavailable
from app.core.events import Answer, Polled, Said
from app.core.message import (
    Author,
    Content,
    Message,
    Text,
    content_from_dict,
    content_to_dict,
    derived_id,
    split_conversation,
)
from app.core.render import render
from app.core.routing import Route, current, fresh, handed_over, silent
from app.core.session import Session
from app.gateway import Gateway
from app.log import logger
from app.platforms.destination import Delivery, Destination, Handoff, Who
from app.store.mailbox import Append, AppendItem, ChatState, Claim, SessionChange, Settlement, mailbox_of
from workers import dead_ends, history, lease
from workers.failing import failed

log = logger("inbound")

TRANSCRIPT_MOST = 50
TYPING_AFTER = 1.0  # seconds of waiting for a bot after which the customer sees that somebody types
TYPING_AGAIN = 8.0
NOBODY_TOOK_OVER = "no answer in time, and nobody took the conversation over"
LOOK_PATIENCE = 20.0  # seconds for which an end waits to bring along what was missed


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
    if claim.kind == "lost":
        return dead_ends.lost(gateway, claim)
    if claim.kind == "handoff" and (before := dead_ends.handed_over_anew(gateway, route, claim)):
        return before
    session = _holder(gateway, route, claim)
    if session.destination != name:
        return Settlement(claim, "reroute", to=f"inbound:{session.destination}", lane_effect="none")
    job = _Job(gateway, gateway.destinations[name], route, session, claim)
    match claim.kind:
        case "message" if claim.message:
            if session.chat and silent(session, gateway.timeouts, claim.now):
                return Settlement(claim, "behind", front=("ended silence",), lane_effect="none")
            return job.deliver(claim.message)
        case "handoff":
            return job.open()
        case "check":
            return job.check()
        case "ended":
            return job.end()
    return Settlement(claim, "done", lane_effect="none")  # its record is forgotten: nothing is left to do


def _holder(gateway: Gateway, route: Route, claim: Claim) -> Session:
    """The session that the head is for. One with an open chat holds until that is closed, however silent it was, and
    one that waits to be handed over until it is."""
    session = claim.session
    if session and claim.kind == "handoff":
        return session
    if session is None or session.destination not in gateway.destinations or not session.chat:
        session = current(session, route, gateway.timeouts, claim.now)
    return replace(session, since=claim.message.id) if claim.message and not session.since else session


def close(gateway: Gateway, name: str, claim: Claim) -> Settlement:
    """Work a `close` for the destination `name`. Raises: Failure."""
    route = gateway.routes.get(split_conversation(claim.conversation)[0], Route(name))
    return _Job(gateway, gateway.destinations[name], route, Session(name), claim).close()


class _Job:
    def __init__(
        self, gateway: Gateway, destination: Destination, route: Route, session: Session, claim: Claim
    ) -> None:
        self._gateway = gateway
        self._destination = destination
        self._route = route
        self._session = session
        self._claim = claim
        self._threads = gateway.offers.threads.get(destination.name)
        self._poll_every = (self._threads and self._threads.poll_every) or None
        self._lane = gateway.lanes[f"inbound:{destination.name}"]
        self._kept = list(claim.progress.get("answers", ()))  # to the message's parts so far

    def deliver(self, message: Message) -> Settlement:
        parts = render(message.content, self._destination.capabilities)
        if self._claim.uncertain and self._claim.status in ("delivered", "read"):
            # the platform itself proved it
            return Settlement(self._claim, "done", lane_effect="none", cost=self._cost(parts))
        knows = self._destination.capabilities.people or self._destination.capabilities.keywords
        if word_of(message.metadata.get("opt_out")) and not knows:
            return Settlement(self._claim, "done", status="delivered", lane_effect="none")  # it is answered already
        if self._session.late == message.id and not self._destination.capabilities.resend_safe:
            return self._unanswered(message)
        started = time.monotonic()
        try:
            with self._typing(message):
                answer = self._send(message, parts)
        except Failure as failure:
            return self._failed(message, failure)
        if answer.over:  # the end is worked first; then the message goes to whoever answers next
            return Settlement(self._claim, "behind", front=(f"ended platform {self._session.chat}",))
        answer = self._in_time(answer, time.monotonic() - started)
        return self._answered(message, answer, self._cost(parts, answer.spent))

    def open(self) -> Settlement:
        records = self._gateway.store.messages.timeline(self._claim.conversation, TRANSCRIPT_MOST)
        said = history.said(records, self._session)
        # what they said there already stands there
        transcript = [message for message in said if message.source != self._destination.name]
        handoff = Handoff(
            conversation=self._claim.conversation,
            session=self._session,
            transcript=transcript,
            remember=self._remember({}),
            keep=self._keep,
            uncertain=self._claim.uncertain,
            progress=self._claim.progress.get("adapter", {}),
        )
        taker = self._gateway.offers.takeovers.get(self._destination.name)
        try:
            answer = taker.open(handoff, self._gateway.http) if taker else Answer()
        except Failure as failure:
            return self._given_up(failed(self._claim, failure, self._lane.retry))
        parent = f"{self._claim.conversation}/{self._session.version}"  # each handoff has a version of its own
        return Settlement(
            self._claim,
            "done",
            session=self._session_after(answer),
            append=self._replies(parent, answer.replies),
            watch=self._poll_every,
        )

    def check(self) -> Settlement:
        """Look at the chat: what was missed, what was read, whether it is over or was left."""
        session = self._session
        if not session.chat or not self._poll_every:
            return Settlement(self._claim, "done", watch=0.0, lane_effect="none")
        try:
            checkup, chat = self._look()
        except Failure as failure:
            settlement = failed(self._claim, failure, self._lane.retry)
            if settlement.outcome != "dead":
                return settlement
            return replace(settlement, outcome="done", watch=self._poll_every)  # the next look finds the same
        front: tuple[str, ...] = ()
        if checkup.over:
            front = (f"ended platform {session.chat}",)
        elif not checkup.written and silent(session, self._gateway.timeouts, self._claim.now):
            front = ("ended silence",)
        return Settlement(
            self._claim,
            "done",
            session=SessionChange(session) if checkup.written else None,
            append=self._carried_over(checkup),
            chat=chat,
            front=front,
            watch=None if front else self._poll_every,
        )

    def end(self) -> Settlement:
        """The session is over. `ended`: the customer's channel said so; `ended platform CHAT`, `ended silence`."""
        _, said, chat = (*self._claim.item.split(" ", 2), "", "")[:3]
        who: Who = "platform" if said == "platform" else "silence" if said == "silence" else "customer"
        session = self._session
        if chat and chat != session.chat:
            return Settlement(self._claim, "done", lane_effect="none")  # an earlier one
        if who == "silence" and not silent(session, self._gateway.timeouts, self._claim.now):
            return Settlement(self._claim, "done", lane_effect="none")  # somebody has spoken meanwhile
        written: tuple[Append | AppendItem, ...] = ()
        known: ChatState | None = None
        if session.chat:
            try:
                checkup, known = self._look()
                written = self._carried_over(checkup)
            except Failure as failure:
                settlement = failed(self._claim, failure, self._lane.retry)
                if settlement.outcome == "retry" and self._claim.now - self._claim.first_at < LOOK_PATIENCE * 1000:
                    return settlement
                # a sick destination must not hold the customer for long; the closing looks again
                log.warning("not looked at", destination=self._destination.name, error=failure.detail)
            written += (dead_ends.closing(self._claim.conversation, session, who),)
        return Settlement(
            self._claim,
            "done",
            session=SessionChange(fresh(session, self._route, self._claim.now), changes_hands=True),
            append=(*written, *(self._told() if who != "customer" else ())),
            chat=known,
            watch=0.0,
            lane_effect="none",
        )

    def close(self) -> Settlement:
        """`close WHO HANDLES`: take down what a session that is over has open at the destination."""
        _, who, handles = self._claim.item.split(" ", 2)
        self._session = Session(self._destination.name, handles=orjson.loads(handles))
        if self._threads is None:
            return Settlement(self._claim, "done")
        self._threads.close(self._session, cast("Who", who), self._gateway.http)
        self._hold()
        checkup, known = self._look()  # what was said up to now; from here on no webhook tells of more
        return Settlement(self._claim, "done", append=self._carried_over(checkup), chat=known)

    def _recording(self, call: str) -> AppendItem:
        """Each answer names the call again; it is recorded once."""
        return self._aside(f"record {call}", scope=f"{self._destination.name}:record:{call}")

    def _aside(self, item: str, *, scope: str = "") -> AppendItem:
        """In the lane of reports: what is no message may wait for a sick destination, the customer may not."""
        lane = f"status:{self._destination.name}"
        return AppendItem(mailbox_of(self._claim.conversation, lane), lane, item, scope)

    def _look(self) -> tuple[Polled, ChatState]:
        """What the destination finds in its chat, and how far it is known then; what was read is reported at once."""
        name, store = self._destination.name, self._gateway.store
        known = store.mailboxes.chat(f"{name}:{self._session.chat}")
        threads = self._threads
        checkup = threads.poll(self._session, known.seen, self._gateway.http) if threads else Polled()
        for index in range(known.read + 1, checkup.read + 1):
            ref = f"{self._session.chat}/{index}"
            scope, owner = f"{name}:inbound:{ref}", self._claim.conversation
            _, wakes = store.messages.report(ref, "read", scope=scope, direction="inbound", owner=owner, wait=False)
            self._gateway.publisher.publish(wakes)
        return checkup, replace(
            known, seen=max(-1 if known.seen is None else known.seen, checkup.seen), read=max(known.read, checkup.read)
        )

    def _carried_over(self, checkup: Polled) -> tuple[Append, ...]:
        """Messages in the destination's chat, for the customer; the script drops those that came by webhook."""
        name = self._destination.name
        return tuple(
            self._to_customer(
                derived_id(f"{name}:{written.alias}", written.external_id),
                written.content,
                author=written.author,
                external_id=written.external_id,
                metadata=written.metadata,
                scope=f"{name}:written:{written.external_id}",
            )
            for written in checkup.written
        )

    def _told(self) -> Iterator[Append | AppendItem]:
        """What the customer and their channel hear of an end that is not their own doing."""
        parent = f"{self._claim.conversation}/{self._session.version}"
        if self._threads and self._threads.farewell:
            yield self._to_customer(derived_id(parent, "farewell"), Text(self._threads.farewell), author="system")
        conversation = self._claim.conversation
        lane = f"outbound:{split_conversation(conversation)[0]}"
        yield AppendItem(mailbox_of(conversation, "outbound"), lane, f"ended {derived_id(parent, 'ended')}")

    def _send(self, message: Message, parts: Sequence[Content]) -> Answer:
        """All parts of the message, from where an earlier try stopped; the answers become one."""
        done = int(self._claim.progress.get("part", 0))
        answers = [_again(answer) for answer in self._kept]
        for number in range(done, len(parts)):
            ours = {"part": number, "answers": self._kept}
            answers.append(self._send_part(message, parts[number], ours, number == done))
            if answers[-1].over:
                break
            if number + 1 < len(parts):
                self._kept = [*self._kept, _kept(answers[-1])]
                self._remember({"part": number + 1, "answers": self._kept})({}, [])
        return _joined(answers)

    def _send_part(self, message: Message, content: Content, ours: Mapping[str, Any], resumed: bool) -> Answer:
        """One part, whose number stands in our progress."""
        number = ours["part"]
        first = not self._session.handles and number == 0
        channel = self._gateway.settings.channels[message.channel].values
        asked = message.metadata.get("target_task")
        delivery = Delivery(
            message=message,
            content=content,
            session=self._session,
            remember=self._remember(ours),
            keep=self._keep,
            part=number,
            first=first,
            target_task=asked if isinstance(asked, str) else channel["target_task"] if first else None,
            uncertain=self._claim.uncertain and resumed,
            progress=self._claim.progress.get("adapter", {}) if resumed else {},
            history=history.before(self._gateway, self._destination.name, message, self._session),
        )
        return self._destination.deliver(delivery, self._gateway.http)

    def _remember(self, ours: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Sequence[str]], None]:
        def remember(progress: Mapping[str, Any], aliases: Sequence[str]) -> None:
            kept = {**ours, "adapter": dict(progress)}
            self._hold(progress=kept, aliases=self._names(aliases))

        return remember

    def _keep(self, handles: Mapping[str, Any], *, seen: int | None = None) -> None:
        """See `app.platforms.destination.Keep`."""
        self._session = replace(self._session, handles=dict(handles))
        chat = self._session.chat
        self._hold(
            session=self._session,
            aliases=self._names([chat] if chat else []),
            chat=ChatState(f"{self._destination.name}:{chat}", seen) if seen is not None else None,
            watch=self._poll_every,
        )

    def _hold(self, **kept: Any) -> None:
        lease.remember(self._gateway, self._lane, self._claim, **kept)

    def _names(self, aliases: Sequence[str]) -> list[str]:
        return [f"{self._destination.name}:{alias}" for alias in aliases]

    def _given_up(self, settlement: Settlement) -> Settlement:
        """The settlement of a failed try; if it was the last one, a chat that stands half is taken down."""
        if settlement.outcome != "dead" or not self._session.chat or self._threads is None:
            return settlement
        try:
            if not self._threads.abandon(self._session, self._gateway.http):
                return settlement
        except Failure as failure:
            log.error("not abandoned", destination=self._destination.name, error=failure.detail)
            return settlement  # the slow check comes back to it
        return replace(settlement, session=SessionChange(replace(self._session, handles={})))

    def _failed(self, message: Message, failure: Failure) -> Settlement:
        destination = self._destination
        was_late = self._session.late == message.id  # and people refused the conversation
        if failure.kind is errors.TIMED_OUT and destination.late == "people" and not was_late:
            after = handed_over(self._session, self._route, {}, self._claim.now)
            if after:
                return Settlement(
                    self._claim,
                    "done",
                    session=SessionChange(replace(after, late=message.id), changes_hands=True),
                    front=("handoff", f"message {message.id}"),
                    lane_effect="sick",
                    reason=failure.kind.code,
                    error=failure.detail,
                )
        resend_safe = destination.capabilities.resend_safe
        settlement = self._given_up(failed(self._claim, failure, self._lane.retry, resend_safe=resend_safe))
        if settlement.outcome == "dead" and self._kept:  # what was said to the parts before is said all the same
            said = _joined([_again(answer) for answer in self._kept])
            return replace(settlement, append=self._replies(message.id, said.replies))
        return settlement

    def _unanswered(self, message: Message) -> Settlement:
        """A message comes back from people who refused the conversation, and may not be brought here again by itself;
        an operator's replay may."""
        settlement = self._failed(message, Failure(errors.TIMED_OUT, NOBODY_TOOK_OVER, maybe_done=True))
        change = SessionChange(replace(self._session, late=""))
        return replace(settlement, session=change, lane_effect="none")

    def _in_time(self, answer: Answer, took: float) -> Answer:
        """The answer as it counts after `took` seconds."""
        deadline, late = self._destination.deadline, self._destination.late
        if deadline is None or took <= deadline or late == "send":
            return answer
        return replace(answer, replies=(), handoff=answer.handoff or late == "people")

    def _answered(self, message: Message, answer: Answer, cost: Cost | None) -> Settlement:
        for what in answer.unsupported:
            self._unsupported(what, message.id)
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
            append=(
                *self._replies(message.id, answer.replies),
                *((self._recording(answer.record),) if answer.record else ()),
            ),
            watch=self._poll_every,
            cost=cost,
        )

    def _cost(self, parts: Sequence[Content], spent: int | None = None) -> Cost | None:
        return self._gateway.settings.costs.of_turn(self._destination.name, len(parts), spent)

    def _session_after(self, answer: Answer) -> SessionChange:
        if answer.end or answer.handoff:
            after = fresh(self._session, self._route, self._claim.now)
            return SessionChange(after, changes_hands=after.destination != self._session.destination)
        if self._session.refused:  # not any more
            self._session = replace(self._session, refused=0)
        if answer.handles is None or answer.handles == self._session.handles:
            return SessionChange(self._session)  # the store dates it
        return SessionChange(replace(self._session, handles=answer.handles))

    def _unsupported(self, what: str, message: str) -> None:
        """Tell the operator what a destination asked for in vain, or what nobody can read, in answer to a message."""
        log.warning("unsupported", destination=self._destination.name, what=what, message=message)
        with suppress(StoreUnavailable):  # for a mere count nothing is asked again
            self._gateway.store.lanes.count(f"unsupported:{self._destination.name}:{what}")

    def _replies(self, parent: str, replies: Sequence[Content | Said]) -> tuple[Append, ...]:
        """Messages to the customer. The same work done again makes the same ids, so nothing is said twice."""
        author: Author = "agent" if self._destination.capabilities.people else "bot"
        found, parts = [], list[str]()  # the latter are those that the next one speaks for
        for number, reply in enumerate(replies):
            said = reply if isinstance(reply, Said) else Said(reply)
            message_id = derived_id(parent, f"reply-{number}")
            metadata = said.speaking_for(parts)
            parts = [*parts, message_id] if said.part else []
            conversation = self._gateway.meet(self._destination.name, said.to) if said.to else self._claim.conversation
            if conversation is None:
                self._unsupported("recipient", parent)
                continue
            found.append(
                self._to_customer(
                    message_id,
                    said.content,
                    conversation,
                    author=author,
                    metadata=metadata,
                )
            )
        return tuple(found)

    def _to_customer(
        self, message_id: str, content: Content, conversation: str = "", *, scope: str = "", **parts: Any
    ) -> Append:
        """A message for a conversation; '' is the one that the head belongs to."""
        name = self._destination.name
        channel, customer = split_conversation(conversation or self._claim.conversation)
        return Append(
            Message(
                id=message_id,
                direction="outbound",
                channel=channel,
                customer=customer,
                content=content,
                source=name,
                at=self._claim.now,
                **parts,
            ),
            lane=f"outbound:{channel}",
            report_to=name if self._destination.capabilities.statuses else "",
            live=self._gateway.channels[channel].capabilities.live,
            scope=scope,
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


def _kept(answer: Answer) -> dict[str, Any]:
    """What must not get lost of an answer to one part while another part is tried again."""
    said = [reply if isinstance(reply, Said) else Said(reply) for reply in answer.replies]
    replies = [{**asdict(reply), "content": content_to_dict(reply.content)} for reply in said]
    return {
        "replies": replies,
        "handoff": answer.handoff,
        "record": answer.record,
        "spent": answer.spent,
        "unsupported": list(answer.unsupported),
    }


def _again(kept: Mapping[str, Any]) -> Answer:
    """The inverse of `_kept`."""
    replies = (Said(**{**reply, "content": content_from_dict(reply["content"])}) for reply in kept["replies"])
    unsupported = tuple(kept.get("unsupported", ()))  # an earlier version kept none
    return Answer(
        replies=tuple(replies),
        handoff=kept["handoff"],
        record=kept["record"],
        unsupported=unsupported,
        spent=kept.get("spent"),
    )


def _joined(answers: Sequence[Answer]) -> Answer:
    """The answers to the parts of one message as one: replies in order, the last receipt and session."""
    if not answers:
        return Answer()
    last = answers[-1]
    if len(answers) == 1:
        return last
    return replace(
        last,
        replies=tuple(reply for answer in answers for reply in answer.replies),
        unsupported=tuple(what for answer in answers for what in answer.unsupported),
        handoff=any(answer.handoff for answer in answers),
        record=next((answer.record for answer in answers if answer.record), None),
        spent=sum(known) if (known := [answer.spent for answer in answers if answer.spent is not None]) else None,
    )
