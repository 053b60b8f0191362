"""What a lane's pace is found by; the rule itself is `app/store/scripts/parts/paces.lua`."""

from __future__ import annotations

from msgspec import Struct


class Seen(Struct, frozen=True):
    """What a worker has seen of a lane's `calls` in one `turn` of its pace: what one takes on average (`mean`, ms), and
    the share of them that timed out (`late`)."""

    turn: int = 0
    calls: int = 0
    mean: float = 0.0
    late: float = 0.0
