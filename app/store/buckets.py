"""Token buckets: how often somebody may do something, counted for all processes together."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict

from app.store.connection import Connection


class Bucket(Struct, frozen=True):
    """`a_minute` tokens, which it holds when it is full and gets back in a minute; `cost` are to be taken now (no more
    than all of them). `counted` names the count of those who got none."""

    name: str
    a_minute: int
    cost: int = 1
    counted: str = ""


class Short(Struct, frozen=True):
    """The bucket that holds too little, and the seconds until it holds enough."""

    bucket: Bucket
    seconds: float


class Buckets:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, buckets: Sequence[Bucket]) -> Short | None:
        """Take from all of them; or, where one holds too little, from none, and say from which."""
        number, *wait = self._connection.run("take", {"buckets": [asdict(bucket) for bucket in buckets]})
        return Short(buckets[number - 1], wait[0] / 1000) if number else None
