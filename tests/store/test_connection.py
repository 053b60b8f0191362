"""The way to Redis: which of its errors pass by themselves, whose clock counts, which slot the keys lie in."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.core.errors import StoreUnavailable
from app.outage import Outage
from app.store import Store
from app.store.connection import Connection, connect
from app.tasks import Publisher, create_celery
from tests.store.steps import BOT, LANES, Drain, keys, write
from tests.support.processes import HOST, RedisServer, free_port


def test_a_bug_stays_a_bug(client: redis.Redis) -> None:
    client.set("text", "x")
    with pytest.raises(redis.ResponseError):
        Connection(client).guard(lambda: client.hgetall("text"))


def test_a_server_that_forgot_the_scripts_is_told_them_again(real_store: Store, redis_client: redis.Redis) -> None:
    write(real_store, 1)
    redis_client.script_flush()
    assert write(real_store, 2).state == "ok"


def test_without_a_clock_of_its_own_redis_gives_the_time(redis_client: redis.Redis) -> None:
    store = Store(redis_client)
    store.lanes.declare(LANES)
    write(store, 1)
    seconds, micros = redis_client.time()
    claim = Drain(store).claim()
    assert 0 <= claim.now - (seconds * 1_000 + micros // 1_000) < 5_000
    assert store.lanes.state(BOT, time.time()).leased == 1


def test_all_keys_lie_in_one_slot(real_store: Store, redis_client: redis.Redis) -> None:
    write(real_store, 1, live=True, show=True)
    assert len(keys(redis_client)) == redis_client.dbsize()


def test_a_server_behind_a_unix_socket() -> None:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has at most 107 bytes
        path = f"{folder}/redis.sock"
        server = RedisServer(Path(folder), "no", "--unixsocket", path)
        server.start()
        try:
            store = Store(connect(f"unix://{path}", timeout=5, name="tests"))
            store.lanes.declare(LANES)
            (wake,) = write(store, 1).wakes
            Publisher(create_celery(f"redis+socket://{path}", [wake.lane])).publish([wake])
            with redis.Redis(port=server.port) as client:
                assert client.llen(f"patchbay-celery:{wake.lane}") == 1
        finally:
            server.stop()


def test_a_silent_server_is_given_up_in_time(redis_server: RedisServer) -> None:
    impatient = connect(redis_server.url, timeout=0.1, name="tests")
    with pytest.raises(StoreUnavailable):
        Connection(impatient).guard(lambda: impatient.blpop(["nothing ever comes"], timeout=5))
    impatient.close()


def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(
    redis_server: RedisServer, redis_client: redis.Redis
) -> None:
    store = Store(connect(redis_server.url, timeout=0.5, name="tests"))
    store.lanes.declare(LANES)
    assert write(store, 1).state == "ok"
    redis_client.client_pause(1_000, all=True)
    with pytest.raises(StoreUnavailable):
        write(store, 2)
    redis_client.ping()  # answered when the pause is over; by then the late answer has been sent, too
    assert (write(store, 3).message_id, write(store, 3).state) == (f"{3:032x}", "duplicate")


def test_what_interrupts_a_call_leaves_no_answer_behind(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(redis_client)
    store.lanes.declare(LANES)
    write(store, 1)
    connection = store.connection.pool.take()
    store.connection.pool.give(connection)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "read_response", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(store, 2)
    assert write(store, 3).message_id == f"{3:032x}"


def test_a_process_that_forked_off_shares_no_connection(real_store: Store) -> None:
    pool = real_store.connection.pool
    write(real_store, 1)
    mine = pool.take()
    pool.give(mine)
    child = os.fork()
    if child == 0:
        os._exit(pool.take() is mine)
    assert (child, 0) == os.waitpid(child, 0)
    assert pool.take() is mine


def test_threads_that_come_and_go_share_connections(real_store: Store) -> None:
    for number in range(150):
        thread = threading.Thread(target=write, args=(real_store, number))
        thread.start()
        thread.join()
    assert len(real_store.connection.pool) == 1


def test_an_idle_connection_that_the_server_closed_is_not_used(
    real_store: Store, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(real_store, 1)
    _close_others(redis_client)
    monkeypatch.setattr("app.store.pool.FRESH", 0.0)
    assert write(real_store, 2).state == "ok"


def test_after_an_answer_of_the_wrong_server_no_idle_connection_is_used_again(
    real_store: Store, redis_client: redis.Redis, redis_server: RedisServer
) -> None:
    pool = real_store.connection.pool
    several = [pool.take() for _ in range(3)]
    for connection in several:
        connection.connect()
        pool.give(connection)
    redis_client.replicaof(HOST, free_port())  # type: ignore[arg-type]
    try:
        with pytest.raises(StoreUnavailable) as raised:
            write(real_store, 1)
        assert raised.value.elsewhere
        assert not any(connection.is_connected for connection in several[:-1])
    finally:
        with connect(redis_server.url, timeout=5, name="tests") as client:
            client.replicaof("NO", "ONE")
    assert write(real_store, 1).state == "ok"


def test_one_that_was_closed_right_after_its_last_call_fails_once(real_store: Store, redis_client: redis.Redis) -> None:
    write(real_store, 1)
    _close_others(redis_client)
    with pytest.raises(StoreUnavailable):
        write(real_store, 2)
    assert write(real_store, 2).state == "ok"


def _close_others(client: redis.Redis) -> None:
    for other in client.client_list():
        if other["id"] != str(client.client_id()):
            client.client_kill_filter(_id=other["id"])


def _interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:geheim@db.example.test:6380/3", "redis://db.example.test:6380/3"),
        ("rediss://user:geheim@db.example.test", "redis://db.example.test:6379/0"),
        ("redis://db.example.test?password=geheim", "redis://db.example.test:6379/0"),
        ("unix://user:geheim@/srv/patch%20bay/redis.sock?db=2", "unix:///srv/patch bay/redis.sock"),
    ],
)
def test_a_place_is_named_without_its_password(url: str, place: str) -> None:
    assert Connection(connect(url, timeout=1, name="tests")).place == place


def test_what_cannot_be_reached_is_named_without_its_password() -> None:
    port = free_port()
    nowhere = Connection(connect(f"redis://:geheim@127.0.0.1:{port}/2", timeout=1, name="tests"))
    with pytest.raises(StoreUnavailable) as raised:
        nowhere.knock()
    assert str(raised.value).startswith(f"Redis at redis://127.0.0.1:{port}/2 cannot be reached: ")
    assert "geheim" not in str(raised.value)


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[tuple[Store, RedisServer]]:
    """A store that waits for one copy, and that copy."""
    servers = [RedisServer(tmp_path / name, "no") for name in ("first", "second")]
    for server in servers:
        server.log.parent.mkdir()
        server.start()
    servers[1].follow(servers[0])
    store = Store(connect(servers[0].url, timeout=5, name="tests"))
    store.lanes.declare(LANES)
    store.connection.copies = 1
    yield store, servers[1]
    for server in servers:
        server.kill()


def test_what_no_copy_has_is_not_acknowledged_not_even_when_it_is_repeated(copied: tuple[Store, RedisServer]) -> None:
    store, copy = copied
    assert write(store, 1).state == "ok"
    os.kill(copy.pid, signal.SIGSTOP)
    for number in (2, 2, 1):
        with pytest.raises(StoreUnavailable) as raised:
            write(store, number)
        assert raised.value.maybe_done
    with pytest.raises(StoreUnavailable, match="too few copies"):
        store.server.try_write()
    os.kill(copy.pid, signal.SIGCONT)
    assert (write(store, 2).state, write(store, 3).state) == ("duplicate", "ok")
    store.server.try_write()


def test_nobody_waits_for_copies_of_a_script_that_promises_nothing(copied: tuple[Store, RedisServer]) -> None:
    store, copy = copied
    os.kill(copy.pid, signal.SIGSTOP)
    assert store.buckets.take([]) is None
    os.kill(copy.pid, signal.SIGCONT)


def test_one_that_may_not_be_asked_is_there(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise redis.exceptions.NoPermissionError("this user has no permissions to run the 'ping' command")

    monkeypatch.setattr(client, "ping", refuse)
    Connection(client).knock()


def test_an_outage_is_told_once_whatever_the_number_of_calls(redis_server: RedisServer) -> None:
    told: list[str] = []
    connection = Connection(connect(redis_server.url, timeout=1, name="tests"))
    connection.outage = Outage(told.append, lambda _: told.append("back"))
    connection.refusal = Outage(lambda error: told.append(f"refusal: {error}"), lambda _: None, again=60)

    def fails(error: Exception) -> None:
        def fail() -> None:
            raise error

        with pytest.raises(StoreUnavailable):
            connection.guard(fail)

    fails(redis.ConnectionError("refused"))
    fails(redis.TimeoutError("late"))
    connection.knock()
    connection.knock()
    fails(redis.OutOfMemoryError("full"))
    connection.knock()
    fails(redis.OutOfMemoryError("full"))
    assert told == ["cannot be reached: refused", "back", "refusal: has no memory left: full"]
