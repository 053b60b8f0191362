"""The destinations that Patchbay speaks, by their `type` in the configuration."""

from typing import Any

from app.destinations.autopilot import AutopilotDestination
from app.destinations.respondio import RespondioDestination

DESTINATIONS: dict[str, Any] = {"autopilot": AutopilotDestination, "respondio": RespondioDestination}
