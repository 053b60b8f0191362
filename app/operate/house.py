"""Our own side: workers and lanes, what waits for an operator, files, disks, settings that surprise."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.core.work import Wake
from app.gateway import Gateway
from app.operate.findings import Finding, note, ok, wrong

FILES = 8192  # open ones that a worker may want
PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def house(gateway: Gateway) -> Iterator[Finding]:
    """Raises: StoreUnavailable."""
    yield from _workers(gateway)
    yield from _lanes(gateway)
    yield from _broker(gateway)
    if letters := gateway.store.dead_letters.count():
        yield note("dead letters", f"{letters} wait for a decision.", "patchbay dead-letters list")
    yield from _machine(gateway.settings.gateway)


def _workers(gateway: Gateway) -> Iterator[Finding]:
    workers = gateway.store.workers.alive()
    if not workers:
        yield wrong("workers", "None is running: messages are recorded, and wait for one.", "patchbay worker")
        return
    served = {lane for worker in workers for lane in worker.lanes}
    if missing := sorted(gateway.lanes.keys() - served):
        says = f"None serves {', '.join(missing)}; what comes there waits."
        yield wrong("workers", says, "Restart workers that run with an earlier configuration, or say other --lanes.")
    else:
        yield ok("workers", f"{len(workers)} serve all {len(gateway.lanes)} lanes.")


def _lanes(gateway: Gateway) -> Iterator[Finding]:
    now = gateway.store.connection.now() / 1000
    for lane in gateway.store.lanes.overview(now):
        if lane.paused_for and lane.paused_why != "rate":
            says = f"It rests for {lane.paused_for:.0f} s more, and {lane.waiting} wait: {lane.paused_why}"
            yield note(f"lane {lane.name}", says)
        elif lane.name not in gateway.lanes and lane.waiting:
            says = f"{lane.waiting} wait in it, and the configuration has no such lane any more."
            yield wrong(f"lane {lane.name}", says, "Put its channel or destination back until it is empty.")


def _broker(gateway: Gateway) -> Iterator[Finding]:
    nobody = Wake(next(iter(gateway.lanes), ""), "")  # one too many is harmless
    if gateway.lanes and gateway.publisher.publish([nobody]):
        says = "It cannot be reached from here. Work goes on, up to half a second later."
        yield wrong("broker", says, "Start it, or correct gateway.broker_url.")
    else:
        yield ok("broker", "It can be reached.")


def _machine(values: Mapping[str, Any]) -> Iterator[Finding]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        says = f"A process started here may open {soft} files, and a worker with its 256 threads may want {FILES}."
        yield note("open files", says, f"ulimit -n {FILES}, or LimitNOFILE={FILES} in its systemd unit.")
    if values["spool"] and Path(values["spool"]).is_dir():
        free = shutil.disk_usage(values["spool"]).free
        if free < values["spool_bytes"]:
            says = f"Its disk has {free} bytes left, and spool_bytes allows {values['spool_bytes']}."
            yield note("spool", says, "Make room, or lower gateway.spool_bytes.")
    if not values["egress"].proxy and (set_ := [name for name in PROXY_VARIABLES if os.environ.get(name)]):
        says = f"{', '.join(set_)} is set here, and Patchbay does not go by it."
        yield note("egress", says, "If calls must go through that proxy, set gateway.egress.proxy.")
