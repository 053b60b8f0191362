"""What a webhook's events become: accepted messages, applied reports, appended hints.

Used by the receiver, and by whoever replays a parked webhook.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from app import written
from app.core.errors import StoreUnavailable
from app.core.events import Accepted, Changed, Ended, Event, Ignored, Opted, Reported, Typing, Webhook, Written
from app.core.message import conversation_key, split_conversation
from app.core.schema import noticing
from app.core.work import AppendItem, End, Item, Wake, mailbox_of
from app.core.work import Typing as ShowTyping
from app.gateway import RECEIVER_TIMEOUT, Gateway

KIND = re.compile(r"[A-Za-z0-9_.]{1,64}")
MAILBOX_FULL = "Too many messages of this conversation are waiting."


class NotTaken(Exception):
    """An event cannot be recorded now (`retry_after` seconds) or at all (None); nothing of it was kept."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


def read(gateway: Gateway, name: str, webhook: Webhook) -> list[Event]:
    """What a webhook of the channel or destination `name` says; details that were dropped or cut are counted.

    Raises:
        BadWebhook: it breaks a rule.
    """
    with noticing() as odd:
        events = gateway.offers.webhooks[name].parse(webhook)
    for what, field in odd:
        with suppress(StoreUnavailable):  # for a mere count no webhook is refused
            gateway.store.lanes.count(f"{what}:{name}:{field}")
    return events


def accept(gateway: Gateway, name: str, events: Sequence[Event], at: int | None = None) -> list[Accepted]:
    """Record the events of a channel or destination, and wake who works them. `at` as for `Inbox`.

    Raises:
        NotTaken, StoreUnavailable: as `Inbox.accept`; those before are recorded.
    """
    inbox, accepted = Inbox(gateway, at), list[Accepted]()
    try:
        for event in events:
            accepted.append(inbox.accept(name, event))
        return accepted
    except StoreUnavailable as error:
        error.maybe_done = error.maybe_done or bool(accepted)
        if error.maybe_done:
            error.again = _again(min(written.recognised_for(gateway, name, event) for event in events))
        raise
    finally:
        gateway.publisher.publish(inbox.wakes)


def _again(window: float) -> int:
    """Seconds after which one whose outcome is unknown should come again: within the window in which it is recognised,
    of which our own waiting has taken a part."""
    return max(1, min(StoreUnavailable.again, int(window - RECEIVER_TIMEOUT) - 1))


class Inbox:
    """Collects the wake-ups that its acceptances owe in `wakes`. `at`: when the webhook came (Unix ms), if not now."""

    def __init__(self, gateway: Gateway, at: int | None = None) -> None:
        self._gateway = gateway
        self._at = at
        self.wakes: list[Wake] = []

    def accept(self, name: str, event: Event) -> Accepted:
        """Record one event of the channel or destination `name`.

        Raises:
            NotTaken: a limit is reached, or the event speaks of a conversation that is none of its sender's.
            StoreUnavailable: nothing was recorded, unless it says `maybe_done`.
        """
        match event:
            case Written():
                return self._written(name, event)
            case Reported():
                return self._report(name, event)
            case Ended():
                self._end(name, event)
            case Typing():
                self._typing(name, event)
            case Opted(customer, state):
                self._gateway.store.consents.write(conversation_key(name, customer), state, "the platform said so")
            case Changed(alias, index):
                self._changed(name, self._conversation(name, event), alias, index)
            case Ignored(kind):
                self._ignored(name, kind)
        return Accepted(event)

    def _written(self, name: str, event: Written) -> Accepted:
        if name in self._gateway.channels:
            acceptance = written.by_customer(self._gateway, name, event, self._at)
        else:
            conversation = self._conversation(name, event)
            if event.identity in (conversation, split_conversation(conversation)[1]):  # the customer's own words
                if event.index is not None:
                    self._changed(name, conversation, event.alias or "", event.index, event.more)
                return Accepted(event)
            acceptance = written.by_destination(self._gateway, name, event, conversation, self._at)
        entered = self._gateway.store.mailboxes.accept(acceptance)
        if entered.state == "mailbox_full":
            raise NotTaken(429, MAILBOX_FULL, 5)
        if entered.state == "lane_full":
            raise NotTaken(503, "Too many messages are waiting; this one was not recorded.", 10)
        self.wakes += entered.wakes
        return Accepted(event, entered.message_id or None, entered.state == "duplicate")

    def _report(self, name: str, event: Reported) -> Accepted:
        channel = name in self._gateway.channels
        direction = "outbound" if channel else "inbound"
        owner = f"{name}/" if channel else ""
        if event.customer:
            owner = conversation_key(name, event.customer)
        state, wakes = self._gateway.store.messages.report(
            event.ref,
            event.status,
            scope=f"{name}:{direction}:{event.ref}",
            direction=direction,
            owner=owner,
            error=event.error or "",
            wait=event.customer is None,  # a customer knows only what they were shown, and its id is ours
        )
        self.wakes += wakes
        if state == "foreign":
            raise NotTaken(404, "There is no such message.")
        return Accepted(event)

    def _end(self, name: str, event: Ended) -> None:
        """The end of a session must not get lost, unlike a hint. Raises: NotTaken."""
        if name in self._gateway.channels:
            conversation, item = conversation_key(name, event.customer or ""), End()
        else:
            conversation, item = self._conversation(name, event), End("platform", event.alias or "")
        lane = f"inbound:{self._gateway.routes[split_conversation(conversation)[0]].first}"
        scope = f"{name}:ended:{event.external_id}" if event.external_id else ""
        if not self._append(conversation, "inbound", lane, item, scope):
            raise NotTaken(429, MAILBOX_FULL, 5)

    def _typing(self, name: str, event: Typing) -> None:
        if name in self._gateway.channels:
            return  # no destination can show that a customer types
        conversation = self._conversation(name, event)
        lane = f"outbound:{split_conversation(conversation)[0]}"
        self._append(conversation, "outbound", lane, ShowTyping(written.now()))

    def _append(self, conversation: str, direction: str, lane: str, item: Item, scope: str = "") -> bool:
        """Put what is no message into a mailbox; False if it is full."""
        entry = AppendItem(mailbox_of(conversation, direction), lane, item, scope)
        wakes = self._gateway.store.mailboxes.append(entry, follow=direction == "inbound")
        self.wakes += wakes or ()
        return wakes is not None

    def _changed(self, name: str, conversation: str, thread: str, index: int | None, more: bool = False) -> None:
        place = written.place_of(name, thread, index, more)
        self.wakes += self._gateway.store.mailboxes.changed(conversation, place)

    def _ignored(self, name: str, kind: str) -> None:
        channel = self._gateway.channels.get(name)
        live = channel is not None and channel.capabilities.live
        known = not live and KIND.fullmatch(kind)  # whoever may open a chat must not fill our memory
        self._gateway.store.lanes.count(f"ignored:{name}:{kind if known else 'other'}")

    def _conversation(self, name: str, event: Written | Typing | Ended | Changed) -> str:
        """The conversation that a destination speaks of. Raises: NotTaken."""
        found = None if isinstance(event, Changed) else event.conversation
        if found is None and event.alias:
            found = self._gateway.store.sessions.resolve(name, event.alias)
        if found is None and isinstance(event, Written) and event.customer:
            found = self._gateway.reach(name, event.customer)
        if found is None or not self._gateway.answers(name, found):
            self._gateway.store.lanes.count(f"unknown:{name}")
            raise NotTaken(404, "This contact is not known here.")
        return found
