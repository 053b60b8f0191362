"""For load balancers and supervisors: alive, and ready to take webhooks.

Whoever asks costs next to nothing: what was found is good for a moment, and one asks at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, current_app, jsonify
from msgspec import Struct

from app.core.errors import StoreUnavailable
from app.gateway import Gateway
from app.local.child import is_closing
from app.spool import Spool
from app.store.server import faults_of
from app.web.answers import problem, try_again

GOOD_FOR = 1.0  # seconds
AWAY = "The store cannot be reached."
SPOOLING = "What platforms send only once is kept on disk, everything else is refused."
TAKES_NOTHING = "The store takes nothing: Redis {}."
CLOSING = "This receiver is about to stop."
NO_WORKER = "No worker is running: messages are recorded, and wait for one."

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Any:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> Any:
    """Redis takes and keeps what it is given, and the configuration is loaded; 503 otherwise, with a sentence.

    While Redis is away and there is a spool with room (`app.spool`), this receiver is still of use: 200, `spooling`.
    Without workers, webhooks are recorded all the same, so this only warns of it, as it does of a Redis that worries.
    """
    if is_closing():
        return try_again(503, CLOSING, 1)
    gateway: Gateway = current_app.extensions["patchbay"]
    look: Look = current_app.extensions.setdefault("patchbay-look", Look(gateway))
    found = look.found()
    spool: Spool | None = current_app.extensions["patchbay-spool"]
    kept = {"spool": {"bytes": spool.size}} if spool and spool.size is not None else {}
    if found.passes and spool and spool.has_room:
        return jsonify(status="spooling", **kept, warnings=[f"{found.refused} {SPOOLING}"])
    if found.passes:
        return try_again(503, found.refused, 5)
    if found.refused:
        return problem(503, found.refused)
    counted = {"channels": len(gateway.channels), "destinations": len(gateway.destinations), "workers": found.workers}
    warnings = [*found.warnings, *([] if found.workers else [NO_WORKER])]
    return jsonify(status="ready", **counted, **kept, **({"warnings": warnings} if warnings else {}))


class Found(Struct, frozen=True):
    """`refused` is what stands in the way, '' where nothing does; `passes`: by itself, or once Redis is mended.
    `warnings` are sentences, `workers` those alive."""

    refused: str = ""
    passes: bool = False
    warnings: Sequence[str] = ()
    workers: int = 0


class Look:
    """At Redis, for all who ask within a moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.asking = threading.Lock()
        self._found = Found()
        self._until = 0.0  # nothing was found yet

    def found(self) -> Found:
        """While somebody asks, what was found before; a first crowd waits for whoever came first."""
        if self._is_good:
            return self._found
        if not self.asking.acquire(blocking=self._until == 0):
            return self._found
        try:
            if not self._is_good:  # meanwhile
                self._found = self._ask()
                self._until = time.monotonic() + GOOD_FOR
        finally:
            self.asking.release()
        return self._found

    @property
    def _is_good(self) -> bool:
        return time.monotonic() < self._until

    def _ask(self) -> Found:
        store = self._gateway.store
        try:
            faults = faults_of(store.server.facts(), self._gateway.settings.gateway["redis_checks"])
            workers = len(store.workers.alive())
            store.server.try_write()
        except StoreUnavailable as error:  # which is logged where it is met
            return Found(TAKES_NOTHING.format(error.why) if error.why else AWAY, passes=True)
        refused = " ".join(fault.sentence for fault in faults if fault.refused)
        warnings = [fault.sentence for fault in faults if not fault.refused]
        return Found(refused, warnings=warnings, workers=workers)
