"""What Redis's refusals mean: which pass by themselves, and which say that another server must be asked."""

from __future__ import annotations

import pytest
import redis
from redis import exceptions

from app.core.errors import StoreUnavailable
from app.store.connection import Connection
from app.store.refusals import REFUSALS

OLD = "Error running script (call to f_1): @user_script:9: @user_script: 9: -"  # how servers before 7.0 put it
HERE = {
    "LOADING": redis.BusyLoadingError("Redis is loading the dataset in memory"),
    "OOM": redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    "OOM in a script": redis.ResponseError(f"{OLD}OOM command not allowed"),
    "MISCONF": redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
    "BUSY": redis.ResponseError("BUSY Redis is busy running a script."),
    "NOREPLICAS": redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    "NOREPLICAS in a script": redis.ResponseError(f"{OLD}NOREPLICAS Not enough"),
    "TRYAGAIN": exceptions.TryAgainError("Multiple keys request during rehashing of slot"),
    "NOPERM": redis.exceptions.NoPermissionError("User patchbay has no permissions to run the 'evalsha' command"),
}
ELSEWHERE = {
    "READONLY": redis.ReadOnlyError("You can't write against a read only replica."),
    "READONLY in a script": redis.ResponseError(f"{OLD}READONLY You can't write"),
    "MASTERDOWN": exceptions.MasterDownError("Link with MASTER is down"),
    "UNBLOCKED": redis.ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"),
    "REDIRECT": redis.ResponseError("REDIRECT 127.0.0.1:7000"),
    "MOVED": exceptions.MovedError("12182 127.0.0.1:7002"),
    "ASK": exceptions.AskError("12182 127.0.0.1:7002"),
    "CLUSTERDOWN": exceptions.ClusterDownError("Hash slot not served"),
}


@pytest.mark.parametrize("name", [*HERE, *ELSEWHERE])
def test_what_passes_is_no_bug(name: str, client: redis.Redis) -> None:
    def fail() -> None:
        raise (HERE | ELSEWHERE)[name]

    with pytest.raises(StoreUnavailable) as raised:
        Connection(client).guard(fail)
    assert (raised.value.elsewhere, raised.value.maybe_done) == (name in ELSEWHERE, False)
    assert raised.value.why == REFUSALS[name.partition(" ")[0]].means


def test_every_row_is_tried() -> None:
    assert {name.partition(" ")[0] for name in HERE | ELSEWHERE} == set(REFUSALS)


@pytest.mark.parametrize("error", [redis.ConnectionError("refused"), redis.TimeoutError("late")], ids=["gone", "late"])
def test_what_does_not_answer_may_have_done_it(error: Exception, client: redis.Redis) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(StoreUnavailable) as raised:
        Connection(client).guard(fail, changes=True)
    assert (raised.value.why, raised.value.elsewhere, raised.value.maybe_done) == ("", False, True)


@pytest.mark.parametrize("said", ["ERR unknown command", "WRONGTYPE Operation against a key", "my READONLY mistake"])
def test_a_bug_stays_a_bug(said: str, client: redis.Redis) -> None:
    def fail() -> None:
        raise redis.ResponseError(said)

    with pytest.raises(redis.ResponseError):
        Connection(client).guard(fail)
