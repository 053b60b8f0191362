"""What a failed attempt means: try again at a time, or a dead letter. The palette decides; this only writes it down."""

from __future__ import annotations

from app.core import errors
from app.core.errors import Failure
from app.core.retry import RetryPolicy, next_try
from app.core.work import SILENT, WELL, Claim, Dead, Done, LaneEffect, Retry

AMBIGUOUS = "its outcome is unknown, and this platform cannot be asked; it is not sent again by itself"
MAX_ERROR = 500  # characters that are kept


def failed(claim: Claim, failure: Failure, policy: RetryPolicy, *, resend_safe: bool = True) -> Done | Dead | Retry:
    """The outcome of a failed attempt.

    Args:
        resend_safe: False where a call that may have been carried out must not be made again.
    """
    code = failure.kind.code
    if failure.kind is errors.OPTED_OUT:  # not an operator's to replay: only the customer lifts it
        return Done(claim, status="failed", reason=code, error=f"{code}: {failure.detail[:MAX_ERROR]}")
    ambiguous = failure.maybe_done and not resend_safe
    if ambiguous:
        error = f"{failure.detail}; {AMBIGUOUS}"[:MAX_ERROR]
        return Dead(claim, reason=code, error=error, ambiguous=True, lane=_lane_effect(failure, error))
    error = failure.detail[:MAX_ERROR]
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


def _lane_effect(failure: Failure, error: str) -> LaneEffect:
    kind, why = failure.kind, f"{failure.kind.code}: {error}"
    if kind.retry and failure.retry_after is not None:
        return LaneEffect("pause", failure.retry_after, why)
    if kind.pause is not None:
        return LaneEffect("pause", kind.pause, why)
    if kind.sick:
        return LaneEffect("sick", why=why)
    return SILENT if kind.ours else WELL
