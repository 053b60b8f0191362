"""The palette: every way in which a call to a platform can fail, and what each of them means for the work in hand.

Adapters and `app.http` choose a kind; the workers obey it. Nothing else in the house decides about retries.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Kind(Struct, frozen=True):
    """One way to fail.

    `retry`: the same message may be tried again. `counts`: the try spends an attempt (a lane that is merely paused
    costs the message nothing). `sick`: it speaks against the whole platform, so it feeds the circuit breaker.
    `pause`: seconds for which the lane rests when the platform names no time itself. `ours`: a bug of ours.
    `speaks_of`: what else will fail like that once it is given up: what has the same kind of `content`, perhaps the
    next `message`, all in this `thread`, or all on this `platform`.
    """

    code: str
    sentence: str
    retry: bool = False
    counts: bool = True
    sick: bool = False
    pause: float | None = None
    ours: bool = False
    speaks_of: Literal["content", "message", "thread", "platform"] = "message"


THROTTLED = Kind(
    "throttled",
    "The platform asks for fewer calls.",
    retry=True,
    counts=False,
    pause=1.0,
    speaks_of="platform",
)
UNAVAILABLE = Kind(
    "unavailable",
    "The platform cannot be reached or answers with a fault.",
    retry=True,
    sick=True,
    speaks_of="platform",
)
TIMED_OUT = Kind("timed_out", "The platform did not answer in time.", retry=True, sick=True, speaks_of="platform")
UNAUTHORISED = Kind(
    "unauthorised",
    "The platform refuses our credentials. Correct them and restart; what waits is kept.",
    retry=True,
    counts=False,
    pause=60.0,
    speaks_of="platform",
)
MISCONFIGURED = Kind("misconfigured", "The configuration does not fit the platform.", ours=True, speaks_of="thread")
REJECTED = Kind("rejected", "The platform refuses this message.")
UNSUPPORTED = Kind("unsupported", "The platform cannot carry this content.", speaks_of="content")
GONE = Kind("gone", "The customer can no longer be reached there.", speaks_of="thread")
EXPIRED = Kind("expired", "It waited too long and was not sent.")
OPTED_OUT = Kind("opted_out", "The customer wants no messages there.")
# An answer that cannot be read speaks of its message: the platform is there, and may well answer others.
UNPARSEABLE = Kind("unparseable", "The platform's answer could not be read.", retry=True)
UNEXPECTED = Kind("unexpected", "A bug in Patchbay; the log has its traceback.", retry=True, ours=True)

PALETTE = {
    kind.code: kind
    for kind in (
        THROTTLED,
        UNAVAILABLE,
        TIMED_OUT,
        UNAUTHORISED,
        MISCONFIGURED,
        REJECTED,
        UNSUPPORTED,
        GONE,
        OPTED_OUT,
        EXPIRED,
        UNPARSEABLE,
        UNEXPECTED,
    )
}


class Failure(Exception):
    """A call failed in a way that the palette knows.

    Args:
        kind: one of the constants above.
        detail: a sentence for the operator; must hold no secret.
        retry_after: seconds that the platform asked us to wait, if it did.
        maybe_done: the request may have been carried out all the same (time-out or a lost connection after sending).
    """

    def __init__(self, kind: Kind, detail: str, *, retry_after: float | None = None, maybe_done: bool = False) -> None:
        super().__init__(f"{kind.code}: {detail}")
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after
        self.maybe_done = maybe_done

    def restated(self, kind: Kind | None = None, detail: str | None = None, *, maybe_done: bool = False) -> Failure:
        """The same failure by another kind or in other words; `maybe_done`: there is more that may have been done."""
        return Failure(
            kind or self.kind,
            self.detail if detail is None else detail,
            retry_after=self.retry_after,
            maybe_done=self.maybe_done or maybe_done,
        )


class DetailedFailure(Failure):
    """A failure with what one platform says about it beside; an adapter's subclass adds that."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind, failure.detail, retry_after=failure.retry_after, maybe_done=failure.maybe_done)


class InvalidInput(Exception):
    """What somebody asks for breaks a rule; answered with 400 and both names. `field` is a dotted path."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.field = field
        self.rule = rule


class BadWebhook(InvalidInput):
    """A webhook's body breaks a rule."""


class Unverified(Exception):
    """A webhook's signature, token or time stamp does not hold; the text names the reason, never the secret."""


class StoreUnavailable(Exception):
    """Redis is out of reach, or takes nothing; the caller should come again.

    `maybe_done`: a change was sent and no answer came, so it may have been recorded all the same, or be recorded yet.
    `why`: what a server that answers has against it, after "Redis ...". `elsewhere`: another one takes it. `again`:
    seconds until the caller should come again; what may have been done must be recognised then.
    """

    again = 5
    why = ""
    elsewhere = False

    def __init__(self, detail: str = "", *, maybe_done: bool = False) -> None:
        super().__init__(detail)
        self.maybe_done = maybe_done
