"""What Redis's refusals mean: the one table of all that passes by itself, or once somebody mends the server.

Whoever asked is told to come again. An error that is not here is a bug of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import redis
from msgspec import Struct
from redis import exceptions


class Refusal(Struct, frozen=True):
    """`means`: to whom it happened and why, after "Redis ...". `elsewhere`: whoever answered is not, or no longer, the
    server that takes writes. Nothing was done, and its connections must not be used again, as there is another one."""

    word: str
    means: str
    elsewhere: bool = False


REFUSALS: Mapping[str, Refusal] = {
    refusal.word: refusal
    for refusal in (
        Refusal("READONLY", "is only a copy of another one", elsewhere=True),
        Refusal("MASTERDOWN", "is only a copy, and has lost the one that it copies", elsewhere=True),
        Refusal("UNBLOCKED", "has become a copy of another one", elsewhere=True),
        Refusal("REDIRECT", "names another one that takes writes", elsewhere=True),
        Refusal("MOVED", "is a node of a cluster, and does not hold our keys", elsewhere=True),
        Refusal("ASK", "is a node of a cluster that hands our keys to another one", elsewhere=True),
        Refusal("CLUSTERDOWN", "is a cluster that has lost some of its nodes", elsewhere=True),
        Refusal("TRYAGAIN", "is a cluster that moves our keys"),
        Refusal("LOADING", "reads its data and is not ready yet"),
        Refusal("OOM", "has no memory left"),
        Refusal("MISCONF", "cannot write to its disk"),
        Refusal("NOREPLICAS", "has too few copies to take writes"),
        Refusal("BUSY", "is held up by a script"),
        Refusal("NOPERM", "does not let our user do that"),
    )
}
# The client takes the word off the errors that it knows.
WORDS: Mapping[type[Exception], str] = {
    exceptions.ReadOnlyError: "READONLY",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.MovedError: "MOVED",
    exceptions.AskError: "ASK",
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.NoPermissionError: "NOPERM",
}
# Servers before 7.0 put a command's error into a sentence about the script.
WORD = re.compile(rf"(?:^|-)({'|'.join(REFUSALS)}) ")


def refusal_of(error: redis.RedisError) -> Refusal | None:
    """What an error of the server means; None for a bug, and for what no server said."""
    word = WORDS.get(type(error))
    if word is None and isinstance(error, redis.ResponseError):
        found = WORD.search(str(error))
        word = found and found[1]
    return REFUSALS[word] if word else None
