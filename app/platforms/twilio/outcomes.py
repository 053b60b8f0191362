"""What became of a message, and why, in Twilio's words and in ours.

Sources: https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.core import errors
from app.core.errors import Failure, Kind
from app.core.events import Event, Ignored, Reported
from app.core.schema import LABEL_LIMIT, Lenient, load, text_field
from app.core.status import Status
from app.platforms.twilio.account import TwilioFailure

STATUSES: dict[str, Status] = {
    "accepted": "queued",
    "scheduled": "queued",
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "partially_delivered": "sent",  # not all of it has arrived
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

INBOUND = ("receiving", "received")  # what stands there in a message of the customer's

# Codes that say more than the status they come with, in answers and in status callbacks.
ERRORS: dict[int, tuple[Kind, str]] = {
    20003: (errors.UNAUTHORISED, ""),
    20429: (errors.THROTTLED, ""),
    21211: (errors.REJECTED, "the customer's address is none that Twilio knows"),
    21214: (errors.GONE, "that number cannot be reached"),
    21408: (errors.MISCONFIGURED, "the account may not send to that country"),
    21606: (errors.MISCONFIGURED, "the sender is none of the account's, or cannot send there"),
    21610: (errors.OPTED_OUT, "they wrote STOP; only their START lifts that"),
    21611: (errors.THROTTLED, "too many messages of this sender wait at Twilio"),
    21614: (errors.GONE, "that number takes no text messages"),
    30003: (errors.GONE, "the phone is switched off or out of reach"),
    30005: (errors.GONE, "there is no such number any more"),
    30006: (errors.GONE, "a landline, or a carrier that cannot be reached"),
    63003: (errors.GONE, "there is no such account on that channel"),
    63007: (errors.MISCONFIGURED, "the account has no sender with that address"),
    63016: (errors.REJECTED, "they last wrote more than 24 hours ago, so WhatsApp takes only a template (content_sid)"),
    63018: (errors.THROTTLED, "the channel's own limit for this sender"),
}


class _StatusSchema(Lenient):
    MessageSid = text_field(LABEL_LIMIT)
    MessageStatus = text_field(LABEL_LIMIT)


_status = _StatusSchema()


def is_message(form: Mapping[str, str]) -> bool:
    """Whether a form with a status is a customer's message; they have one, too."""
    word = form.get("MessageStatus") or form.get("SmsStatus") or ""
    return word.lower() in INBOUND and ("Body" in form or "NumMedia" in form)


def reported(form: Mapping[str, str]) -> Event:
    """What became of a message. A word that we do not know changes nothing."""
    data = load(_status, {"MessageStatus": form.get("SmsStatus"), **form})
    status = STATUSES.get(data["MessageStatus"])
    if status is None:
        return Ignored(f"status.{data['MessageStatus']}")
    if status != "failed":
        return Reported(data["MessageSid"], status)
    kind, why = why_of(form.get("ErrorCode", ""), form.get("ErrorMessage", "") or data["MessageStatus"])
    return Reported(data["MessageSid"], status, f"{kind.code}: {why}")


def why_of(code: str, message: str) -> tuple[Kind, str]:
    """The palette's kind of an error that stands in a message, and a sentence about it."""
    known = int(code) if re.fullmatch(r"[0-9]{5}", code) else 0
    kind, sentence = ERRORS.get(known, (errors.REJECTED, ""))
    words = " ".join(part for part in (code, message) if part)
    return kind, f"{words}; {sentence}" if sentence else words


def in_our_words(failure: TwilioFailure) -> Failure:
    kind, sentence = ERRORS.get(failure.code, (failure.kind, ""))
    detail = f"{failure.detail}; {sentence}" if sentence else failure.detail
    return failure.restated(kind, detail)
