"""A dead end leads back: when a head is given up, its conversation is not left where all the rest would die, too.

In the same step as the dead letter the session goes back to who answered first, the customer is told, and what is open
at the destination is closed. What waits in the mailbox goes on with the first destination.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from msgspec.structs import replace

from app.core import errors
from app.core.errors import PALETTE, Failure, Kind
from app.core.message import Message, Text, derived_id, split_conversation
from app.core.routing import Route, after_death, handed_over
from app.core.session import Session
from app.gateway import Gateway, Lane
from app.platforms.destination import UNAVAILABLE, Who
from app.store.mailbox import Append, AppendItem, Claim, SessionChange, Settlement, mailbox_of
from workers.failing import is_ambiguous
from workers.lease import insist

AGAIN = "handoff again"  # the item of a handoff that was a dead letter


def led_back(gateway: Gateway, lane: Lane, claim: Claim, settlement: Settlement) -> Settlement:
    """The settlement of an inbound head, with what it means for the conversation that the head is given up.

    Raises:
        StoreUnavailable: for as long as a lease lasts.
    """
    if settlement.outcome != "dead" or claim.kind not in ("handoff", "message"):
        return settlement
    change = settlement.session
    session = change.session if change else insist(lambda: gateway.store.sessions.read(claim.conversation), lane)
    if session and session.destination in gateway.destinations and lane.name != f"inbound:{session.destination}":
        return settlement  # somebody else holds the conversation meanwhile
    kind = errors.REJECTED if is_ambiguous(settlement) else PALETTE.get(settlement.reason, errors.UNEXPECTED)
    return _with_consequences(gateway, settlement, session, kind, handoff=claim.kind == "handoff")


def lost(gateway: Gateway, claim: Claim) -> Settlement:
    """Work `lost handoff`: the script gave the handoff up, because it was claimed several times without a result."""
    settlement = Settlement(claim, "done", lane_effect="none")
    return _with_consequences(gateway, settlement, claim.session, errors.UNEXPECTED, handoff=True)


def handed_over_anew(gateway: Gateway, route: Route, claim: Claim) -> Settlement | None:
    """What a handoff needs first: the conversation, if it is not with people (any more). None: they have it and wait to
    be told of it. One that was a dead letter changes nothing where they have it, because then they know.

    Raises:
        Failure: MISCONFIGURED, there is nobody to hand over to.
    """
    session = claim.session or Session(route.first)
    if session.destination in gateway.destinations and session.destination != route.first:
        return Settlement(claim, "done", lane_effect="none") if claim.item == AGAIN else None
    after = handed_over(session, route, dict(session.context), claim.now)
    if after is None:
        raise Failure(errors.MISCONFIGURED, "there is nobody (any more) to whom this channel hands over")
    change = SessionChange(after, changes_hands=True)
    return Settlement(claim, "done", session=change, front=("handoff",), lane_effect="none")


def closing(conversation: str, session: Session, who: Who) -> AppendItem:
    """Have taken down what a session that is over has open at its destination."""
    handles = orjson.dumps(dict(session.handles)).decode()
    lane = f"status:{session.destination}"
    return AppendItem(mailbox_of(conversation, lane), lane, f"close {who} {handles}")


def _with_consequences(
    gateway: Gateway, settlement: Settlement, session: Session | None, kind: Kind, *, handoff: bool
) -> Settlement:
    claim = settlement.claim
    route = gateway.routes.get(split_conversation(claim.conversation)[0])
    after = after_death(session, route, kind, claim.now, handoff=handoff) if session and route else None
    if session is None or after is None:
        return settlement
    if after.refused:
        return replace(settlement, session=SessionChange(after))
    follows: list[Append | AppendItem] = list(settlement.append)
    if session.chat and session.destination in gateway.destinations:
        follows.append(closing(claim.conversation, session, "dead_end"))
    if after.destination != session.destination:
        follows += _told(gateway, claim, session)
    change = SessionChange(after, changes_hands=True)
    return replace(settlement, session=change, append=tuple(follows), watch=0.0)


def _told(gateway: Gateway, claim: Claim, session: Session) -> Iterator[Append]:
    """What the customer reads, once for each handoff."""
    configured = gateway.settings.destinations.get(session.destination)
    text = configured.values["unavailable"] if configured else UNAVAILABLE
    channel, customer = split_conversation(claim.conversation)
    if text:
        message = Message(
            id=derived_id(f"{claim.conversation}/{session.version}", "unavailable"),
            direction="outbound",
            channel=channel,
            customer=customer,
            content=Text(text),
            author="system",
            source=session.destination,
            at=claim.now,
        )
        yield Append(message, lane=f"outbound:{channel}", live=gateway.channels[channel].capabilities.live)
