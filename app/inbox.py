"""What a webhook's events become: accepted messages, applied reports, appended hints.

Used by the receiver, and by whoever replays a parked webhook.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
from msgspec.structs import replace

from app.core.consent import STATES, Heard, word_of
from app.core.errors import StoreUnavailable
from app.core.events import Accepted, Changed, Ended, Event, Ignored, Opted, Reported, Typing, Webhook, Written
from app.core.message import (
    Message,
    Text,
    content_to_dict,
    conversation_key,
    derived_id,
    new_id,
    split_conversation,
)
from app.core.reading import encoded
from app.core.schema import noticing
from app.gateway import Gateway
from app.log import logger
from app.platforms.consent import confirms
from app.store.mailbox import Append, Place, Stated, Take, Wake

log = logger("inbox")

KIND = re.compile(r"[A-Za-z0-9_.]{1,64}")
# Headers that let somebody in. What stays is what `parse` reads: a signature is of no use without its secret.
CREDENTIAL = re.compile(r"auth|cookie|token|secret|passw|api-?key|access-?key|credential|session|jwt|bearer")
NO_CREDENTIAL = "idempotency"  # such a token or key names a request, and opens nothing
MAILBOX_FULL = "Too many messages of this conversation are waiting."
REPEAT_WINDOW = 3.0  # seconds in which equal content stands for a missing id


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


class Inbox:
    """Collects the wake-ups that its acceptances owe in `wakes`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.wakes: list[Wake] = []

    def accept(self, name: str, event: Event) -> Accepted:
        """Record one event of the channel or destination `name`.

        Raises:
            NotTaken: a limit is reached, or the event speaks of a conversation that is none of its sender's.
            StoreUnavailable: nothing was recorded, unless it says `maybe_done`.
        """
        channel = name in self._gateway.channels
        match event:
            case Written():
                return self._from_customer(name, event) if channel else self._to_customer(name, event)
            case Reported():
                return self._report(name, event, channel)
            case Ended() | Typing():
                self._hint(name, event, channel)
            case Opted(customer, state):
                self._gateway.store.consents.write(conversation_key(name, customer), state, "the platform said so")
            case Changed():
                self._look(self._conversation(name, event), self._place(name, event.alias, event.index))
            case Ignored(kind):
                live = channel and self._gateway.channels[name].capabilities.live
                known = not live and KIND.fullmatch(kind)  # whoever may open a chat must not fill our memory
                self._gateway.store.lanes.count(f"ignored:{name}:{kind if known else 'other'}")
        return Accepted(event)

    def _from_customer(self, name: str, event: Written) -> Accepted:
        gateway = self._gateway
        channel = gateway.channels[name]
        live = channel.capabilities.live
        customer = event.customer or ""
        message = Message(
            id=new_id(),
            direction="inbound",
            channel=name,
            customer=customer,
            content=event.content,
            author="customer",
            source=name,
            at=_now(),
            external_id=event.external_id,
            profile=event.profile,
            metadata=event.metadata,
        )
        heard = self._heard(message)
        if heard and heard.keyword:
            message = replace(message, metadata={**event.metadata, "opt_out": heard.word})
        entry = Append(
            message,
            lane=f"inbound:{gateway.routes[name].first}",
            report_to=name if channel.capabilities.statuses else "",
            live=live,
        )
        refs = [event.external_id] if event.external_id else []
        cost = gateway.settings.costs.of_message(entry.message, refs=refs) if event.part == 0 else None
        # where customers choose the ids themselves, one of them must not take another one's
        owner = f"{name}:inbound:{customer}/" if live else f"{name}:inbound:"
        return self._enter(
            entry,
            event,
            owner + (event.external_id or _fingerprint(customer, event)),
            also=f"{name}:token:{event.token}" if event.token else "",
            follow=True,
            show=live,
            stated=self._stated(message, heard) if heard else None,
            cost=cost,
            names=[conversation_key(name, alias) for alias in event.aliases],
        )

    def _heard(self, message: Message) -> Heard | None:
        """The word that the platform says it is (then there is no keyword), else that of a keyword. Words that lift an
        opt-out are words like others where there is none."""
        if word := word_of(message.metadata.get("opt_out")):
            return Heard(word, "", "")
        keywords = self._gateway.keywords[message.channel]
        heard = keywords.heard(message.content.text) if isinstance(message.content, Text) else None
        if heard and heard.word == "START":
            known = self._gateway.store.consents.read(message.conversation)
            return heard if known and known.state == "out" else None
        return heard

    def _stated(self, message: Message, heard: Heard) -> Stated:
        name = message.channel
        channel = self._gateway.channels[name]
        answer = None
        ours = confirms(self._gateway.settings.channels[name].values["consent"], channel.answered, heard.keyword)
        if heard.answer and ours:
            answer = Append(
                Message(
                    id=derived_id(message.id, "consent"),
                    direction="outbound",
                    channel=name,
                    customer=message.customer,
                    content=Text(heard.answer),
                    author="system",
                    source=name,
                    at=message.at,
                ),
                lane=f"outbound:{name}",
                live=channel.capabilities.live,
                exempt=True,
            )
        by = f"the customer wrote {heard.keyword}" if heard.keyword else f"the platform said {heard.word}"
        return Stated(STATES.get(heard.word), by, answer)

    def _to_customer(self, name: str, event: Written) -> Accepted:
        gateway = self._gateway
        conversation = self._conversation(name, event)
        channel, customer = split_conversation(conversation)
        place = None if event.index is None else self._place(name, event.alias or "", event.index, event.more)
        if event.identity in (customer, conversation):
            if place:
                self._look(conversation, place)
            return Accepted(event)
        capabilities = gateway.destinations[name].capabilities
        entry = Append(
            Message(
                id=new_id(),
                direction="outbound",
                channel=channel,
                customer=customer,
                content=event.content,
                author=event.author,
                source=name,
                at=_now(),
                external_id=event.external_id,
                metadata=event.metadata,
            ),
            lane=f"outbound:{channel}",
            report_to=name if capabilities.statuses else "",
            live=gateway.channels[channel].capabilities.live,
        )
        external = event.external_id or _fingerprint(conversation, event)
        scope = f"{name}:written:{external}" if event.external_id or event.window else ""
        # who numbers their messages writes in a chat that we opened: they hold the conversation, or did
        take = Take(name, seize=place is None) if capabilities.people else None
        return self._enter(entry, event, scope, take=take, place=place)

    def _enter(self, entry: Append, event: Written, scope: str, **options: Any) -> Accepted:
        window = None if event.external_id else (event.window or REPEAT_WINDOW)
        entered = self._gateway.store.mailboxes.accept(entry, scope=scope, window=window, **options)
        if entered.state == "mailbox_full":
            raise NotTaken(429, MAILBOX_FULL, 5)
        if entered.state == "lane_full":
            raise NotTaken(503, "Too many messages are waiting; this one was not recorded.", 10)
        self.wakes += entered.wakes
        return Accepted(event, entered.message_id or None, entered.state == "duplicate")

    def _look(self, conversation: str, place: Place) -> None:
        self.wakes += self._gateway.store.mailboxes.look(conversation, place)

    @staticmethod
    def _place(name: str, chat: str, index: int | None, more: bool = False) -> Place:
        return Place(f"{name}:{chat}", f"inbound:{name}", index, more)

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

    def _report(self, name: str, event: Reported, channel: bool) -> Accepted:
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

    def _hint(self, name: str, event: Ended | Typing, channel: bool) -> None:
        if isinstance(event, Typing):
            if not channel:  # no destination can show that a customer types
                self._append(self._conversation(name, event), "outbound", f"typing @{_now()}")
        elif channel:
            self._append(conversation_key(name, event.customer or ""), "inbound", "ended", self._end_of(name, event))
        else:
            item = f"ended platform {event.alias or ''}".rstrip()
            self._append(self._conversation(name, event), "inbound", item, self._end_of(name, event))

    @staticmethod
    def _end_of(name: str, event: Ended) -> str:
        return f"{name}:ended:{event.external_id}" if event.external_id else ""

    def _append(self, conversation: str, direction: str, item: str, scope: str = "") -> None:
        """Put an event into a mailbox; a full one does without a hint, but the end of a session must not get lost."""
        channel = split_conversation(conversation)[0]
        lane = f"outbound:{channel}" if direction == "outbound" else f"inbound:{self._gateway.routes[channel].first}"
        mailboxes = self._gateway.store.mailboxes
        wakes = mailboxes.append(conversation, direction, lane, item, follow=direction == "inbound", scope=scope)
        if wakes is None and item.startswith("ended"):
            raise NotTaken(429, MAILBOX_FULL, 5)
        self.wakes += wakes or ()


