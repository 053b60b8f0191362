"""What bounds all that is kept: seconds and counts."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

POLL_AGAIN = 3_600.0  # seconds, as in `scripts/sweep.lua`


class Limits(Struct, frozen=True):
    """Seconds and counts that bound what is kept. `retentions`: the `retention` of channels that have one of their own;
    `windows`: the `dedup_window` of channels and destinations that do. A lane keeps so many `dead_letters`, with
    `dead_letter_bytes` of messages and webhooks, for `dead_letter_keep` seconds. Nothing lies further ahead than
    `max_lease`, `max_delay`, `max_poll` seconds, unless the clock was set back."""

    retention: int = 72 * 3600
    retentions: Mapping[str, int] = field(default_factory=dict)
    dedup_window: float = 72 * 3600
    windows: Mapping[str, float] = field(default_factory=dict)
    session_keep: int = 30 * 86_400
    mailbox: int = 1_000
    lane: int = 200_000
    breaker_failures: int = 5
    breaker_pause: float = 5.0
    max_breaker_pause: float = 8.0
    dead_letters: int = 10_000
    dead_letter_bytes: int = 32 * 1024 * 1024
    dead_letter_keep: int = 30 * 86_400
    max_lease: float = 3_600.0
    max_delay: float = 3_600.0
    max_poll: float = POLL_AGAIN

    def retention_of(self, channel: str) -> int:
        """For how many seconds a channel's messages are kept."""
        return self.retentions.get(channel, self.retention)

    @property
    def longest_retention(self) -> int:
        return max(self.retention, *self.retentions.values()) if self.retentions else self.retention

    def window_ms(self, scope: str) -> int:
        """How long an external id is remembered; a name space begins with whose it is."""
        return int(self.windows.get(scope.partition(":")[0], self.dedup_window) * 1000)
