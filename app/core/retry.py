"""When to try again: exponential back-off with full jitter, and the limits at which a message becomes a dead letter."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from app.core.errors import Failure

_random = Random()  # noqa: S311 - jitter, not a secret


class RetryPolicy(Struct, frozen=True):
    """`base` and `cap` in seconds; a message is given up after `attempts` tries or `give_up_after` seconds."""

    attempts: int = 10
    base: float = 1.0
    cap: float = 300.0
    give_up_after: float = 86_400.0


def delay(policy: RetryPolicy, attempt: int, random: Random = _random) -> float:
    """Seconds before the next try after `attempt` tries (1, 2, ...): uniform between 0 and the doubled ceiling.

    Full jitter as described at https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = min(policy.cap, policy.base * 2 ** min(attempt - 1, 30))
    return random.uniform(0, ceiling)


def next_try(policy: RetryPolicy, failure: Failure, attempt: int, age: float, random: Random = _random) -> float | None:
    """Seconds until the next try, or None if the message is to be given up.

    Args:
        attempt: how many tries have been spent, this one included (1, 2, ...).
        age: seconds since the first try.
    """
    if not failure.kind.retry:
        return None
    if failure.kind.counts and (attempt >= policy.attempts or age >= policy.give_up_after):
        return None  # while the platform only asks for a pause, or an operator is needed, the message is kept
    if failure.retry_after is not None:
        return failure.retry_after
    if failure.kind.pause is not None:
        return failure.kind.pause
    return delay(policy, attempt, random)
