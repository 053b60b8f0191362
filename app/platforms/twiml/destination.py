"""Destination `twiml`: an application written for Twilio's messaging webhooks and TwiML, for customers of any channel.

Sources: https://www.twilio.com/docs/messaging/guides/webhook-request, https://www.twilio.com/docs/messaging/twiml,
https://www.twilio.com/docs/usage/webhooks/webhooks-security, https://www.twilio.com/docs/api/errors.

A message that is brought again has the same MessageSid, and its calls the same idempotency tokens, so that an
application can tell; what it answers makes the same messages, which are sent once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.address import address_of
from app.core.age import moment
from app.core.errors import DetailedFailure, Failure
from app.core.events import Answer, Receipt, StatusReport
from app.core.message import Attachment, Location, Message, derived_id
from app.core.reading import encodable
from app.core.render import Capabilities, degrees
from app.core.schema import URL_LIMIT, is_web_url
from app.http import Http, Response, called
from app.platforms.destination import Delivery, Destination, RestAccess
from app.platforms.tables import Table, Tables
from app.platforms.twilio.addresses import on_the_wire
from app.platforms.twilio.message import (
    error_of,
    is_part,
    mime_type_of,
    parameters,
    shown,
    sid_for,
    sid_of,
    status_word,
)
from app.platforms.twiml.cookies import LIFE, Cookies
from app.platforms.twiml.document import Document, Target, read
from app.platforms.twiml.settings import Settings

API_VERSION = "2010-04-01"
MAX_REDIRECTS = 5  # in a row
MAX_MESSAGES = 50  # in answer to one; a broken application must not flood a customer
MAX_NOTED = 20  # kinds of what nobody can do, of one answer


# Twilio's codes for a call that failed: there was no answer, or none that is a success.
UNREACHED, HTTP_FAILURE = 11205, 11200
NO_ANSWER = (errors.UNAVAILABLE, errors.TIMED_OUT)


class _Failed(DetailedFailure):
    """A call failed: Twilio's `code` for it, and the `url` that was called. `done`: calls before it succeeded."""

    def __init__(self, failure: Failure, code: int, url: str, *, done: bool) -> None:
        super().__init__(failure.restated(maybe_done=done))
        self.code = code
        self.url = url.partition("#")[0]


