"""One head of an outbound mailbox: bring a message to the customer."""

from __future__ import annotations

from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.events import TYPING_LASTS, Receipt
from app.core.lane import SILENT
from app.core.message import Message, split_conversation
from app.core.render import render
from app.core.work import Achieved, Claim, Deliver, Done, End, Outcome, TellEnd, Typing
from app.gateway import Gateway
from app.platforms.channel import Channel, Outgoing
from workers import lease


def work(gateway: Gateway, name: str, claim: Claim) -> Outcome:
    """Work the head for the channel `name`. Raises: Failure, LeaseLost."""
    channel = gateway.channels.get(name)
    if channel is None:
        raise Failure(errors.MISCONFIGURED, f"the channel {name} is no longer configured")
    customer = claim.to or split_conversation(claim.conversation)[1]  # answers go to where they last wrote from
    match claim.item:
        case Deliver() if claim.message:
            return _send(gateway, channel, claim, replace(claim.message, customer=customer))
        case Typing(at):
            return _typing(gateway, channel, claim, customer, at)
        case TellEnd(event_id):
            return _tell_end(gateway, channel, claim, customer, event_id)
        case End():  # as an earlier version wrote it
            return _tell_end(gateway, channel, claim, customer, "")
    return Done(claim, lane=SILENT)


def _send(gateway: Gateway, channel: Channel, claim: Claim, message: Message) -> Outcome:
    parts = render(message.content, channel.capabilities)
    costs = gateway.settings.costs
    if claim.status in ("delivered", "read") or (claim.uncertain and claim.status == "sent"):
        # a report overtook us: it has arrived
        return Done(claim, lane=SILENT, cost=costs.of_message(message, len(parts)))
    done = int(claim.progress.get("part", 0))
    ids = list(claim.progress.get("ids", ()))
    receipt = Receipt()
    for number in range(done, len(parts)):
        outgoing = Outgoing(message, parts[number], number, uncertain=claim.uncertain and number == done)
        receipt = channel.send(outgoing, gateway.http)
        ids += [receipt.external_id] if receipt.external_id else []
        if number + 1 < len(parts):
            lane = gateway.lanes[f"outbound:{channel.name}"]
            lease.remember(gateway, lane, claim, Achieved(progress={"part": number + 1, "ids": ids}))
    scopes = tuple(dict.fromkeys(f"{channel.name}:outbound:{external_id}" for external_id in ids))
    return Done(
        claim,
        status=receipt.status,
        scope=scopes[-1] if scopes else "",
        parts=scopes if len(scopes) > 1 else (),
        show=channel.capabilities.live,
        cost=costs.of_message(message, len(parts), ids),
    )


def _typing(gateway: Gateway, channel: Channel, claim: Claim, customer: str, at: int) -> Outcome:
    """A hint: shown if it is still true, never tried twice."""
    if not channel.capabilities.typing or claim.now - at > TYPING_LASTS:
        return Done(claim, lane=SILENT)
    try:
        if types := gateway.offers.typing.get(channel.name):
            types.typing(customer, gateway.http)
    except Failure:
        return Done(claim, lane=SILENT)
    return Done(claim, event="typing" if channel.capabilities.live else "")


def _tell_end(gateway: Gateway, channel: Channel, claim: Claim, customer: str, event_id: str) -> Outcome:
    if ends := gateway.offers.ends.get(channel.name):
        ends.ended(customer, event_id, gateway.http)
    return Done(claim, event="ended" if channel.capabilities.live else "")
