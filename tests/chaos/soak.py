"""`make soak`: a whole Patchbay works steadily for long, something breaks again and again, and what its processes hold
stays level. Printed as a table and written to `soak.json`.

First each fault comes once, in quick succession: by then threads and pools are as large as they get. From then on
memory, descriptors, threads and keys are judged (see `tests.support.levels`)."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.faults import CALL, FAULTS
from tests.support import ledgers, levels
from tests.support.ledgers import row_of
from tests.support.levels import Level, Watch
from tests.support.outages import House, house
from tests.support.processes import Process, wait_until
from tests.support.sink import Call, Told
from tests.support.traffic import Ledger, Replies, Traffic

KEEPS = 60  # seconds; the shortest `retention`, so that keys are level soon
LONGEST = 5.0  # seconds of a fault
SHORTEST_WARM_UP = 30.0  # seconds, if that leaves as much to be judged


def _kill_worker(house: House) -> None:
    house.system.workers[-1].kill()


def _start_worker(house: House) -> None:
    house.system.workers[-1].start()


def _kill_receiver(house: House) -> None:
    [*house.system.receivers.values()][-1].kill()


def _start_receiver(house: House) -> None:
    [*house.system.receivers.values()][-1].start()


OWN: dict[str, tuple[Callable[[House], None], Callable[[House], None]]] = {
    "a worker is killed": (_kill_worker, _start_worker),
    "a receiver is killed": (_kill_receiver, _start_receiver),
}
KINDS = (
    *OWN,
    *("500", "it hangs", "it closes in mid-answer", "429 for a second"),
    *("Redis is killed", "Redis is full", "Redis is frozen", "a worker is frozen"),
    *("the broker is emptied", "the broker is killed"),
)


@dataclass(frozen=True)
class Plan:
    """`seconds` in all, of which the first `warm_up` are not judged; `rate`: messages a second, half of them in each
    direction; `every`: seconds between two faults."""

    seconds: float = 600.0
    rate: float = 50.0
    every: float = 30.0

    @property
    def warm_up(self) -> float:
        return max(self.seconds / 4, min(self.seconds / 2, SHORTEST_WARM_UP))

    @property
    def slack(self) -> float:
        """How much more may grow in a run that is too short to be sure: it finds coarse leaks alone."""
        return 1.0 if self.warm_up > KEEPS else 4.0


@dataclass(frozen=True)
class Soaked:
    plan: Plan
    levels: list[Level]
    ledgers: Mapping[str, Ledger]
    faults: int

    @property
    def complaints(self) -> list[str]:
        """What is not as it should be."""
        grown = [
            f"{level.who}: {level.what} grew from {level.thirds[0]:.1f}" for level in self.levels if not level.holds
        ]
        bad = [f"{way}: {one}" for way, one in self.ledgers.items() if one.lost or one.disordered]
        return grown + bad

    def as_json(self) -> dict[str, Any]:
        return {
            **vars(self.plan),
            "faults": self.faults,
            "messages": [row_of("soak", way, ledger) for way, ledger in self.ledgers.items()],
            "levels": [{**vars(level), "level": level.holds} for level in self.levels],
        }


def soak(plan: Plan, folder: Path) -> Soaked:
    with house(folder, workers=2, receivers=2, timeout=CALL, retention=KEEPS, dedup_window=KEEPS) as running:
        watch = Watch(lambda: _processes(running))
        with watch.running(every=max(0.5, plan.seconds / 600)), _traffic(running, plan) as traffic:
            began = time.monotonic()
            faults = _break(running, plan, traffic, began)
            for one in traffic.values():
                one.end()
        for one in traffic.values():
            wait_until("all is delivered", lambda one=one: one.is_all_there, 120)
        found = watch.levels(began + plan.warm_up, plan.slack)
        if plan.warm_up <= KEEPS:
            found = [level for level in found if level.what != "keys"]  # they still grow to what is kept
        return Soaked(plan, found, {way: one.ledger() for way, one in traffic.items()}, faults)


@contextmanager
def _traffic(house: House, plan: Plan) -> Iterator[Mapping[str, Traffic]]:
    """Both ways at once, each over a receiver of its own; a customer writes once a second."""
    first, *_, last = house.system.receivers
    many = round(plan.rate / 2)
    with ExitStack() as stack:
        customers = stack.enter_context(Traffic(first, house.desk, customers=many, pause=1.0))
        agents = stack.enter_context(Replies(last, house.desk, customers=many, pause=1.0))

        def answer(call: Call) -> Told:
            house.desk.calls.clear()  # it must not grow itself
            return (customers if call.path.startswith("/desk") else agents)._arrive(call)

        house.desk.answer = answer
        yield {"to the desk": customers, "to the customer": agents}


def _break(house: House, plan: Plan, traffic: Mapping[str, Traffic], began: float) -> int:
    """Until the time is over; how often."""
    at, kinds, ways = began, itertools.cycle(KINDS), itertools.cycle(traffic.values())
    for number in itertools.count():
        gap = plan.warm_up / len(KINDS) if number < len(KINDS) else plan.every
        at += gap
        if at > began + plan.seconds:
            time.sleep(max(0.0, began + plan.seconds - time.monotonic()))
            return number
        time.sleep(max(0.0, at - gap * 2 / 3 - time.monotonic()))
        _fail(next(kinds), house, next(ways), min(LONGEST, gap / 3))
    raise AssertionError


def _fail(kind: str, house: House, traffic: Traffic, seconds: float) -> None:
    print(f"{time.strftime('%H:%M:%S')} {kind}", flush=True)
    if kind in OWN:
        goes, returns = OWN[kind]
        goes(house)
        time.sleep(seconds)
        returns(house)
        return
    fault = FAULTS[kind]
    fault.goes(house, traffic)
    time.sleep(seconds)
    fault.returns(house)
    traffic.fault, traffic.returned = None, time.monotonic()


def _processes(house: House) -> Mapping[str, Process]:
    receivers = {f"receiver {number}": one for number, one in enumerate(house.system.receivers.values(), 1)}
    workers = {f"worker {number}": one for number, one in enumerate([*house.system.workers], 1)}
    return {"Redis": house.state, "broker": house.broker, **receivers, **workers}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    for name, value in vars(Plan()).items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"default: {value:.0f}")
    plan = Plan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="patchbay-soak-") as folder:
        soaked = soak(plan, Path(folder))
    told = soaked.as_json()
    Path("soak.json").write_text(json.dumps(told, indent=2) + "\n")
    print("\n".join([*levels.as_markdown(soaked.levels), "", *ledgers.as_markdown(told["messages"])]))
    sys.exit("\n".join(soaked.complaints) or None)


if __name__ == "__main__":
    main()
