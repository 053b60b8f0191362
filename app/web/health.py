"""For load balancers and supervisors: alive, and ready to take webhooks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, jsonify

from app.gateway import Gateway

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Any:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> Any:
    """Redis answers and the configuration is loaded; 503 otherwise (by the handler of StoreUnavailable)."""
    gateway: Gateway = current_app.extensions["patchbay"]
    gateway.store.lanes.ping()
    return jsonify(status="ready", channels=len(gateway.channels), destinations=len(gateway.destinations))
