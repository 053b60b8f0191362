"""For load balancers and supervisors: alive, and ready to take webhooks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, jsonify

from app.gateway import Gateway

NO_WORKER = "No worker is running: messages are recorded, and wait for one."

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Any:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> Any:
    """Redis answers and the configuration is loaded; 503 otherwise (by the handler of StoreUnavailable).

    Without workers, webhooks are recorded all the same, so this only warns of it.
    """
    gateway: Gateway = current_app.extensions["patchbay"]
    workers = len(gateway.store.workers.alive())
    warnings = [] if workers else [NO_WORKER]
    counted = {"channels": len(gateway.channels), "destinations": len(gateway.destinations), "workers": workers}
    return jsonify(status="ready", **counted, **({"warnings": warnings} if warnings else {}))
