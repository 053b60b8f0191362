"""One delivery of a webhook: signed, tried as its URL asks for, then the fallback URL once."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import requests

from app.sandbox.messaging import policy
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.policy import Policy
from app.sandbox.messaging.twiml import BadTwiml, Said, read_twiml
from app.sandbox.twilio.deliveries import DROPPED, GOOD, UNREACHED, Webhook, send_signed

RETRIEVAL_FAILURE, CONNECTION_FAILURE = 11200, 11205
FORM_TYPE = "application/x-www-form-urlencoded"
INBOUND = "inbound"


@dataclass(frozen=True)
class Result:
    """What a call came to. `cause` is the word of the policy that it falls under; `error` is empty if all was well."""

    status: int | None = None
    cause: str = ""
    code: int | None = None
    error: str | None = None
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Parcel(Webhook):
    """`settle` is told what came of it."""

    message_sid: str
    url: str
    form: dict[str, str]
    fallback_url: str | None = None
    settle: Callable[[Result], None] = field(default=lambda result: None, repr=False)


class Carrier:
    def __init__(self, auth_token: str, memory: MessagingMemory) -> None:
        self._auth_token = auth_token
        self._memory = memory

    def carry(self, parcel: Parcel, over: threading.Event) -> None:
        """Ends early, and tells nobody, once it is `over`."""
        token = secrets.token_hex(16)
        result = self._try_as_asked(parcel, token, over)
        if result.error and parcel.fallback_url and not over.is_set():
            failed = {"ErrorCode": str(result.code), "ErrorUrl": policy.split(parcel.url)[0]}
            fallback = replace(parcel, url=policy.split(parcel.fallback_url)[0], form=parcel.form | failed)
            result = self._try(fallback, token, policy.split("")[1], over)
        if not over.is_set():
            parcel.settle(result)

    def drop(self, parcel: Parcel) -> None:
        self._note(replace(parcel, url=policy.split(parcel.url)[0]), Result(error=DROPPED))
        parcel.settle(Result(code=RETRIEVAL_FAILURE, error=DROPPED))

    def _try_as_asked(self, parcel: Parcel, token: str, over: threading.Event) -> Result:
        url, wanted = policy.split(parcel.url)
        parcel, until = replace(parcel, url=url), time.monotonic() + wanted.total
        for _ in range(wanted.retries + 1):
            result = self._try(parcel, token, wanted.within(until - time.monotonic()), over)
            if not wanted.retries_on(result.cause) or time.monotonic() >= until or over.is_set():
                break
        return result

    def _try(self, parcel: Parcel, token: str, wanted: Policy, over: threading.Event) -> Result:
        result = self._call(parcel, token, wanted)
        if not over.is_set():
            self._note(parcel, result)
        return result

    def _call(self, parcel: Parcel, token: str, wanted: Policy) -> Result:
        charset = "" if parcel.event == INBOUND else "; charset=utf-8"
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Content-Type": FORM_TYPE + charset,
            "I-Twilio-Idempotency-Token": token,
            "X-Home-Region": "us1",
        }
        request = requests.Request("POST", parcel.url, data=parcel.form, headers=headers)
        try:
            response = send_signed(self._auth_token, request, (wanted.connect, wanted.read))
        except requests.RequestException as problem:
            return _unanswered(problem, wanted)
        return _read(parcel, response)

    def _note(self, parcel: Parcel, result: Result) -> None:
        self._memory.keep(
            "attempts",
            {
                "event": parcel.event,
                "message_sid": parcel.message_sid,
                "url": parcel.url,
                "form": parcel.form,
                "status": result.status,
                "error_code": result.code,
                "error": result.error,
            },
        )


def _unanswered(problem: requests.RequestException, wanted: Policy) -> Result:
    """A connection that is cut counts with those that stay silent; how Twilio has it is unverified."""
    if isinstance(problem, requests.ReadTimeout):
        return Result(None, "rt", CONNECTION_FAILURE, f"The gateway did not answer within {wanted.read:.3g} seconds")
    if isinstance(problem, requests.ConnectTimeout) or "NewConnectionError" in repr(problem):
        return Result(None, "ct", CONNECTION_FAILURE, UNREACHED)
    return Result(None, "rt", CONNECTION_FAILURE, "The gateway cut the connection")


def _read(parcel: Parcel, response: requests.Response) -> Result:
    status = response.status_code
    if status not in GOOD:
        cause = f"{status // 100}xx"
        return Result(status, cause, RETRIEVAL_FAILURE, f"The gateway answered {status}")
    if parcel.event != INBOUND:
        return Result(status)
    try:
        said = read_twiml(response.headers.get("Content-Type", ""), response.content)
    except BadTwiml as problem:
        return Result(status, "xml", problem.code, str(problem))
    return Result(status, said=tuple(said))
