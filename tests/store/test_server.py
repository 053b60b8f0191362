"""What the Redis server must be like, by its own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
import redis

from app.core.errors import StoreUnavailable
from app.store.connection import Connection, connect
from app.store.server import CHECKS, Check, Facts, Server, faults_of, look_at
from tests.support.processes import RedisServer

GOOD = Facts("6.2.14", "noeviction", True)

FAULTS: dict[str, tuple[Facts, list[tuple[str, bool, str]]]] = {
    "all is well": (GOOD, []),
    "a newer one": (Facts("8.1.8", "noeviction", True), []),
    "a development version": (Facts("255.255.255", "noeviction", True), []),
    "it evicts": (Facts("7.2", "allkeys-lru", True), [("eviction", True, "maxmemory-policy allkeys-lru")]),
    "it evicts what expires": (Facts("7.2", "volatile-ttl", True), [("eviction", True, "volatile-ttl")]),
    "nothing is written": (Facts("7.2", "noeviction", False), [("persistence", False, "appendonly no")]),
    "an old one": (Facts("6.0.16", "noeviction", True), [("version", False, "Redis 6.0.16 is too old")]),
    "a node of a cluster": (
        Facts("7.2", "noeviction", True, cluster=True),
        [("cluster", True, "a node of a Cluster")],
    ),
    "a server alone": (Facts("7.2", "noeviction", True, cluster=False), []),
    "it says nothing": (
        Facts(),
        [
            ("eviction", False, "does not say"),
            ("persistence", False, "does not say"),
            ("version", False, "does not say"),
        ],
    ),
}


@pytest.mark.parametrize(("facts", "expected"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said(facts: Facts, expected: list[tuple[str, bool, str]]) -> None:
    found = faults_of(facts)
    assert [(fault.kind, fault.refused) for fault in found] == [(kind, refused) for kind, refused, _ in expected]
    for fault, (_, _, words) in zip(found, expected, strict=True):
        assert words in fault.sentence


@pytest.mark.parametrize(
    ("check", "expected"), [("refuse", [True]), ("warn", [False]), ("off", [])], ids=["refuse", "warn", "off"]
)
@pytest.mark.parametrize("kind", CHECKS)
def test_what_follows_is_a_setting(kind: str, check: Check, expected: list[bool]) -> None:
    bad = {
        "eviction": Facts("7.2", "allkeys-lru", True),
        "persistence": Facts("7.2", "noeviction", False),
        "version": Facts("5.0", "noeviction", True),
        "cluster": Facts("7.2", "noeviction", True, cluster=True),
    }
    assert [fault.refused for fault in faults_of(bad[kind], {**CHECKS, kind: check})] == expected
    assert not any(fault.refused for fault in faults_of(Facts(), {**CHECKS, kind: check})), "what is not known"


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, "no", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    server.start()
    yield server
    server.stop()


def test_a_real_server_says_what_it_is_like(redis_client: redis.Redis, evicting: RedisServer) -> None:
    facts = Server(Connection(redis_client)).facts()
    assert (facts.policy, facts.append_only) == ("noeviction", True)
    assert facts.version == redis_client.info()["redis_version"]
    with connect(evicting.url, timeout=5, name="tests") as client:
        facts = Server(Connection(client)).facts()
    assert (facts.policy, facts.append_only) == ("allkeys-lru", False)


def test_a_node_of_a_real_cluster_is_refused(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no", "--cluster-enabled", "yes")
    server.start()
    with connect(server.url, timeout=5, name="tests") as client:
        found = [fault for fault in look_at(Server(Connection(client)), CHECKS) if fault.refused]
    server.stop()
    assert ["cluster"] == [fault.kind for fault in found]
    assert "redis+sentinel://" in found[0].sentence


def test_a_server_that_may_not_be_asked_is_not_known(redis_client: redis.Redis, redis_server: RedisServer) -> None:
    redis_client.acl_setuser("guest", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    url = redis_server.url.replace("redis://", "redis://guest:any@")
    with connect(url, timeout=5, name="tests") as client:
        assert Server(Connection(client)).facts() == Facts()
    redis_client.acl_deluser("guest")
    assert Server(Connection(fakeredis.FakeRedis(decode_responses=True))).facts() == Facts(), "no such command"


def test_one_that_is_away_is_waited_for() -> None:
    server = Server(Connection(connect("redis://127.0.0.1:1/0", timeout=1, name="tests")))
    with pytest.raises(StoreUnavailable):
        server.facts()
    assert look_at(server, CHECKS) == []
