"""The channels that Patchbay speaks, by their `type` in the configuration."""

from typing import Any

from app.channels.twilio import TwilioChannel
from app.channels.webchat import WebchatChannel
from app.channels.webhook import WebhookChannel

CHANNELS: dict[str, Any] = {"twilio": TwilioChannel, "webchat": WebchatChannel, "webhook": WebhookChannel}
