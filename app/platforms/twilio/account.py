"""What all of Twilio's products share: REST calls with Basic auth, error bodies, pages, and signed webhooks.

Sources: https://www.twilio.com/docs/usage/requests-to-twilio, https://www.twilio.com/docs/usage/security. Twilio's own
library checks the signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote

from itsdangerous import BadData, URLSafeTimedSerializer
from marshmallow import ValidationError, fields, validate, validates_schema
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.errors import BadWebhook, Failure, Unverified
from app.core.events import Webhook
from app.core.reading import REPLACEMENT, Unreadable, charset_of, encoded, form, parsed
from app.core.schema import ID_LIMIT, UNCLEAN, parse_json
from app.core.settings import PlatformSchema, secret_field, sid_field
from app.http import Http, Response, kind_of

BODY_HASH = "bodySHA256"
LATIN_1 = "; charset=iso-8859-1"
FORM = "application/x-www-form-urlencoded"
MOST_PAGES = 200  # of a list
MOST_FIELDS = 1_000  # of a webhook's form
MOST_QUOTED = 300  # characters of an error
SMS = "sms"  # what a plain number's addresses begin with among ours
COUNT = re.compile(r"-?[0-9]{1,15}")
NUMBER = re.compile(r"\+[1-9][0-9]{4,14}\Z")
SHORT_CODE = re.compile(r"[0-9]{3,8}\Z")
PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
NUMBERED = (SMS, "whatsapp")  # whose identifiers are phone numbers

# Codes that say more than the status they come with.
KINDS = {20003: errors.UNAUTHORISED, 20429: errors.THROTTLED}

# What stands under these names in any resource, if anything does.
TEXTS = frozenset(
    {
        *("sid", "account_sid", "chat_service_sid", "conversation_sid", "task_sid", "flow_sid", "channel_type"),
        *("identity", "author", "from", "to", "address", "body", "direction", "date_created", "error_message"),
        *("state", "status", "conversation_state", "assignment_status"),
        *("url", "post_webhook_url", "content_direct_temporary", "next_page_uri", "next_page_url"),
    }
)
COUNTS = frozenset({"index", "last_consumed_message_index", "last_read_message_index"})
OBJECTS = frozenset({"meta", "links", "configuration", "channel"})

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


class Resource(dict[str, Any]):
    """A JSON object of an answer. What is null there is missing, and what is asked for and is missing, or is none of
    what its name stands for, makes the answer one that cannot be read: Failure, UNPARSEABLE."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({name: _as_named(name, value) for name, value in values.items() if value is not None})

    def __missing__(self, name: str) -> NoReturn:
        raise unreadable(f"the answer has no {name}")


def unreadable(why: str) -> Failure:
    return Failure(errors.UNPARSEABLE, why, maybe_done=True)


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
    ) -> Resource:
        """One call with a form (or raw bytes); the answer's JSON object, an empty one where nothing came back.

        Raises:
            TwilioFailure: Twilio refused.
            Failure: there was no answer, or none that can be read.
        """
        answer = http.request(method, url, data=form, headers=headers, auth=self._auth, timeout=self._timeout)
        if not answer.ok:
            raise _failure(answer)
        if not answer.body:
            return Resource({})
        body = answer.json()
        if not isinstance(body, dict):
            raise unreadable("the answer is no JSON object")
        return Resource(body)

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

    def listed(self, url: str, key: str, http: Http, most: int = 1_000) -> Iterator[Resource]:
        """The entries of a list, page after page, at most `most`. `key` is the list's name in the answer."""
        count = 0
        for _ in range(MOST_PAGES):
            page = self.call("GET", url, http)
            for entry in _entries(page.get(key) or []):
                yield entry
                count += 1
                if count >= most:
                    return
            following = (page.get("meta") or {}).get("next_page_url") or page.get("next_page_uri")
            if not following:
                return
            # the host stays the configured one, which may be a proxy's
            url = f"{url.partition('?')[0]}?{following.partition('#')[0].partition('?')[2]}"

    def find(self, url: str, http: Http) -> Resource | None:
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
        signed = _signed_parts(webhook)
        if not any(one.validate(webhook.url, params, signature) for one in self._validators for params in signed):
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
        BadWebhook: it is a form of too many fields, or no JSON object.
    """
    content_type = webhook.headers.get("content-type", "")
    if webhook.body and not _is_form(webhook):
        values = parse_json(webhook.body, content_type)
        return {name: _as_field(name, value) for name, value in values.items() if value is not None}
    try:
        return dict(form(webhook.body or webhook.url.partition("?")[2], content_type, MOST_FIELDS))
    except Unreadable:
        raise BadWebhook("", "The form cannot be read.") from None


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


def _as_named(name: str, value: Any) -> Any:
    """A value of a resource, which must be of the kind that its name stands for. Raises: Failure."""
    if name in TEXTS and not isinstance(value, str):
        raise unreadable(f"the answer's {name} is no text")
    if name in COUNTS:
        return _count(name, value)
    if name in OBJECTS and not isinstance(value, dict):
        raise unreadable(f"the answer's {name} is no object")
    return Resource(value) if name in OBJECTS else value


def _count(name: str, value: Any) -> int:
    digits = str(value)
    if isinstance(value, int | str) and COUNT.fullmatch(digits):
        return int(digits)
    raise unreadable(f"the answer's {name} is no number")


def _entries(found: Any) -> Iterator[Resource]:
    """Raises: Failure, it is no list of objects."""
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise unreadable("the answer is no list of objects")
    yield from map(Resource, found)


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
        found = form(webhook.body, content_type, MOST_FIELDS)
    except Unreadable:
        raise Unverified("the form cannot be read") from None
    odd = not charset_of(content_type) and any(REPLACEMENT in name + value for name, value in found)
    return [_params(found), *([_params(form(webhook.body, LATIN_1))] if odd else [])]


def _params(pairs: Sequence[tuple[str, str]]) -> _Params:
    found = _Params()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


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
        found = parsed(body)
    except Unreadable:
        return 0, ""
    code, message = (found.get("code"), found.get("message")) if isinstance(found, dict) else (0, "")
    return code if isinstance(code, int) else 0, message if isinstance(message, str) else ""
