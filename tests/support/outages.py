"""A whole Patchbay whose state and broker can be taken away, and the ways to do so; each tells what became of a steady
stream of messages meanwhile. Tests run them for seconds, `make chaos` may run them for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import toml
from tests.support.clocks import Clock
from tests.support.gateway import tables
from tests.support.processes import HOST, RedisServer, Server, System, wait_until
from tests.support.proxy import Relay
from tests.support.sentinels import MASTER, Watched, watched
from tests.support.sink import Sink, sink
from tests.support.traffic import Ledger, Traffic

Front = Callable[[Path, Sequence[str]], AbstractContextManager[tuple[str, str]]]


@dataclass(frozen=True)
class House:
    """`desk` gets what customers write. `state` and `broker` are two servers, or one and the same. `clocks` of some
    processes, by their names; `front`: the load balancer, if there is one, and who signed its certificate."""

    system: System
    state: RedisServer
    broker: Server
    desk: Sink
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    front: tuple[str, str] = ("", "")


@contextmanager
def house(
    folder: Path,
    *,
    one_server: bool = False,
    workers: int = 1,
    receivers: int = 1,
    timeout: float = 10.0,
    fsync: str = "always",
    clocks: Sequence[str] = (),
    broker: Callable[[Path], Server] | None = None,
    front: Front | None = None,
    **gateway: object,
) -> Iterator[House]:
    """All of it runs. `timeout`: seconds for a call of the desk, or of the shop. `clocks`: whose can be moved ("state",
    "receiver", "worker-0"). `broker` makes one that is no Redis, `front` a load balancer for receivers at these
    addresses."""
    moved = {name: Clock(folder / f"{name}.clock") for name in clocks}
    with sink() as desk, ExitStack() as running:
        state = RedisServer(made(folder / "state"), fsync)
        state.environment |= moved["state"].environment if "state" in moved else {}
        other = state if one_server else (broker or RedisServer)(made(folder / "broker"))
        for server in {state, other}:
            running.callback(server.stop)
            server.start()
        special = {name: clock.environment for name, clock in moved.items()}
        config = config_of(folder, desk, timeout, **gateway)
        system = System(
            config, state.url, folder, broker_url=other.url, special=special, behind_proxy=front is not None
        )
        running.callback(system.stop)
        system.start(workers, receivers)
        ahead = running.enter_context(front(folder, [*system.receivers])) if front else ("", "")
        yield House(system, state, other, desk, moved, ahead)


def config_of(folder: Path, desk: Sink, timeout: float = 10.0, **gateway: object) -> Path:
    """The file of a configuration in which all goes to the desk, and what the desk says to the shop. A `dedup_window`
    is theirs, too."""
    config = folder / "patchbay.toml"
    both = {"timeout": timeout} | {key: value for key, value in gateway.items() if key == "dedup_window"}
    shop = {"destination": "desk", "handoff": "helper", "statuses": False, **both}
    raw = tables(
        desk_url=f"{desk.url}/desk",
        send_url=f"{desk.url}/shop",
        channels__shop=shop,
        destinations__desk={**both, "repeat_window": 60},  # who is refused says the same again
        gateway=gateway,
    )
    config.write_text(toml.dumps(raw))
    return config


def broker_away(house: House, seconds: float) -> Ledger:
    """The broker is killed under load, and started again after so many seconds."""
    return outage(house, lambda traffic: house.broker.kill(), house.broker.start, seconds)


def outage(
    house: House,
    goes: Callable[[Traffic], None],
    returns: Callable[[], None],
    seconds: float,
    direction: type[Traffic] = Traffic,
    loses: float = 0.0,
) -> Ledger:
    """Something goes away under load and returns; all that was taken is delivered then, or a minute has passed. What
    was acknowledged `loses` seconds before may be lost."""
    url, authority = house.front
    with direction(url or house.system.url, house.desk, authority) as traffic:
        wait_until("work flows", lambda: len(traffic.arrived) > 20)
        goes(traffic)
        traffic.began, traffic.loses = time.monotonic(), loses
        time.sleep(seconds)
        returns()
        traffic.fault, traffic.returned = None, time.monotonic()
        seen = len(traffic.arrived)
        wait_until("work flows again", lambda: len(traffic.arrived) > seen + 20, 60)
        traffic.end()
        wait_until("all is delivered", lambda: traffic.is_all_there, 60)
        return traffic.ledger()


def demoted_behind_proxy(folder: Path) -> Ledger:
    """Behind a proxy that keeps its sessions, the primary hands over to its copy under load, and answers as a copy of
    it from then on."""
    first, second = _server(folder / "first"), _server(folder / "second")
    second.follow(first)
    relay = Relay(first.port)
    with sink() as desk:
        system = System(config_of(folder, desk), f"redis://{HOST}:{relay.port}/0", folder)
        try:
            system.start()
            state = House(system, first, first, desk)
            return outage(state, lambda traffic: _hand_over(first, second, relay), lambda: None, seconds=0.0)
        finally:
            for process in (system, first, second):
                process.stop()
            relay.close()


def primary_killed(
    folder: Path, *, password: str = "", cut_off: float = 0.0, **gateway: object
) -> tuple[Ledger, float]:
    """The primary is killed under load, and the sentinels promote a copy; also the seconds from then until work flowed
    again. `cut_off`: for so many seconds before, nothing reached the copies; this needs a password."""
    with _watched_house(folder, password=password, **gateway) as (house, servers):
        promoted: list[float] = []

        def goes(traffic: Traffic) -> None:
            if cut_off:
                _cut_off(servers)
                traffic.rests_until = time.monotonic() + cut_off + 2.0  # so that something waits
                time.sleep(cut_off)
            promoted.append(_kill_primary(servers))
            _let_copies_in(servers, password)

        ledger = outage(house, goes, lambda: None, seconds=0.0)
        return ledger, next(at for at in ledger.arrived if at > promoted[0]) - promoted[0]


def primary_demoted(folder: Path, *, copies: int = 1, **gateway: object) -> Ledger:
    """The sentinels are told to promote a copy under load; the primary lives on, as a copy of it."""
    with _watched_house(folder, copies=copies, **gateway) as (house, servers):
        before = servers.primary()

        def goes(traffic: Traffic) -> None:
            with servers.sentinels[0].client() as client:
                client.execute_command("SENTINEL", "FAILOVER", MASTER)
            wait_until("a copy is promoted", lambda: servers.primary() is not before, 30)
            wait_until("the primary is a copy", lambda: _is_copy(before), 60)

        return outage(house, goes, lambda: None, seconds=0.0)


def _is_copy(server: RedisServer) -> bool:
    with server.client() as client:
        return bool(client.role()[0] == "slave")


@contextmanager
def _watched_house(
    folder: Path, *, password: str = "", copies: int = 2, **gateway: object
) -> Iterator[tuple[House, Watched]]:
    with watched(folder, password=password, copies=copies) as servers, sink() as desk:
        system = System(config_of(folder, desk, **gateway), servers.url(), folder)
        try:
            system.start()
            yield House(system, servers.servers[0], servers.servers[0], desk), servers
        finally:
            system.stop()


def _cut_off(servers: Watched) -> None:
    """The copies live, and get nothing more."""
    _let_copies_in(servers, "wrong")
    with servers.servers[0].client() as client:
        client.client_kill_filter(_type="replica")


def _let_copies_in(servers: Watched, password: str) -> None:
    for copy in servers.servers[1:]:
        with copy.client() as client:
            client.config_set("masterauth", password)


def _kill_primary(servers: Watched) -> float:
    """When a copy had taken over, by the clock of this machine."""
    before = servers.primary()
    before.kill()
    wait_until("a copy is promoted", lambda: servers.primary() is not before, 30)
    return time.monotonic()


def _hand_over(first: RedisServer, second: RedisServer, relay: Relay) -> None:
    with first.client() as client:
        client.execute_command("FAILOVER")
        wait_until("the copy has taken over", lambda: client.role()[0] == "slave")
    relay.target = second.port


def _server(folder: Path) -> RedisServer:
    server = RedisServer(made(folder))
    server.start()
    return server


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
