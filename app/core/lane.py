"""What is said of a lane: by an attempt, of its breaker and its pace; by a worker, of the calls that it saw.

How a pace is found from that is the rule of `app/store/scripts/parts/paces.lua`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class LaneEffect(Struct, frozen=True):
    """What an attempt says of its lane: `ok` closes the breaker, `sick` feeds it, `pause` rests the lane for so many
    seconds, `none` says nothing. `why` is shown for as long as the lane rests. `falls`: for what its pace does, if the
    platform had too much to do."""

    kind: Literal["ok", "sick", "pause", "none"]
    seconds: float = 0.0
    why: str = ""
    falls: Literal["throttled", "timed_out", ""] = ""


WELL, SILENT = LaneEffect("ok"), LaneEffect("none")


class Seen(Struct, frozen=True):
    """What a worker has seen of a lane's `calls` in one `turn` of its pace: what one takes on average (`mean`, ms), and
    the share of them that timed out (`late`)."""

    turn: int = 0
    calls: int = 0
    mean: float = 0.0
    late: float = 0.0
