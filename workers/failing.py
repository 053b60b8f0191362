"""What a failed attempt means: try again at a time, or a dead letter. The palette decides; this only writes it down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.lane import SILENT, WELL, LaneEffect
from app.core.retry import RetryPolicy, next_try
from app.core.work import Claim, Dead, Done, Outcome, Retry

AMBIGUOUS = "its outcome is unknown, and this platform cannot be asked; it is not sent again by itself"
MAX_ERROR = 500  # characters that are kept


def failed(claim: Claim, failure: Failure, policy: RetryPolicy, *, resend_safe: bool = True) -> Done | Dead | Retry:
    """The outcome of a failed attempt.

    Args:
        resend_safe: False where a call that may have been carried out must not be made again.
    """
    code = failure.kind.code
    if failure.kind is errors.OPTED_OUT:  # not an operator's to replay: only the customer lifts it
        return Done(claim, status="failed", reason=code, error=f"{code}: {failure.detail}")
    ambiguous = failure.maybe_done and not resend_safe
    if ambiguous:
        error = f"{failure.detail}; {AMBIGUOUS}"
        return Dead(claim, reason=code, error=error, ambiguous=True, lane=_lane_effect(failure, error))
    error = failure.detail
    effect = _lane_effect(failure, error)
    due = next_try(policy, failure, claim.attempt, (claim.now - claim.first_at) / 1000)
    if due is None:
        return Dead(claim, reason=code, error=error, lane=effect)
    return Retry(
        claim,
        reason=code,
        error=error,
        due=due,
        counts=failure.kind.counts,
        uncertain=failure.maybe_done,
        lane=effect,
    )


def discreet(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """The outcome as it may be kept: what it says of an error holds no secret, and has an end. In this order, as half a
    secret would not be recognised."""
    if isinstance(outcome, Done | Dead | Retry) and outcome.error:
        outcome = replace(outcome, error=redact(outcome.error)[:MAX_ERROR])
    if outcome.lane.why:
        outcome = replace(outcome, lane=replace(outcome.lane, why=redact(outcome.lane.why)[:MAX_ERROR]))
    return outcome


def _lane_effect(failure: Failure, error: str) -> LaneEffect:
    kind, why = failure.kind, f"{failure.kind.code}: {error}"
    if kind.retry and failure.retry_after is not None:
        return LaneEffect("pause", failure.retry_after, why, _falls(failure))
    if kind.pause is not None:
        return LaneEffect("pause", kind.pause, why, _falls(failure))
    if kind.sick:
        return LaneEffect("sick", why=why, falls=_falls(failure))
    return SILENT if kind.ours else WELL


def _falls(failure: Failure) -> Literal["throttled", "timed_out", ""]:
    """For what the lane's pace falls: the platform had too much to do."""
    if failure.kind is errors.TIMED_OUT:
        return "timed_out"
    asks = failure.kind is errors.UNAVAILABLE and failure.retry_after is not None
    return "throttled" if asks or failure.kind is errors.THROTTLED else ""
