"""A create that comes again is the same message: the idempotency keys of `POST Messages.json`.

Twilio itself takes none. A client that heard no answer repeats with the same key, and gets the message of the first
time; the marks of a key are made in the same step as the message, and last as long as those of webhooks.
"""

from __future__ import annotations

import re
from hashlib import sha256

import orjson
from msgspec import Struct
from werkzeug.datastructures import Headers, MultiDict

from app.web.rest import refusal
from app.web.rest.refusal import Refused

HEADERS = ("I-Twilio-Idempotency-Token", "Idempotency-Key")  # a load balancer may add the second one to the first
# The load balancer's own, for asking a second receiver. Callers are not told of it: their next call has another one.
# Whoever reaches us past the load balancer may set it, which does no more than the headers above.
RETRY = "Patchbay-Retry-Key"
KEY = re.compile(r"[ -~]{1,255}\Z")


class Key(Struct, frozen=True):
    """`scope` names the key, `whole` the key with what is to be sent; `header` is what its caller gave it in, if so."""

    header: str
    scope: str
    whole: str


def key_of(account: str, headers: Headers, form: MultiDict[str, str]) -> Key | None:
    """The key of a create, if it has one. Raises: Refused."""
    header = _given(headers)
    key = headers.get(header or RETRY, "").strip()
    if not KEY.match(key):
        if header:  # also one that is blank: so the server hands over what is no ASCII
            raise Refused(refusal.UNKNOWN_PARAMETER, f"{header} must be 1 to 255 printable ASCII characters")
        return None
    scope = f"{account}:{'create' if header else 'retry'}:{_digest(key)}"
    return Key(header, scope, f"{scope}:{_digest(sorted(form.lists()))}")


def _given(headers: Headers) -> str:
    """The header in which the caller gave a key; '' if they gave none."""
    return next((name for name in HEADERS if name in headers), "")


def other_parameters(key: Key) -> Refused:
    return Refused(refusal.BAD_KEY, f"This {key.header or 'request'} was used for a message with other parameters", 422)


def forgotten(key: Key) -> Refused:
    return Refused(
        refusal.BAD_KEY, f"The message of this {key.header or 'request'} was sent before, and is deleted", 409
    )


def unknown_outcome(headers: Headers) -> str:
    """What to say of a create that Redis did not answer in time."""
    if header := _given(headers):
        return f"The store did not answer; the message may have been recorded. Repeat with the same {header}"
    return (
        "The store did not answer; the message may have been recorded. Look for it in the list before you send it "
        "again; creates with an Idempotency-Key can be repeated"
    )


def _digest(value: object) -> str:
    return sha256(orjson.dumps(value)).hexdigest()[:32]
