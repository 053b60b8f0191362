"""What somebody wrote becomes an acceptance: the message, its lane, the marks by which it is known again, and what it
says of the customer's consent."""

from __future__ import annotations

import time
from hashlib import sha256

import orjson
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Place, Responder
from app.core.consent import STATES, Heard, word_of
from app.core.events import Event, Written
from app.core.message import Message, Text, content_to_dict, conversation_key, derived_id, new_id, split_conversation
from app.core.reading import encoded
from app.core.work import Append
from app.gateway import Gateway
from app.platforms.consent import confirms

REPEAT_WINDOW = 3.0  # seconds in which equal content stands for a missing id


def by_customer(gateway: Gateway, name: str, event: Written, at: int | None = None) -> Acceptance:
    """What the channel `name` says that its customer wrote, `at` then (Unix ms) or now. Raises: StoreUnavailable."""
    channel, customer = gateway.channels[name], event.customer or ""
    live = channel.capabilities.live
    message = Message(
        id=new_id(),
        direction="inbound",
        channel=name,
        customer=customer,
        content=event.content,
        author="customer",
        source=name,
        at=at or now(),
        external_id=event.external_id,
        profile=event.profile,
        metadata=event.metadata,
    )
    heard = _heard(gateway, message)
    if heard and heard.keyword:
        message = replace(message, metadata={**event.metadata, "opt_out": heard.word})
    refs = [event.external_id] if event.external_id else []
    # where customers choose the ids themselves, one of them must not take another one's
    owner = f"{name}:inbound:{customer}/" if live else f"{name}:inbound:"
    return Acceptance(
        entry=Append(
            message,
            lane=f"inbound:{gateway.routes[name].first}",
            report_to=name if channel.capabilities.statuses else "",
            live=live,
            waited=_waited(at),
        ),
        scope=owner + (event.external_id or _fingerprint(customer, event)),
        second_scope=f"{name}:token:{event.token}" if event.token else "",
        window=_window(event),
        follow=True,
        show=live,
        consent=_statement(gateway, message, heard) if heard else None,
        cost=gateway.settings.costs.of_message(message, refs=refs) if event.part == 0 else None,
        same_person=tuple(conversation_key(name, alias) for alias in event.aliases),
    )


def by_destination(gateway: Gateway, name: str, event: Written, conversation: str, at: int | None = None) -> Acceptance:
    """What the destination `name` says that was written there in a conversation, `at` that time (Unix ms) or now."""
    channel, customer = split_conversation(conversation)
    capabilities = gateway.destinations[name].capabilities
    place = place_of(name, event.alias or "", event.index, event.more) if event.index is not None else None
    external = event.external_id or _fingerprint(conversation, event)
    return Acceptance(
        entry=Append(
            Message(
                id=new_id(),
                direction="outbound",
                channel=channel,
                customer=customer,
                content=event.content,
                author=event.author,
                source=name,
                at=at or now(),
                external_id=event.external_id,
                metadata=event.metadata,
            ),
            lane=f"outbound:{channel}",
            report_to=name if capabilities.statuses else "",
            live=gateway.channels[channel].capabilities.live,
            waited=_waited(at),
        ),
        scope=f"{name}:written:{external}" if event.external_id or event.window else "",
        window=_window(event),
        # who numbers their messages writes in a thread that we opened: they hold the conversation, or did
        responder=Responder(name, seize=place is None) if capabilities.people else None,
        place=place,
    )


def place_of(name: str, thread: str, index: int | None, more: bool = False) -> Place:
    """A message's place in a thread of the destination `name`; without an index, that something changed in it."""
    return Place(f"{name}:{thread}", f"inbound:{name}", index, more)


def now() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)


def _waited(at: int | None) -> int:
    """Milliseconds since `at`, by the clock that told it."""
    return max(0, now() - at) if at else 0


def _window(event: Written) -> float | None:
    return None if event.external_id else (event.window or REPEAT_WINDOW)


def recognised_for(gateway: Gateway, name: str, event: Event) -> float:
    """Seconds in which an event of the channel or destination `name` that comes again is known to be the same."""
    if isinstance(event, Written) and not event.external_id:
        return event.window or REPEAT_WINDOW
    return gateway.store.limits.window_ms(f"{name}:") / 1000


def _fingerprint(sender: str, event: Written) -> str:
    content = encoded(content_to_dict(event.content), orjson.OPT_SORT_KEYS)
    return "same-" + sha256(sender.encode() + b"\0" + content).hexdigest()[:32]


def _heard(gateway: Gateway, message: Message) -> Heard | None:
    """The word that the platform says it is (then there is no keyword), else that of a keyword. Words that lift an
    opt-out are words like others where there is none."""
    if word := word_of(message.metadata.get("opt_out")):
        return Heard(word, "", "")
    keywords = gateway.keywords[message.channel]
    heard = keywords.heard(message.content.text) if isinstance(message.content, Text) else None
    if heard and heard.word == "START":
        known = gateway.store.consents.read(message.conversation)
        return heard if known and known.state == "out" else None
    return heard


def _statement(gateway: Gateway, message: Message, heard: Heard) -> ConsentStatement:
    channel = gateway.channels[message.channel]
    asked = gateway.settings.channels[message.channel].values["consent"]
    ours = bool(heard.answer) and confirms(asked, channel.answered, heard.keyword)
    by = f"the customer wrote {heard.keyword}" if heard.keyword else f"the platform said {heard.word}"
    answer = _confirmation(message, heard.answer, live=channel.capabilities.live) if ours else None
    return ConsentStatement(STATES.get(heard.word), by, answer)


def _confirmation(message: Message, text: str, *, live: bool) -> Append:
    name = message.channel
    return Append(
        Message(
            id=derived_id(message.id, "consent"),
            direction="outbound",
            channel=name,
            customer=message.customer,
            content=Text(text),
            author="system",
            source=name,
            at=message.at,
        ),
        lane=f"outbound:{name}",
        live=live,
        exempt=True,
    )
