"""The destinations that Patchbay speaks, by their `type` in the configuration."""

from typing import Any

from app.destinations.autopilot import AutopilotDestination
from app.destinations.flex_chat import FlexChatDestination
from app.destinations.flex_conversations import FlexConversationsDestination
from app.destinations.respondio import RespondioDestination
from app.destinations.twiml import TwimlDestination

DESTINATIONS: dict[str, Any] = {
    "autopilot": AutopilotDestination,
    "flex_chat": FlexChatDestination,
    "flex_conversations": FlexConversationsDestination,
    "respondio": RespondioDestination,
    "twiml": TwimlDestination,
}
