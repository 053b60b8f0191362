"""What can be set about the sandbox, read once from the environment; every problem is named at once.

The variable of a setting is its name in capitals, behind `SANDBOX_`.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self
from urllib.parse import quote, urlsplit

NAME, NUMBER, E164 = r"[A-Za-z0-9_.-]+", r"\+[1-9][0-9]{6,14}", "a phone number in E.164"
URL = r"(https?://[^\s/?#@]+[^\s?#@]*)?"


def setting(default: str, pattern: str, shape: str) -> Any:
    """`shape` says in words what the pattern asks for."""
    return field(default=default, metadata={"pattern": pattern, "shape": shape})


def sid(prefix: str, byte: str) -> Any:
    return setting(prefix + byte * 16, f"{prefix}[0-9a-f]{{32}}", f"{prefix} and 32 hex digits")


def token(default: str) -> Any:
    secret = {"pattern": r"\S+", "shape": "a token without spaces"}
    return field(default=default, repr=False, metadata=secret)


def variable(name: str) -> str:
    return f"SANDBOX_{name.upper()}"


class Checked:
    """A frozen dataclass of settings: a stand-in may bring one of its own."""

    def __post_init__(self) -> None:
        problems = self.problems()
        if problems:
            raise ValueError("; ".join(problems))

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Unset and empty names keep their defaults."""
        source = os.environ if environment is None else environment
        given = {one.name: source.get(variable(one.name)) for one in fields(cls)}  # type: ignore[arg-type]  # see above
        return cls(**{name: value for name, value in given.items() if value})

    def problems(self) -> list[str]:
        return [
            f"{variable(one.name)} must be {one.metadata['shape']}"
            for one in fields(self)  # type: ignore[arg-type]  # as above
            if "pattern" in one.metadata and not re.fullmatch(one.metadata["pattern"], getattr(self, one.name))
        ]


@dataclass(frozen=True)
class SandboxSettings(Checked):
    """Made-up accounts of the stand-ins, and where the gateway listens."""

    gateway_url: str = "http://127.0.0.1:8000"
    # Where the gateway reaches the sandbox; without it, whatever address it called.
    public_url: str = setting("", URL, "an http or https URL without credentials, query and fragment")
    # Where Flower watches the gateway's workers; without it, no door leads there.
    flower_url: str = setting("", URL, "an http or https URL without credentials, query and fragment")
    # The gateway's chats, titles by name as a JSON object; without it, those of the sandbox's own configuration.
    chats: str = ""
    desk: str = setting("desk", NAME, "the name of a destination")
    autopilot_account_sid: str = sid("AC", "5a")
    autopilot_auth_token: str = token("sandbox-auth-token")
    autopilot_assistant_sid: str = sid("UA", "7b")
    respondio_channel_id: str = setting("ch_sandbox", r"\S+", "an id without spaces")
    respondio_token: str = token("sandbox-channel-token")
    respondio_id_type: str = setting("custom", "custom|phone", "custom or phone")
    twilio_account_sid: str = sid("AC", "3c")
    twilio_auth_token: str = token("sandbox-twilio-token")
    # Senders of Programmable Messaging, and the channels of the gateway that have them.
    twilio_number: str = setting("+15551239998", NUMBER, E164)
    twilio_number_channel: str = setting("sms", NAME, "the name of a channel")
    twilio_whatsapp: str = setting("whatsapp:+15551239999", f"whatsapp:{NUMBER}", f"whatsapp: and {E164}")
    twilio_whatsapp_channel: str = setting("whatsapp", NAME, "the name of a channel")
    twilio_messenger: str = setting("messenger:105551239999", "messenger:[0-9]+", "messenger: and a page's id")
    twilio_messenger_channel: str = setting("messenger", NAME, "the name of a channel")
    twilio_messaging_service_sid: str = sid("MG", "9a")
    # Behind the # of the senders' webhook URLs, for example rc=3&rp=5xx,ct,rt
    twilio_overrides: str = setting("", r"[^#\s]*", "connection overrides without the #")
    flex_chat_service_sid: str = sid("IS", "4d")
    flex_workspace_sid: str = sid("WS", "6e")
    flex_workflow_sid: str = sid("WW", "8f")
    # If set, a FlexFlow for custom chats with this sid is there from the start, and makes tasks.
    flex_flow_sid: str = setting("", "(FO[0-9a-f]{32})?", "FO and 32 hex digits")
    flex_agent: str = setting("agent_5Fkim", r"\S+", "an identity without spaces")
    # Of the TwiML application, whose account is one of the gateway's.
    application_account_sid: str = sid("AC", "1e")
    application_auth_token: str = token("sandbox-application-token")
    application_address: str = setting(
        "webchat:application",
        r"([a-z][a-z0-9_-]*:[!-~]+)|\+[1-9][0-9]{4,14}",
        "provider:identifier, or a number in E.164",
    )

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

    def problems(self) -> list[str]:
        parts, problems = urlsplit(self.gateway_url), super().problems()
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            problems.append(f"{variable('gateway_url')} must be an http or https URL without credentials")
        if self.chats and not _are_titles(self.chats):
            problems.append(f"{variable('chats')} must be a JSON object of titles by name")
        return problems


def _are_titles(value: str) -> bool:
    try:
        titles = json.loads(value)
    except ValueError:
        return False
    return isinstance(titles, dict) and all(isinstance(title, str) for title in titles.values())
