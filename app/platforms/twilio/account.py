"""Calls in the name of a Twilio account: REST with Basic auth, error bodies, pages.

Source: https://www.twilio.com/docs/usage/requests-to-twilio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.errors import DetailedFailure, Failure
from app.core.events import Webhook
from app.core.reading import Unreadable, parsed
from app.http import Http, Response, kind_of
from app.platforms.twilio.webhooks import FORM, verify

MAX_PAGES = 200  # of a list
MAX_QUOTED = 300  # characters of an error
COUNT = re.compile(r"-?[0-9]{1,15}")

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


class TwilioFailure(DetailedFailure):
    """Twilio answered with an error: `status` of HTTP, `code` of Twilio's list (0: none)."""

    def __init__(self, failure: Failure, status: int, code: int) -> None:
        super().__init__(failure)
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
        for _ in range(MAX_PAGES):
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
        verify(webhook, self._validators)

    def signed(self, url: str, fields: Mapping[str, str]) -> Webhook:
        """A form as Twilio would post it to this address."""
        signature = self._validators[0].compute_signature(url, fields)
        headers = {"content-type": FORM, "x-twilio-signature": signature}
        return Webhook("POST", url, urlsplit(url).path, headers, urlencode(fields).encode())


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


def _failure(answer: Response) -> TwilioFailure:
    """Twilio's error body in the palette's words; anything else goes by its status."""
    code, message = _error_body(answer.body)
    said = f"{code} {message}" if code else message
    try:
        answer.check(" ".join(said.split()))
    except Failure as failure:
        kind = KINDS.get(code, kind_of(answer.status))
        # cut only now, or half a secret would pass for none
        return TwilioFailure(failure.restated(kind, failure.detail[:MAX_QUOTED]), answer.status, code)
    raise AssertionError("only for answers that are no success")


def _error_body(body: bytes) -> tuple[int, str]:
    """Code (0: none) and message of Twilio's error body, as far as it is one."""
    try:
        found = parsed(body)
    except Unreadable:
        return 0, ""
    code, message = (found.get("code"), found.get("message")) if isinstance(found, dict) else (0, "")
    return code if isinstance(code, int) else 0, message if isinstance(message, str) else ""
