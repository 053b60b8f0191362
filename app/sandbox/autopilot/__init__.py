"""Stand-in for the Autopilot custom channel, with a bot behind it."""

from app.sandbox.autopilot.api import Autopilot

__all__ = ["Autopilot"]
