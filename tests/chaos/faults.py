"""The faults that the ledger tells of: what each does to a running house while messages flow through it."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import psutil

from tests.support import fronts
from tests.support.outages import House, house, outage
from tests.support.processes import Process, RedisServer, is_ready, wait_until
from tests.support.rabbit import RabbitMQ
from tests.support.reports import Reports
from tests.support.sink import Told
from tests.support.traffic import Ledger, Replies, Traffic
from workers.lease import SHORT

DIRECTIONS: dict[str, type[Traffic]] = {"to the desk": Traffic, "to the customer": Replies, "reports": Reports}
BOTH = ("to the desk", "to the customer")
CALL = 2.0  # seconds that a call may take
PATIENT = {"timeout": 10.0}  # where no call is late but for a busy machine
HOUR = 3600.0
AWAY: frozenset[int] = frozenset({0, 503})
NOTHING: frozenset[int] = frozenset()
WRONG_DATE = frozenset({401})  # a signature says when it was made
FROZEN = SHORT + 4.0  # seconds; more than a lease

Goes = Callable[[House, Traffic], None]
Returns = Callable[[House], None]


def _as_ever(house: House) -> None:
    """Nothing has to be mended."""


@dataclass(frozen=True)
class Fault:
    """`goes` begins it, for `seconds`, and `returns` ends it. `repeats`: it leaves unknown whether calls were carried
    out, so that messages may come twice. `loses`: for so many seconds before it, what was acknowledged may be lost.
    `refuses`: statuses that senders may be answered, 0 is no answer; `options`: of the house that it comes to."""

    goes: Goes
    returns: Returns = _as_ever
    seconds: float = 0.0
    repeats: bool = False
    loses: float = 0.0
    refuses: frozenset[int] = AWAY
    directions: tuple[str, ...] = BOTH
    options: dict[str, object] = field(default_factory=dict)

    def run(self, folder: Path, direction: str) -> Ledger:
        with house(folder, **{"timeout": CALL, **self.options}) as running:  # type: ignore[arg-type]
            return outage(
                running,
                lambda traffic: self.goes(running, traffic),
                lambda: self.returns(running),
                self.seconds,
                DIRECTIONS[direction],
                self.loses,
            )


def _kill_workers(house: House, traffic: Traffic) -> None:
    for number in range(3):
        house.system.workers[number].kill()
        house.system.add_worker()
        time.sleep(2.0)


def _kill_receiver(house: House, traffic: Traffic) -> None:
    house.system.receiver.kill()
    house.system.receiver.start()


def _kill_receivers_child(house: House, traffic: Traffic) -> None:
    for child in psutil.Process(house.system.receiver.pid).children():
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _kill_redis(house: House, traffic: Traffic) -> None:
    house.state.kill()


def _cut_power(house: House, traffic: Traffic) -> None:
    """What was written in the last second was on no disk yet, while the other end took nothing."""
    traffic.rests_until = time.monotonic() + 1.5
    written = {path: path.stat().st_size for path in house.state.folder.rglob("*.aof")}
    time.sleep(1.0)
    house.state.kill()
    for path, size in written.items():
        os.truncate(path, size)


def _start_redis(house: House) -> None:
    house.state.start()


def _restart_workers(house: House, traffic: Traffic) -> None:
    for worker in list(house.system.workers):
        house.system.add_worker()
        worker.stop()


def _fill_redis(house: House, traffic: Traffic) -> None:
    _memory(house, 1)


def _empty_redis(house: House) -> None:
    _memory(house, 0)


def _memory(house: House, most: int) -> None:
    with house.state.client() as client:
        client.config_set("maxmemory", most)


def _empty_broker(house: House, traffic: Traffic) -> None:
    assert isinstance(house.broker, RedisServer)
    for _ in range(10):
        with house.broker.client() as client:
            client.flushall()
        time.sleep(0.5)


def _kill_rabbit(house: House, traffic: Traffic) -> None:
    assert isinstance(house.broker, RabbitMQ)
    assert house.broker.is_used
    house.broker.kill()


def _freezes(who: Callable[[House], Process]) -> tuple[Goes, Returns]:
    def goes(house: House, traffic: Traffic) -> None:
        os.killpg(who(house).pid, signal.SIGSTOP)

    def returns(house: House) -> None:
        os.killpg(who(house).pid, signal.SIGCONT)

    return goes, returns


def _says(*told: Callable[[], Told] | Told) -> Goes:
    """Whoever is written to answers like this, one after the other, again and again."""

    turns = itertools.cycle(told)

    def answer() -> Told:
        one = next(turns)  # of many threads
        return one if isinstance(one, Told) else one()

    def goes(house: House, traffic: Traffic) -> None:
        traffic.fault = answer
        wait_until("it was met", lambda: traffic.met > 0)

    return goes


def _moves(whose: str, seconds: float) -> tuple[Goes, Returns]:
    """Its clock, and back again."""

    def goes(house: House, traffic: Traffic) -> None:
        house.clocks[whose].move(seconds)
        if whose == "state":
            wait_until("it is noticed", lambda: abs(_time_of(house.state) - time.time() - seconds) < 60)

    def returns(house: House) -> None:
        house.clocks[whose].move(0.0)

    return goes, returns


def _time_of(server: RedisServer) -> float:
    with server.client() as client:
        return float(client.time()[0])


def _clock(whose: str, seconds: float, **more: Any) -> Fault:
    return Fault(*_moves(whose, seconds), seconds=10.0, options={"clocks": [whose], **PATIENT}, **more)


def _say_all_at_once(house: House, traffic: Traffic) -> None:
    one, other = house.system.receivers
    traffic.over = [one, other, one, other, one]


def _shuffle(house: House, traffic: Traffic) -> None:
    assert isinstance(traffic, Reports)
    traffic.shuffled = True


def _replace_receivers(house: House, traffic: Traffic) -> None:
    for url, receiver in house.system.receivers.items():
        receiver.stop()
        receiver.start()
        wait_until("it is back", lambda url=url: is_ready(url))
        time.sleep(2.0)


def _slow() -> Told:
    time.sleep(CALL + 1.0)
    return Told()


def _throttled_until() -> Told:
    return Told(status=429, headers={"retry-after": formatdate(time.time() + 2, usegmt=True)})


OUT = {"repeats": True, "seconds": 8.0}
FAULTS: dict[str, Fault] = {
    "workers are killed": Fault(_kill_workers, repeats=True, options={"workers": 2}),
    "the receiver is killed": Fault(_kill_receiver),
    "the receiver's process is killed": Fault(_kill_receivers_child),
    "Redis is killed": Fault(_kill_redis, _start_redis, 0.5),
    "Redis is killed (everysec)": Fault(
        _kill_redis, _start_redis, 0.5, repeats=True, loses=2.0, options={"fsync": "everysec"}
    ),
    "the power fails (everysec)": Fault(
        _cut_power, _start_redis, 0.5, repeats=True, loses=2.0, options={"fsync": "everysec"}
    ),
    "Redis is away": Fault(_kill_redis, _start_redis, 20.0),
    "Redis is full": Fault(_fill_redis, _empty_redis, 8.0),
    "Redis is frozen": Fault(*_freezes(lambda house: house.state), FROZEN),
    "a worker is frozen": Fault(
        *_freezes(lambda house: house.system.workers[0]), FROZEN, repeats=True, options={"workers": 2}
    ),
    "the receiver is frozen": Fault(*_freezes(lambda house: house.system.receiver), 5.0),
    "each comes five times at once": Fault(_say_all_at_once, seconds=8.0, options={"receivers": 2, **PATIENT}),
    "reports are shuffled": Fault(_shuffle, seconds=8.0, directions=("reports",)),
    "a worker's clock is an hour ahead": _clock("worker-0", HOUR),
    "a worker's clock is an hour behind": _clock("worker-0", -HOUR),
    "the receiver's clock is an hour ahead": _clock("receiver", HOUR, refuses=WRONG_DATE),
    "the receiver's clock is an hour behind": _clock("receiver", -HOUR, refuses=WRONG_DATE),
    "Redis's clock is an hour ahead": _clock("state", HOUR, repeats=True),
    "Redis's clock is an hour behind": _clock("state", -HOUR),
    **{
        f"receivers are replaced behind {name}": Fault(
            _replace_receivers, refuses=NOTHING, options={"receivers": 2, "front": front, **PATIENT}
        )
        for name, front in {"nginx": fronts.nginx, "HAProxy": fronts.haproxy}.items()
    },
    "workers are replaced": Fault(_restart_workers, options={"workers": 2}),
    "the broker is emptied": Fault(_empty_broker),
    "the broker is killed": Fault(lambda house, _: house.broker.kill(), lambda house: house.broker.start(), 10.0),
    "RabbitMQ is killed": Fault(_kill_rabbit, lambda house: house.broker.start(), 8.0, options={"broker": RabbitMQ}),
    "the broker is frozen": Fault(*_freezes(lambda house: house.broker), 10.0),
    "the one Redis for both is killed": Fault(_kill_redis, _start_redis, 8.0, options={"one_server": True}),
    "500": Fault(_says(Told(status=500)), seconds=8.0),
    "503 now and then": Fault(_says(Told(), Told(status=503)), seconds=8.0),
    "429 for a second": Fault(_says(Told(status=429, headers={"retry-after": "1"})), seconds=6.0),
    "429 until a date": Fault(_says(_throttled_until), seconds=6.0),
    "it is too slow": Fault(_says(_slow), **OUT),
    "it hangs": Fault(_says(Told(hang=True)), **OUT),
    "it closes without an answer": Fault(_says(Told(drop=True)), **OUT),
    "it closes in mid-answer": Fault(_says(Told(body=b"{" * 50, length=100)), seconds=8.0),
    "it drips": Fault(_says(Told(body=b" " * 20 + b"{}", drip=0.2)), seconds=8.0),
    "it answers 10 MB": Fault(_says(Told(body=b" " * 10_000_000)), seconds=8.0),
    "it announces too little": Fault(_says(Told(body=b"{}  ", length=2)), seconds=6.0),
    "it closes what it kept": Fault(_says(Told(close=True)), seconds=6.0),
}
