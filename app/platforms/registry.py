"""The platforms that Patchbay speaks: channels and destinations, by their `type` in the configuration."""

from typing import Any

from app.platforms.autopilot.destination import AutopilotDestination
from app.platforms.flex.chat import FlexChatDestination
from app.platforms.flex.conversations import FlexConversationsDestination
from app.platforms.respondio import RespondioDestination
from app.platforms.twilio.channel import TwilioChannel
from app.platforms.twiml.destination import TwimlDestination
from app.platforms.webchat import WebchatChannel
from app.platforms.webhook import WebhookChannel

CHANNELS: dict[str, Any] = {"twilio": TwilioChannel, "webchat": WebchatChannel, "webhook": WebhookChannel}
DESTINATIONS: dict[str, Any] = {
    "autopilot": AutopilotDestination,
    "flex_chat": FlexChatDestination,
    "flex_conversations": FlexConversationsDestination,
    "respondio": RespondioDestination,
    "twiml": TwimlDestination,
}
