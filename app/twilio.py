"""What all of Twilio's products share: REST calls with Basic auth, error bodies, pages, and signed webhooks.

Sources: https://www.twilio.com/docs/usage/requests-to-twilio, https://www.twilio.com/docs/usage/security. Twilio's own
library checks the signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, urlsplit

import orjson
from itsdangerous import BadData, URLSafeTimedSerializer
from marshmallow import ValidationError, fields, validate, validates_schema
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.errors import BadWebhook, Failure, Unverified
from app.core.events import Webhook
from app.core.schema import ID_LIMIT, UNCLEAN, parse_json
from app.core.settings import PlatformSchema, secret_field, sid_field
from app.http import Http, Response, kind_of

FORM = "application/x-www-form-urlencoded"
MOST_PAGES = 200  # of a list
MOST_FIELDS = 1_000  # of a webhook's form
MOST_QUOTED = 300  # characters of an error
SMS = "sms"  # what a plain number's addresses begin with among ours
NUMBER = re.compile(r"\+[1-9]\d{4,14}\Z")
SHORT_CODE = re.compile(r"\d{3,8}\Z")
PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
NUMBERED = (SMS, "whatsapp")  # whose identifiers are phone numbers

# Codes that say more than the status they come with.
KINDS = {20003: errors.UNAUTHORISED, 20429: errors.THROTTLED}

Form = Sequence[tuple[str, str]] | Mapping[str, str]


class TwilioSchema(PlatformSchema):
    """`auth_tokens`: the first one is used for calls, each of them for signatures, so a token can be rotated. With an
    API key (`api_key_sid`, `api_key_secret`) the calls use that one."""

    account_sid = sid_field("AC")
    auth_tokens = fields.List(secret_field(), required=True, validate=validate.Length(min=1, max=4))
    api_key_sid = sid_field("SK", required=False)
    api_key_secret = secret_field(load_default=None)

    @validates_schema
    def _whole_key(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if (data["api_key_sid"] is None) != (data["api_key_secret"] is None):
            raise ValidationError("api_key_sid and api_key_secret belong together.", "api_key_secret")


class TwilioFailure(Failure):
    """Twilio answered with an error: `status` of HTTP, `code` of Twilio's list (0: none)."""

    def __init__(self, kind: errors.Kind, detail: str, status: int, code: int, **more: Any) -> None:
        super().__init__(kind, detail, **more)
        self.status = status
        self.code = code


class Account:
    """Calls in the name of one account, and whether a webhook comes from it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.sid: str = settings["account_sid"]
        self._auth = (
            settings["api_key_sid"] or self.sid,
            settings["api_key_secret"] or settings["auth_tokens"][0],
        )
        self._validators = [RequestValidator(token) for token in settings["auth_tokens"]]
        self._timeout: float = settings["timeout"]

    def call(
        self,
        method: str,
        url: str,
        http: Http,
        form: Form | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One call with a form (or raw bytes); the answer's JSON object, an empty one where nothing came back.

        Raises:
            TwilioFailure: Twilio refused.
            Failure: there was no answer, or none that can be read.
        """
        answer = http.request(method, url, data=form, headers=headers, auth=self._auth, timeout=self._timeout)
        if not answer.ok:
            raise _failure(answer)
        if not answer.body:
            return {}
        body = answer.json()
        if not isinstance(body, dict):
            raise Failure(errors.UNPARSEABLE, "the answer is no JSON object", maybe_done=True)
        return body

    def download(self, url: str, http: Http, into: BinaryIO, most_bytes: int) -> Response:
        """GET what is no JSON: a file of at most so many bytes, or the redirect to it, which is not followed.

        Raises:
            TwilioFailure: Twilio refused.
            Failure: there was no answer, or too large a one.
        """
        answer = http.download(url, into, auth=self._auth, timeout=self._timeout, most_bytes=most_bytes)
        if answer.status >= 400:
            raise _failure(answer)
        return answer

    def listed(self, url: str, key: str, http: Http, most: int = 1_000) -> Iterator[dict[str, Any]]:
        """The entries of a list, page after page, at most `most`. `key` is the list's name in the answer."""
        count = 0
        for _ in range(MOST_PAGES):
            page = self.call("GET", url, http)
            for entry in page.get(key) or []:
                yield entry
                count += 1
                if count >= most:
                    return
            following = (page.get("meta") or {}).get("next_page_url") or page.get("next_page_uri")
            if not following:
                return
            # the host stays the configured one, which may be a proxy's
            url = f"{url.partition('?')[0]}?{urlsplit(following).query}"

    def find(self, url: str, http: Http) -> dict[str, Any] | None:
        """One resource, or None where Twilio knows none there."""
        try:
            return self.call("GET", url, http)
        except TwilioFailure as failure:
            if failure.status == 404:
                return None
            raise

    def remove(self, url: str, http: Http) -> None:
        """DELETE; what is gone already is no error."""
        try:
            self.call("DELETE", url, http)
        except TwilioFailure as failure:
            if failure.status != 404:
                raise

    def verify(self, webhook: Webhook) -> None:
        """Raise Unverified unless the signature holds for the public URL and the body, a form or JSON."""
        signature = webhook.headers.get("x-twilio-signature", "")
        if not signature:
            raise Unverified("the header x-twilio-signature is missing")
        params = _signed_part(webhook)
        if not any(validator.validate(webhook.url, params, signature) for validator in self._validators):
            raise Unverified("the signature does not match")


