"""What a failed attempt means: try again at a time, or a dead letter. The palette decides; this only writes it down."""

from __future__ import annotations

from typing import Literal

from app.core import errors
from app.core.errors import Failure
from app.core.retry import RetryPolicy, next_try
from app.store.mailbox import Claim, Settlement

AMBIGUOUS = "its outcome is unknown, and this platform cannot be asked; it is not sent again by itself"


def is_ambiguous(settlement: Settlement) -> bool:
    """Whether a head was given up only because what became of it is unknown: that says nothing about the next one."""
    return settlement.outcome == "dead" and settlement.uncertain


def failed(claim: Claim, failure: Failure, policy: RetryPolicy, *, resend_safe: bool = True) -> Settlement:
    """The settlement of a failed attempt.

    Args:
        resend_safe: False where a call that may have been carried out must not be made again.
    """
    age = (claim.now - claim.first_at) / 1000
    due = next_try(policy, failure, claim.attempt, age)
    detail = failure.detail
    ambiguous = failure.maybe_done and not resend_safe
    if ambiguous:
        due, detail = None, f"{failure.detail}; {AMBIGUOUS}"
    effect, pause = _lane_effect(failure)
    if failure.kind is errors.OPTED_OUT:  # not an operator's to revive: only the customer lifts it
        return Settlement(
            claim, "done", status="failed", reason=failure.kind.code, error=f"{failure.kind.code}: {detail[:500]}"
        )
    if due is None:
        return Settlement(
            claim,
            "dead",
            reason=failure.kind.code,
            error=detail[:500],
            uncertain=ambiguous,
            lane_effect=effect,
            pause=pause,
        )
    return Settlement(
        claim,
        "retry",
        reason=failure.kind.code,
        error=detail[:500],
        due=due,
        counts=failure.kind.counts,
        uncertain=failure.maybe_done,
        lane_effect=effect,
        pause=pause,
    )


def _lane_effect(failure: Failure) -> tuple[Literal["ok", "sick", "pause", "none"], float]:
    kind = failure.kind
    if kind.retry and failure.retry_after is not None:
        return "pause", failure.retry_after
    if kind.pause is not None:
        return "pause", kind.pause
    if kind.sick:
        return "sick", 0.0
    return ("none" if kind.ours else "ok"), 0.0