class TwimlDestination(Destination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    calls = 2  # see deliver
    tells_age = True

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.address = address_of(settings["address"])
        self.capabilities = Capabilities(
            contents=frozenset({"text", "attachment", "location"}),
            statuses=True,
            resend_safe=settings["resend_after_timeout"],
            keywords=True,
        )
        self._account_sid: str = settings["account_sid"]
        self._signer = RequestValidator(settings["auth_tokens"][0])
        self._service_sid: str | None = settings["messaging_service_sid"]
        self.callback = Target(settings["callback_method"], settings["callback_url"])
        self._fallback = _target(settings, "fallback")
        self._status_callback = _target(settings, "status_callback")
        self._timeout: float = settings["timeout"]

        self.rest = RestAccess(
            self._account_sid, self.address, frozenset(_logins(settings)), settings["messaging_service_sid"]
        )

    # Configuration

    @staticmethod
    def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
        """An account's application is known by its address; and it writes to customers by theirs."""
        alike = (one for one in tables.destinations.values() if one.type == mine.type and _who(one) == _who(mine))
        if _who(mine) and (first := next(alike, mine)) is not mine:
            yield "address", f"The destination {first.name} has the same one."
        if mine.values.get("channel") is None and (shared := tables.sharing(mine.name)):
            users = ", ".join(one.name for one in shared)
            yield "channel", f"Required, because channels of one provider share this destination: {users}."

    # Calls

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        """Call the application, and where it redirects to; if any of that fails, its fallback, and where that redirects
        to. Each of the two must come to its end within the time-out, so that all of it takes no longer than two calls.

        What was said before a redirect is kept, whatever becomes of the redirect, once one of the two succeeds.
        """
        form, told = self._inbound(delivery), list[Document]()
        cookies = _cookies(delivery)
        try:
            self._ask(self.callback, form, delivery, told, cookies, http)
        except _Failed as first:
            if self._fallback is None:
                raise
            told_of = {**form, "ErrorCode": str(first.code), "ErrorUrl": first.url}
            try:
                self._ask(self._fallback, told_of, delivery, told, cookies, http, "fallback")
            except _Failed as second:
                raise _both(first, second) from None
        changed = cookies.kept != delivery.session.handles.get("cookies", {})
        return replace(_answer(told), handles={"cookies": cookies.kept} if changed else None)

    def report(self, report: StatusReport, http: Http) -> None:
        """Call the addresses that the message names for that, else the configured one; all of them together within the
        time-out. Of several, one that fails is called again before those that follow, and so are those before it: they
        can tell by the idempotency token."""
        if is_part(report.message):
            return
        own = [Target(entry["method"], entry["url"]) for entry in report.message.metadata.get("status_callbacks", ())]
        targets = own or ([self._status_callback] if self._status_callback else [])
        form, until = self._outbound(report), time.monotonic() + self._timeout
        for number, target in enumerate(targets):
            token = derived_id(report.message.id, f"{report.status} {number}")
            self._call(target, form, token, until, http).check()

    # Parts

    def _ask(
        self,
        target: Target,
        form: Mapping[str, str],
        delivery: Delivery,
        told: list[Document],
        cookies: Cookies,
        http: Http,
        which: str = "callback",
    ) -> None:
        """Add a document, and those that it redirects to, to what was told. Raises: _Failed."""
        until = time.monotonic() + self._timeout
        for step in range(MAX_REDIRECTS + 1):
            code, token = UNREACHED, derived_id(delivery.id, f"{which} {step}")
            try:
                answer = self._call(target, form, token, until, http, cookies.header(target.url))
                kept, moved = cookies.take(target.url, answer.cookies), _moved(answer, target)
                if moved and step < MAX_REDIRECTS:
                    target = moved
                    continue
                code = HTTP_FAILURE
                document = read(answer.check(), target.url, self.address, delivery.message.customer)
            except Failure as failure:
                code = getattr(failure, "code", code if failure.kind in NO_ANSWER else HTTP_FAILURE)
                raise _Failed(failure, code, target.url, done=bool(told)) from None
            told.append(document if kept else replace(document, unsupported=(*document.unsupported, "cookies")))
            if document.redirect is None:
                return
            target = document.redirect
        told.append(Document(unsupported=("redirect",)))

    def _call(
        self,
        target: Target,
        form: Mapping[str, str],
        token: str,
        until: float,
        http: Http,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """One signed call. Raises: Failure, there was no answer, or `until` (monotonic seconds) is over."""
        left = until - time.monotonic()
        if left <= 0:
            raise Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True)
        params = {name: encodable(value) for name, value in form.items()}
        url = called(target.url)
        if target.method == "GET":
            url, params = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}", {}
        headers = {
            "user-agent": "TwilioProxy/1.1",
            "x-twilio-signature": self._signer.compute_signature(url, params),
            "i-twilio-idempotency-token": token,
            **more,
        }
        return http.request(target.method, url, data=params or None, headers=headers, timeout=left)

    def _inbound(self, delivery: Delivery) -> dict[str, str]:
        """One content of a customer's message in Twilio's parameters; what else was kept of it goes with the first."""
        message, content = delivery.message, delivery.content
        sid = sid_for(delivery.id, content)
        body, media = shown(content)
        form = parameters(message.metadata) if delivery.part == 0 else {}
        form |= {
            **self._about(message),
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "SmsStatus": status_word("inbound", "sent"),
            "From": on_the_wire(message.customer),
            "To": on_the_wire(self.address),
            "Body": body,
            "NumMedia": str(len(media)),
            "NumSegments": "1",
        }
        if delivery.written_at:
            form["WrittenAt"] = moment(delivery.written_at)
        if "ButtonPayload" in form:
            form["ButtonText"] = body
        if message.profile and message.profile.name:
            form["ProfileName"] = message.profile.name
        if number := re.fullmatch(r"whatsapp:\+(\d+)", message.customer):
            form["WaId"] = number[1]
        if isinstance(content, Attachment):
            form |= {"MediaUrl0": content.url, "MediaContentType0": mime_type_of(content) or "application/octet-stream"}
        if isinstance(content, Location):
            form |= {"Latitude": degrees(content.latitude), "Longitude": degrees(content.longitude)}
            form |= {"Address": content.address} if content.address else {}
        return form

    def _outbound(self, report: StatusReport) -> dict[str, str]:
        """What became of a message, in Twilio's parameters."""
        message, customer = report.message, on_the_wire(report.message.customer)
        sid, status = sid_of(message), status_word("outbound", report.status, report.error or "")
        form = {
            **self._about(message),
            "MessageSid": sid,
            "SmsSid": sid,
            "MessageStatus": status,
            "SmsStatus": status,
            "To": customer,
            "From": on_the_wire(self.address),
        }
        prefix, colon, _ = customer.partition(":")
        if colon:
            form["ChannelPrefix"] = prefix
        code, words = error_of(report.error or "") if report.status == "failed" else (0, "")
        return form | ({"ErrorCode": str(code), "ErrorMessage": words} if code else {})

    def _about(self, message: Message) -> dict[str, str]:
        service = {"MessagingServiceSid": self._service_sid} if self._service_sid else {}
        return {"AccountSid": self._account_sid, "ApiVersion": API_VERSION, **service}