def park(gateway: Gateway, name: str, webhook: Webhook, error: Exception) -> str:
    """Keep a webhook that we failed to read, without the credentials that it came with; the dead letter's id."""
    headers = {name: value for name, value in webhook.headers.items() if not _is_credential(name)}
    if channel := gateway.offers.senders.get(name):
        headers |= channel.sender(webhook)
    raw = orjson.dumps(
        {
            "method": webhook.method,
            "url": webhook.url,
            "path": webhook.path,
            "headers": headers,
            "body": webhook.body.decode("latin-1"),
        }
    )
    text = gateway.redact(raw.decode())
    reason = gateway.redact(f"{type(error).__name__}: {error}")
    return gateway.store.dead_letters.keep_webhook(text, name, "unexpected", reason)


def unpark(raw: str) -> Webhook:
    """The webhook in a dead letter; it was verified when it came."""
    data: Mapping[str, Any] = orjson.loads(raw)
    return Webhook(data["method"], data["url"], data["path"], data["headers"], data["body"].encode("latin-1"))


def _is_credential(header: str) -> bool:
    return bool(CREDENTIAL.search(header)) and NO_CREDENTIAL not in header


def _fingerprint(sender: str, event: Written) -> str:
    content = encoded(content_to_dict(event.content), orjson.OPT_SORT_KEYS)
    return "same-" + sha256(sender.encode() + b"\0" + content).hexdigest()[:32]


def _now() -> int:
    return int(time.time() * 1000)
