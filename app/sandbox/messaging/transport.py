"""One delivery of a webhook: signed, tried as its URL asks for, then the fallback URL once."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
from twilio.request_validator import RequestValidator

from app.sandbox.checks import Json
from app.sandbox.messaging import policy
from app.sandbox.messaging.policy import Policy
from app.sandbox.messaging.twiml import BadTwiml, Said, read_twiml

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
class Parcel:
    """One webhook; those of one key go out in order. `settle` is told what came of it."""

    key: str
    event: str
    message_sid: str
    url: str
    form: dict[str, str]
    fallback_url: str | None = None
    settle: Callable[[Result], None] = field(default=lambda result: None, repr=False)


class Transport:
    """`note` keeps every call that was made."""

    def __init__(self, auth_token: str, note: Callable[[Json], None]) -> None:
        self._validator = RequestValidator(auth_token)
        self._note = note

    def carry(self, parcel: Parcel, is_over: Callable[[], bool]) -> None:
        """Ends early, and tells nobody, once `is_over`."""
        token = secrets.token_hex(16)
        result = self._try_as_asked(parcel, token, is_over)
        if result.error and parcel.fallback_url and not is_over():
            failed = {"ErrorCode": str(result.code), "ErrorUrl": policy.split(parcel.url)[0]}
            fallback, _ = policy.split(parcel.fallback_url)
            result = self._try(parcel, fallback, parcel.form | failed, token, policy.split("")[1], is_over)
        if not is_over():
            parcel.settle(result)

    def drop(self, parcel: Parcel) -> None:
        error = "The sandbox was told to drop it"
        self._keep(parcel, policy.split(parcel.url)[0], parcel.form, Result(error=error))
        parcel.settle(Result(code=RETRIEVAL_FAILURE, error=error))

    def _try_as_asked(self, parcel: Parcel, token: str, is_over: Callable[[], bool]) -> Result:
        url, wanted = policy.split(parcel.url)
        until = time.monotonic() + wanted.total
        for _ in range(wanted.retries + 1):
            result = self._try(parcel, url, parcel.form, token, _within(wanted, until), is_over)
            if not wanted.retries_on(result.cause) or time.monotonic() >= until or is_over():
                break
        return result

    def _try(
        self, parcel: Parcel, url: str, form: dict[str, str], token: str, wanted: Policy, is_over: Callable[[], bool]
    ) -> Result:
        result = self._call(parcel, url, form, token, wanted)
        if not is_over():
            self._keep(parcel, url, form, result)
        return result

    def _call(self, parcel: Parcel, url: str, form: dict[str, str], token: str, wanted: Policy) -> Result:
        charset = "" if parcel.event == INBOUND else "; charset=utf-8"
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Content-Type": FORM_TYPE + charset,
            "X-Twilio-Signature": self._validator.compute_signature(url, form),
            "I-Twilio-Idempotency-Token": token,
            "X-Home-Region": "us1",
        }
        try:
            with requests.Session() as session:
                session.trust_env = False
                request = session.prepare_request(requests.Request("POST", url, data=form, headers=headers))
                response = session.send(request, timeout=(wanted.connect, wanted.read), allow_redirects=False)
        except requests.RequestException as problem:
            return _unanswered(problem, wanted)
        return _read(parcel, response)

    def _keep(self, parcel: Parcel, url: str, form: dict[str, str], result: Result) -> None:
        self._note(
            {
                "event": parcel.event,
                "message_sid": parcel.message_sid,
                "url": url,
                "form": form,
                "status": result.status,
                "error_code": result.code,
                "error": result.error,
            }
        )


def _within(wanted: Policy, until: float) -> Policy:
    """The same policy for the time that is left."""
    left = max(until - time.monotonic(), 0.01)
    return Policy(
        wanted.retries, wanted.retried, min(wanted.connect, left), min(wanted.read, left), min(wanted.total, left)
    )


def _unanswered(problem: requests.RequestException, wanted: Policy) -> Result:
    """A connection that is cut counts with those that stay silent; how Twilio has it is unverified."""
    if isinstance(problem, requests.ReadTimeout):
        return Result(None, "rt", CONNECTION_FAILURE, f"The gateway did not answer within {wanted.read:.3g} seconds")
    if isinstance(problem, requests.ConnectTimeout) or "NewConnectionError" in repr(problem):
        return Result(None, "ct", CONNECTION_FAILURE, "The gateway could not be reached")
    return Result(None, "rt", CONNECTION_FAILURE, "The gateway cut the connection")


def _read(parcel: Parcel, response: requests.Response) -> Result:
    status = response.status_code
    if not 200 <= status < 300:
        cause = f"{status // 100}xx"
        return Result(status, cause, RETRIEVAL_FAILURE, f"The gateway answered {status}")
    if parcel.event != INBOUND:
        return Result(status)
    try:
        said = read_twiml(response.headers.get("Content-Type", ""), response.content)
    except BadTwiml as problem:
        return Result(status, "xml", problem.code, str(problem))
    return Result(status, said=tuple(said))
