"""What can be set about the sandbox, read once from the environment; every problem is named at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlsplit

ENVIRONMENT = {
    "gateway_url": "SANDBOX_GATEWAY_URL",
    "public_url": "SANDBOX_PUBLIC_URL",
    "flower_url": "SANDBOX_FLOWER_URL",
    "desk": "SANDBOX_DESK",
    "autopilot_account_sid": "SANDBOX_AUTOPILOT_ACCOUNT_SID",
    "autopilot_auth_token": "SANDBOX_AUTOPILOT_AUTH_TOKEN",
    "autopilot_assistant_sid": "SANDBOX_AUTOPILOT_ASSISTANT_SID",
    "respondio_channel_id": "SANDBOX_RESPONDIO_CHANNEL_ID",
    "respondio_token": "SANDBOX_RESPONDIO_TOKEN",
    "respondio_id_type": "SANDBOX_RESPONDIO_ID_TYPE",
    "twilio_account_sid": "SANDBOX_TWILIO_ACCOUNT_SID",
    "twilio_auth_token": "SANDBOX_TWILIO_AUTH_TOKEN",
    "twilio_number": "SANDBOX_TWILIO_NUMBER",
    "twilio_number_channel": "SANDBOX_TWILIO_NUMBER_CHANNEL",
    "twilio_whatsapp": "SANDBOX_TWILIO_WHATSAPP",
    "twilio_whatsapp_channel": "SANDBOX_TWILIO_WHATSAPP_CHANNEL",
    "twilio_messenger": "SANDBOX_TWILIO_MESSENGER",
    "twilio_messenger_channel": "SANDBOX_TWILIO_MESSENGER_CHANNEL",
    "twilio_messaging_service_sid": "SANDBOX_TWILIO_MESSAGING_SERVICE_SID",
    "twilio_overrides": "SANDBOX_TWILIO_OVERRIDES",
    "flex_chat_service_sid": "SANDBOX_FLEX_CHAT_SERVICE_SID",
    "flex_workspace_sid": "SANDBOX_FLEX_WORKSPACE_SID",
    "flex_workflow_sid": "SANDBOX_FLEX_WORKFLOW_SID",
    "flex_flow_sid": "SANDBOX_FLEX_FLOW_SID",
    "flex_agent": "SANDBOX_FLEX_AGENT",
    "application_account_sid": "SANDBOX_APPLICATION_ACCOUNT_SID",
    "application_auth_token": "SANDBOX_APPLICATION_AUTH_TOKEN",
    "application_address": "SANDBOX_APPLICATION_ADDRESS",
}

PATTERNS = {
    "public_url": (r"(https?://[^\s/?#@]+[^\s?#@]*)?", "an http or https URL without credentials, query and fragment"),
    "flower_url": (r"(https?://[^\s/?#@]+[^\s?#@]*)?", "an http or https URL without credentials, query and fragment"),
    "desk": (r"[A-Za-z0-9_.-]+", "the name of a destination"),
    "autopilot_account_sid": (r"AC[0-9a-f]{32}", "AC and 32 hex digits"),
    "autopilot_auth_token": (r"\S+", "a token without spaces"),
    "autopilot_assistant_sid": (r"UA[0-9a-f]{32}", "UA and 32 hex digits"),
    "respondio_channel_id": (r"\S+", "an id without spaces"),
    "respondio_token": (r"\S+", "a token without spaces"),
    "respondio_id_type": (r"custom|phone", "custom or phone"),
    "twilio_account_sid": (r"AC[0-9a-f]{32}", "AC and 32 hex digits"),
    "twilio_auth_token": (r"\S+", "a token without spaces"),
    "twilio_number": (r"\+[1-9][0-9]{6,14}", "a phone number in E.164"),
    "twilio_number_channel": (r"[A-Za-z0-9_.-]+", "the name of a channel"),
    "twilio_whatsapp": (r"whatsapp:\+[1-9][0-9]{6,14}", "whatsapp: and a phone number in E.164"),
    "twilio_whatsapp_channel": (r"[A-Za-z0-9_.-]+", "the name of a channel"),
    "twilio_messenger": (r"messenger:[0-9]+", "messenger: and a page's id"),
    "twilio_messenger_channel": (r"[A-Za-z0-9_.-]+", "the name of a channel"),
    "twilio_messaging_service_sid": (r"MG[0-9a-f]{32}", "MG and 32 hex digits"),
    "twilio_overrides": (r"[^#\s]*", "connection overrides without the #"),
    "flex_chat_service_sid": (r"IS[0-9a-f]{32}", "IS and 32 hex digits"),
    "flex_workspace_sid": (r"WS[0-9a-f]{32}", "WS and 32 hex digits"),
    "flex_workflow_sid": (r"WW[0-9a-f]{32}", "WW and 32 hex digits"),
    "flex_flow_sid": (r"(FO[0-9a-f]{32})?", "FO and 32 hex digits"),
    "flex_agent": (r"\S+", "an identity without spaces"),
    "application_account_sid": (r"AC[0-9a-f]{32}", "AC and 32 hex digits"),
    "application_auth_token": (r"\S+", "a token without spaces"),
    "application_address": (
        r"([a-z][a-z0-9_-]*:[!-~]+)|\+[1-9][0-9]{4,14}",
        "provider:identifier, or a number in E.164",
    ),
}


@dataclass(frozen=True)
class SandboxSettings:
    """Made-up accounts of the stand-ins, and where the gateway listens."""

    gateway_url: str = "http://127.0.0.1:8000"
    # Where the gateway reaches the sandbox; without it, whatever address it called.
    public_url: str = ""
    # Where Flower watches the gateway's workers; without it, no door leads there.
    flower_url: str = ""
    desk: str = "desk"
    autopilot_account_sid: str = "AC" + "5a" * 16
    autopilot_auth_token: str = field(default="sandbox-auth-token", repr=False)
    autopilot_assistant_sid: str = "UA" + "7b" * 16
    respondio_channel_id: str = "ch_sandbox"
    respondio_token: str = field(default="sandbox-channel-token", repr=False)
    respondio_id_type: str = "custom"
    twilio_account_sid: str = "AC" + "3c" * 16
    twilio_auth_token: str = field(default="sandbox-twilio-token", repr=False)
    # Senders of Programmable Messaging, and the channels of the gateway that have them.
    twilio_number: str = "+15551239998"
    twilio_number_channel: str = "sms"
    twilio_whatsapp: str = "whatsapp:+15551239999"
    twilio_whatsapp_channel: str = "whatsapp"
    twilio_messenger: str = "messenger:105551239999"
    twilio_messenger_channel: str = "messenger"
    twilio_messaging_service_sid: str = "MG" + "9a" * 16
    # Behind the # of the senders' webhook URLs, for example rc=3&rp=5xx,ct,rt
    twilio_overrides: str = ""
    flex_chat_service_sid: str = "IS" + "4d" * 16
    flex_workspace_sid: str = "WS" + "6e" * 16
    flex_workflow_sid: str = "WW" + "8f" * 16
    # If set, a FlexFlow for custom chats with this sid is there from the start, and makes tasks.
    flex_flow_sid: str = ""
    flex_agent: str = "agent_5Fkim"
    # Of the TwiML application, whose account is one of the gateway's.
    application_account_sid: str = "AC" + "1e" * 16
    application_auth_token: str = field(default="sandbox-application-token", repr=False)
    application_address: str = "webchat:application"

    def __post_init__(self) -> None:
        problems = [*self._misfits(), *self._gateway_problem()]
        if problems:
            raise ValueError("; ".join(problems))

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Unset and empty names keep their defaults."""
        source = os.environ if environment is None else environment
        return cls(**{name: source[key] for name, key in ENVIRONMENT.items() if source.get(key)})

    @property
    def outgoing_url(self) -> str:
        """Where respond.io's outgoing calls go: the base URL of the desk, and `/message` behind it."""
        return f"{self.gateway_url.rstrip('/')}/destinations/{quote(self.desk)}/message"

    def channel_url(self, channel: str) -> str:
        """The webhook URL of a channel; its fallback is `/fallback` below it."""
        return f"{self.gateway_url.rstrip('/')}/channels/{quote(channel)}"

    @property
    def allows_chat_start(self) -> bool:
        """Only a phone number lets an agent write first."""
        return self.respondio_id_type == "phone"

    def _misfits(self) -> list[str]:
        return [
            f"{ENVIRONMENT[name]} must be {shape}"
            for name, (pattern, shape) in PATTERNS.items()
            if not re.fullmatch(pattern, getattr(self, name))
        ]

    def _gateway_problem(self) -> list[str]:
        parts = urlsplit(self.gateway_url)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.username:
            return []
        return [f"{ENVIRONMENT['gateway_url']} must be an http or https URL without credentials"]
