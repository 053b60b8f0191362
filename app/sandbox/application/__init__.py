"""An application as somebody writes it for Twilio: webhooks that answer in TwiML, and messages over Twilio's REST.

It knows Twilio's own library and nothing of the gateway, whose address takes the place of Twilio's.
"""

from collections.abc import Mapping

from flask import Blueprint

from app.sandbox.application import page, webhooks
from app.sandbox.application.memory import Memory
from app.sandbox.application.page import Page
from app.sandbox.application.webhooks import Webhooks
from app.sandbox.checks import Json
from app.sandbox.faults import INCOMING, Faults
from app.sandbox.settings import SandboxSettings


class Application:
    """The parts share one memory."""

    name, title, faults = "application", "Application", INCOMING

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._memory = Memory()

    def inspect(self) -> Json:
        return self._memory.inspect()

    def reset(self) -> None:
        self._memory.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        hooks = {what: f"{sandbox}/application/{what.lower()}" for what in ("Message", "Fallback", "Status")}
        return {
            **hooks,
            "Twilio's REST": self._settings.gateway_url,
            "Account SID": self._settings.application_account_sid,
            "Address": self._settings.application_address,
        }

    def blueprints(self) -> list[Blueprint]:
        return [
            page.create_blueprint(Page(self._settings, self._memory)),
            webhooks.create_blueprint(Webhooks(self._settings, self._memory), self._faults),
        ]
