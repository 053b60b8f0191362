"""A dead end leads back: when a head is given up, its conversation is not left where all the rest would die, too.

In the same step as the dead letter the session goes back to who answered first, the customer is told, and what is open
at the destination is closed. What waits in the mailbox goes on with the first destination.
"""

from __future__ import annotations

from msgspec.structs import replace

from app.core import errors
from app.core.errors import PALETTE, Failure, Kind
from app.core.lane import SILENT
from app.core.message import Text, derived_id, split_conversation
from app.core.routing import Route, after_death, handed_over
from app.core.session import Session
from app.core.work import Append, AppendItem, Claim, Dead, Deliver, Done, Handoff, Outcome, SessionChange
from app.gateway import Gateway, Lane
from app.platforms.destination import UNAVAILABLE
from workers.lease import insist
from workers.replies import to_customer
from workers.threads import closing


def led_back(gateway: Gateway, lane: Lane, claim: Claim, outcome: Outcome) -> Outcome:
    """The outcome of an inbound head, with what it means for the conversation that the head is given up.

    Raises:
        StoreUnavailable: this process ends.
    """
    if not isinstance(outcome, Dead) or not isinstance(claim.item, Handoff | Deliver) or claim.damaged:
        return outcome
    change = outcome.session
    session = change.session if change else insist(lambda: gateway.store.sessions.read(claim.conversation))
    if session and session.destination in gateway.destinations and lane.name != f"inbound:{session.destination}":
        return outcome  # somebody else holds the conversation meanwhile
    # what is given up only because it is not known to have failed says nothing about the next one
    kind = errors.REJECTED if outcome.ambiguous else PALETTE.get(outcome.reason, errors.UNEXPECTED)
    return _with_consequences(gateway, outcome, session, kind, handoff=isinstance(claim.item, Handoff))


def lost(gateway: Gateway, claim: Claim) -> Outcome:
    """The script gave the handoff up, because it was claimed several times without a result."""
    return _with_consequences(gateway, Done(claim, lane=SILENT), claim.session, errors.UNEXPECTED, handoff=True)


def handed_over_anew(gateway: Gateway, route: Route, claim: Claim) -> Outcome | None:
    """What a handoff needs first: the conversation, if it is not with people (any more). None: they have it and wait to
    be told of it. One that was a dead letter changes nothing where they have it, because then they know.

    Raises:
        Failure: MISCONFIGURED, there is nobody to hand over to.
    """
    session = claim.session or Session(route.first)
    if session.destination in gateway.destinations and session.destination != route.first:
        return Done(claim, lane=SILENT) if claim.item == Handoff(again=True) else None
    after = handed_over(session, route, dict(session.context), claim.now)
    if after is None:
        raise Failure(errors.MISCONFIGURED, "there is nobody (any more) to whom this channel hands over")
    change = SessionChange(after, changes_hands=True)
    return Done(claim, session=change, front=(Handoff(),), lane=SILENT)


def _with_consequences(
    gateway: Gateway, outcome: Done | Dead, session: Session | None, kind: Kind, *, handoff: bool
) -> Done | Dead:
    claim = outcome.claim
    route = gateway.routes.get(split_conversation(claim.conversation)[0])
    after = after_death(session, route, kind, claim.now, handoff=handoff) if session and route else None
    if session is None or after is None:
        return outcome
    if after.refused:
        return replace(outcome, session=SessionChange(after))
    follows: list[Append | AppendItem] = list(outcome.append)
    if session.thread and session.destination in gateway.destinations:
        follows.append(closing(claim.conversation, session, "dead_end"))
    if after.destination != session.destination:
        follows += _apology(gateway, claim, session)
    change = SessionChange(after, changes_hands=True)
    return replace(outcome, session=change, append=tuple(follows), poll_in=0.0)


def _apology(gateway: Gateway, claim: Claim, session: Session) -> tuple[Append, ...]:
    """What the customer reads, once for each handoff."""
    configured = gateway.settings.destinations.get(session.destination)
    text = configured.values["unavailable"] if configured else UNAVAILABLE
    if not text:
        return ()
    message_id = derived_id(f"{claim.conversation}/{session.version}", "unavailable")
    return (
        to_customer(
            gateway,
            session.destination,
            claim.conversation,
            message_id,
            Text(text),
            author="system",
            at=claim.now,
            reported=False,
        ),
    )
