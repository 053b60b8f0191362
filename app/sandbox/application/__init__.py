"""An application as somebody writes it for Twilio: webhooks that answer in TwiML, and messages over Twilio's REST.

It knows Twilio's own library and nothing of the gateway, whose address takes the place of Twilio's.
"""

from dataclasses import dataclass

from flask import Blueprint

from app.sandbox.application import page, webhooks
from app.sandbox.application.memory import Memory
from app.sandbox.application.page import Page
from app.sandbox.application.webhooks import Webhooks
from app.sandbox.checks import Json
from app.sandbox.faults import Faults
from app.sandbox.settings import SandboxSettings


@dataclass(frozen=True)
class Application:
    """The parts share one memory."""

    settings: SandboxSettings
    memory: Memory

    @classmethod
    def build(cls, settings: SandboxSettings) -> "Application":
        return cls(settings, Memory())

    def inspect(self) -> Json:
        return self.memory.inspect()

    def reset(self) -> None:
        self.memory.reset()


def create_blueprints(application: Application, faults: Faults) -> list[Blueprint]:
    settings, memory = application.settings, application.memory
    return [
        page.create_blueprint(Page(settings, memory)),
        webhooks.create_blueprint(Webhooks(settings, memory), faults),
    ]
