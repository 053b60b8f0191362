"""The way to Redis: which of its errors pass by themselves, whose clock counts, which slot the keys lie in."""

from __future__ import annotations

import os
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme
from redis.sentinel import SentinelConnectionPool

from app.core.errors import StoreUnavailable
from app.core.work import Wake
from app.outage import Outage
from app.store import Store
from app.store.connection import Connection, connect
from app.tasks import Publisher, create_celery
from tests.store.steps import BOT, LANES, Drain, keys, write
from tests.support.processes import HOST, RedisServer, free_port, wait_until
from tests.support.proxy import Relay


def test_a_bug_stays_a_bug(client: redis.Redis) -> None:
    client.set("text", "x")
    with pytest.raises(redis.ResponseError):
        Connection(client).guard(lambda: client.hgetall("text"))


def test_a_server_that_forgot_the_functions_is_told_them_again(real_store: Store, redis_client: redis.Redis) -> None:
    write(real_store, 1)
    redis_client.config_resetstat()
    redis_client.function_flush()
    assert write(real_store, 2).state == "ok"
    assert used(redis_client) == {"fcall"}


WITHOUT_FUNCTIONS = {
    "does not know them": ("--rename-command", "FCALL", ""),
    "does not know how to make them": ("--rename-command", "FUNCTION", ""),
    "lets us not call them": ("-fcall",),
    "lets us make none": ("-function",),
}


@pytest.mark.parametrize("options", WITHOUT_FUNCTIONS.values(), ids=WITHOUT_FUNCTIONS)
def test_a_server_without_functions_runs_scripts(options: tuple[str, ...], tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no", *(options if len(options) > 1 else ()))
    server.start()
    try:
        with connect(server.url, timeout=5, name="tests") as client:
            if len(options) == 1:
                client.execute_command("ACL", "SETUSER", "default", *options)
            store = Store(client)
            store.lanes.declare(LANES)
            write(store, 1)
            client.script_flush()  # and is told them again
            write(store, 2)
            assert len(Drain(store).finish()) == 2
            assert "evalsha" in used(client)
    finally:
        server.stop()


def used(client: redis.Redis) -> set[str]:
    """The commands by which scripts were run, so far."""
    return {name.removeprefix("cmdstat_") for name in client.info("commandstats")} & {"evalsha", "eval", "fcall"}


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


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of a server with a user that speaks TLS alone, and the file of who signed its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = RedisServer(folder, "no")
    server.start()
    with connect(server.url, timeout=5, name="tests") as client:
        client.acl_setuser("app", enabled=True, passwords=["+ge%heim"], keys=["*"], channels=["*"], commands=["+@all"])
    relay = Relay(server.port, context)
    yield f"rediss://app:ge%25heim@{HOST}:{relay.port}/0", str(folder / "ca.pem")
    relay.close()
    server.stop()


def test_state_and_broker_behind_tls_with_a_user_and_a_password(behind_tls: tuple[str, str]) -> None:
    url = f"{behind_tls[0]}?ssl_ca_certs={behind_tls[1]}"
    store = Store(connect(url, timeout=5, name="tests"))
    store.lanes.declare(LANES)
    (wake,) = write(store, 1).wakes
    assert Publisher(create_celery(url, [wake.lane], retries=0)).publish([wake]) == ()


def test_neither_of_them_takes_a_certificate_of_nobody_they_know(behind_tls: tuple[str, str]) -> None:
    with pytest.raises(StoreUnavailable, match="certificate"):
        Connection(connect(behind_tls[0], timeout=5, name="tests")).knock()
    wakes = [Wake(BOT, "token")]
    broker = create_celery(behind_tls[0], [BOT], timeout=4, retries=0)  # kombu would share what it did with another one
    assert Publisher(broker).publish(wakes) == wakes


def test_sentinels_and_their_servers_are_spoken_to_as_their_url_says() -> None:
    url = "rediss+sentinel://app:geheim@one,two/mymaster/3?sentinel_password=watch&ssl_ca_certs=/ca.pem"
    pool = connect(url, timeout=2, name="tests").connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    known = {"db": 3, "username": "app", "password": "geheim", "ssl_ca_certs": "/ca.pem", "socket_timeout": 2}
    assert known.items() <= pool.connection_kwargs.items()
    assert issubclass(pool.connection_class, redis.SSLConnection)
    asked = [one.connection_pool for one in pool.sentinel_manager.sentinels]
    assert ["one", "two"] == [one.connection_kwargs["host"] for one in asked]
    for one in asked:
        assert {"password": "watch", "ssl_ca_certs": "/ca.pem"}.items() <= one.connection_kwargs.items()
        assert issubclass(one.connection_class, redis.SSLConnection)
    broker = create_celery(url, [BOT]).connection_for_write()
    assert ("sentinel", "3", "app", "geheim") == (
        broker.transport_cls,
        broker.virtual_host,
        broker.userid,
        broker.password,
    )
    assert {"ssl_cert_reqs": "required", "ssl_ca_certs": "/ca.pem"} == broker.ssl
    assert "mymaster" == broker.transport_options["master_name"]
    told = broker.transport_options["sentinel_kwargs"]
    assert {"ssl": True, "password": "watch", "ssl_ca_certs": "/ca.pem"}.items() <= told.items()


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
        ("redis+sentinel://user:geheim@one,two/mymaster/2?sentinel_password=geheim", "redis+sentinel://mymaster/2"),
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
    wait_until("the copy keeps up", lambda: is_kept(store, 1))
    os.kill(copy.pid, signal.SIGSTOP)
    for number in (2, 2, 1):
        with pytest.raises(StoreUnavailable) as raised:
            write(store, number)
        assert raised.value.maybe_done
    with pytest.raises(StoreUnavailable, match="too few copies"):
        store.server.try_write()
    os.kill(copy.pid, signal.SIGCONT)
    wait_until("the copy keeps up again", lambda: is_kept(store, 3))
    assert write(store, 2).state == "duplicate"
    store.server.try_write()


def is_kept(store: Store, number: int) -> bool:
    """By a copy, too. On a busy machine it may take more time than a platform would wait."""
    try:
        return bool(write(store, number))
    except StoreUnavailable:
        return False


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


def test_half_of_a_surrogate_pair_does_not_keep_a_message_out(real_store: Store) -> None:
    entered = write(real_store, 1, scope="shop:inbound:\ud800")
    assert "ok" == entered.state
    assert real_store.mailboxes.known("shop:inbound:\ufffd") == entered.message_id
