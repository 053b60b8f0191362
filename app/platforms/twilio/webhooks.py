"""Twilio's webhooks: forms or JSON, signed with the account's token.

Source: https://www.twilio.com/docs/usage/security. Twilio's own library checks the signatures.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from twilio.request_validator import RequestValidator

from app.core.errors import BadWebhook, Unverified
from app.core.events import Webhook
from app.core.reading import REPLACEMENT, Unreadable, charset_of, encoded, form
from app.core.schema import parse_json

BODY_HASH = "bodySHA256"
LATIN_1 = "; charset=iso-8859-1"
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000  # of a form


def verify(webhook: Webhook, validators: Sequence[RequestValidator]) -> None:
    """Raise Unverified unless the signature of one of these holds for the public URL and the body, a form or JSON."""
    signature = webhook.headers.get("x-twilio-signature", "")
    if not signature:
        raise Unverified("the header x-twilio-signature is missing")
    signed = _signed_parts(webhook)
    if not any(one.validate(webhook.url, params, signature) for one in validators for params in signed):
        raise Unverified("the signature does not match")


def form_of(webhook: Webhook) -> dict[str, str]:
    """A webhook's fields: of its form, its JSON object, or its query; of a repeated one the last value.

    Raises:
        BadWebhook: it is a form of too many fields, or no JSON object.
    """
    content_type = webhook.headers.get("content-type", "")
    if webhook.body and not _is_form(webhook):
        values = parse_json(webhook.body, content_type)
        return {name: _as_field(name, value) for name, value in values.items() if value is not None}
    try:
        return dict(form(webhook.body or webhook.url.partition("?")[2], content_type, MAX_FIELDS))
    except Unreadable:
        raise BadWebhook("", "The form cannot be read.") from None


class _Params(dict[str, list[str]]):
    """A form as the validator wants it: it asks for all values of a name."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def _is_form(webhook: Webhook) -> bool:
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _as_field(name: str, value: Any) -> str:
    """A value of a JSON body as a form has it. Raises: BadWebhook."""
    try:
        return value if isinstance(value, str) else encoded(value).decode()
    except (TypeError, RecursionError):
        raise BadWebhook(name, "Must not be nested so deeply.") from None


def _signed_parts(webhook: Webhook) -> list[_Params]:
    """What the signature may speak of besides the URL: nothing, where that has the body's hash; else the form's fields
    as we read them, and where no charset is named and they are no UTF-8, as Latin-1. Raises: Unverified."""
    if not webhook.body:
        return [_Params()]
    if not _is_form(webhook):
        if not webhook.query.get(BODY_HASH):
            raise Unverified(f"the body is no form, and the URL has no {BODY_HASH}")
        if not compare_digest(sha256(webhook.body).hexdigest().encode(), webhook.query[BODY_HASH].encode()):
            raise Unverified("the body's hash does not match")
        return [_Params()]
    content_type = webhook.headers.get("content-type", "")
    try:
        found = form(webhook.body, content_type, MAX_FIELDS)
    except Unreadable:
        raise Unverified("the form cannot be read") from None
    odd = not charset_of(content_type) and any(REPLACEMENT in name + value for name, value in found)
    return [_params(found), *([_params(form(webhook.body, LATIN_1))] if odd else [])]


def _params(pairs: Sequence[tuple[str, str]]) -> _Params:
    found = _Params()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