def _who(table: Table) -> tuple[str, str] | None:
    """An application's account and address; None where its table has no address."""
    address = table.values.get("address")
    return (str(table.values.get("account_sid")), address_of(address)) if isinstance(address, str) else None


def _logins(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """User names and passwords, as at Twilio: the account with each of its tokens, an API key with its secret."""
    yield from ((settings["account_sid"], token) for token in settings["auth_tokens"])
    if settings["api_key_sid"]:
        yield settings["api_key_sid"], settings["api_key_secret"]


def _target(settings: Mapping[str, Any], name: str) -> Target | None:
    url = settings[f"{name}_url"]
    return Target(settings[f"{name}_method"], url) if url else None


def _cookies(delivery: Delivery) -> Cookies:
    """Those of the conversation, unless it was silent for too long."""
    session = delivery.session
    silent = delivery.message.at - session.last_at > LIFE
    return Cookies({} if silent else session.handles.get("cookies", {}))


def _moved(answer: Response, target: Target) -> Target | None:
    """Where an answer of HTTP's own sends us; as browsers do, a form is sent again only where that is said."""
    url = answer.moved_to(target.url)
    if url is None or len(url) > URL_LIMIT or not is_web_url(url):
        return None
    return Target(target.method if answer.status in (307, 308) else "GET", url)


def _answer(told: Sequence[Document]) -> Answer:
    """What the documents say together."""
    messages = [message for document in told for message in document.messages]
    unsupported = [what for document in told for what in document.unsupported]
    if len(messages) > MAX_MESSAGES:
        unsupported.append("messages")
    return Answer(
        Receipt(status="delivered"),
        replies=tuple(content for message in messages[:MAX_MESSAGES] for content in message),
        unsupported=tuple(dict.fromkeys(unsupported))[:MAX_NOTED],
    )


def _both(first: _Failed, second: _Failed) -> Failure:
    """As one failure: as long as either may be mended by another try, there is one."""
    kept = first if first.kind.retry or not second.kind.retry else second
    detail = f"{first.detail}; the fallback: {second.detail}"
    return kept.restated(detail=detail, maybe_done=first.maybe_done or second.maybe_done)