class Links:
    """Links of ours to files at Twilio: what they lead to is signed, so nobody can have us ask for anything else, and
    they end after `media_keep` seconds."""

    def __init__(self, settings: Mapping[str, Any], salt: str) -> None:
        # the last secret signs, all of them are good: links outlive a rotation of the tokens
        self._signer = URLSafeTimedSerializer(settings["auth_tokens"][::-1], salt=salt)
        self._address = f"{settings['callback']}/media"
        self._keep: int = settings["media_keep"]

    def to(self, *sids: str) -> str:
        """The address of the file that these two sids name."""
        return f"{self._address}/{self._signer.dumps(sids)}"

    def read(self, token: str) -> tuple[str, str]:
        """The sids in a link's last part. Raises: Unverified, it is none of ours, or too old."""
        try:
            first, second = self._signer.loads(token, max_age=self._keep)
        except (BadData, ValueError, TypeError):
            raise Unverified("the link is not valid any more") from None
        return first, second


class _Params(dict[str, list[str]]):
    """A form as the validator wants it: it asks for all values of a name."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def form_of(webhook: Webhook) -> dict[str, str]:
    """A webhook's fields: of its form, its JSON object, or its query; of a repeated one the last value.

    Raises:
        BadWebhook: it is no readable form and no JSON object.
    """
    if webhook.body and not _is_form(webhook):
        values = parse_json(webhook.body)
        return {
            name: value if isinstance(value, str) else orjson.dumps(value).decode()
            for name, value in values.items()
            if value is not None
        }
    try:
        raw = _fields(webhook.body or webhook.url.partition("?")[2].encode())
    except ValueError:
        raise BadWebhook("", "The form cannot be read.") from None
    return {name: values[-1] for name, values in raw.items()}


def address_of(value: str) -> str:
    """An address as Twilio writes it (`whatsapp:+1...`, `messenger:1`, `+1...`) as `provider:identifier`."""
    provider, colon, identifier = value.partition(":")
    return f"{provider.lower()}:{identifier}" if colon else f"{SMS}:{value}"


def on_the_wire(address: str) -> str:
    """The inverse of `address_of`: a number without a channel before it is one for SMS."""
    return address.removeprefix(f"{SMS}:")


def is_address(address: str) -> bool:
    """Whether it can be a customer's: of any channel, a phone number where the channel's customers have one."""
    provider, _, identifier = address.partition(":")
    if provider == SMS and SHORT_CODE.match(identifier):
        return True
    if provider in NUMBERED and identifier[:1] in "+0123456789":
        return bool(NUMBER.match(identifier))
    named = bool(identifier) and not UNCLEAN.search(identifier) and len(address) <= ID_LIMIT
    return named and provider != SMS and bool(PROVIDER.match(provider))


def path_part(value: str) -> str:
    """A name or sid as one segment of a URL."""
    return quote(value, safe="")


def _is_form(webhook: Webhook) -> bool:
    return webhook.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _signed_part(webhook: Webhook) -> _Params | str:
    if not webhook.body:
        return _Params()
    if _is_form(webhook):
        try:
            return _fields(webhook.body)
        except ValueError:
            raise Unverified("the form cannot be read") from None
    if not webhook.query.get("bodySHA256"):
        raise Unverified("the body is no form, and the URL has no bodySHA256")
    try:
        return webhook.body.decode()
    except UnicodeDecodeError:
        raise Unverified("the body is not UTF-8") from None


def _fields(raw: bytes) -> _Params:
    """Raises: ValueError, it is not UTF-8 or has too many fields."""
    return _Params(parse_qs(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))


def _failure(answer: Response) -> TwilioFailure:
    """Twilio's error body in the palette's words; anything else goes by its status."""
    code, message = _error_body(answer.body)
    said = f"{code} {message}" if code else message
    try:
        answer.check(" ".join(said.split()))
    except Failure as failure:
        return TwilioFailure(
            KINDS.get(code, kind_of(answer.status)),
            failure.detail[:MOST_QUOTED],  # only now, or half a secret would pass for none
            answer.status,
            code,
            retry_after=failure.retry_after,
            maybe_done=failure.maybe_done,
        )
    raise AssertionError("only for answers that are no success")


def _error_body(body: bytes) -> tuple[int, str]:
    """Code (0: none) and message of Twilio's error body, as far as it is one."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 0, ""
    code, message = (found.get("code"), found.get("message")) if isinstance(found, dict) else (0, "")
    return code if isinstance(code, int) else 0, message if isinstance(message, str) else ""
