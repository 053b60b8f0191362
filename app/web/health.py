"""For load balancers and supervisors: alive, and ready to take webhooks.

Whoever asks costs next to nothing: what was found is good for a moment, and one asks at a time.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from flask import Blueprint, current_app, jsonify

from app.core.errors import StoreUnavailable
from app.gateway import Gateway
from app.log import logger
from app.store.server import faults_of
from app.web.answers import problem, try_again

GOOD_FOR = 1.0  # seconds
AWAY = "The store cannot be reached."

log = logger("health")
blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Any:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> Any:
    """Redis answers and keeps what it is given, and the configuration is loaded; 503 otherwise, with a sentence."""
    gateway: Gateway = current_app.extensions["patchbay"]
    looked: Look = current_app.extensions.setdefault("patchbay-look", Look(gateway))
    found = looked.found()
    if found == AWAY:
        return try_again(503, found, 5)
    if found:
        return problem(503, found)
    return jsonify(status="ready", channels=len(gateway.channels), destinations=len(gateway.destinations))


class Look:
    """At Redis, for all who ask within a moment."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._asking = threading.Lock()
        self._found: str | None = None
        self._until = 0.0

    def found(self) -> str:
        """What stands in the way; '' where nothing does. While somebody asks, what was found before."""
        if self._found is not None and time.monotonic() < self._until:
            return self._found
        if not self._asking.acquire(blocking=self._found is None):
            return self._found or ""
        try:
            self._found = self._ask()
            self._until = time.monotonic() + GOOD_FOR
        finally:
            self._asking.release()
        return self._found

    def _ask(self) -> str:
        try:
            facts = self._gateway.store.server.facts()
        except StoreUnavailable as error:
            log.error("store unavailable", error=str(error))
            return AWAY
        faults = faults_of(facts, self._gateway.settings.gateway["redis_checks"])
        return " ".join(fault.sentence for fault in faults if fault.refused)
