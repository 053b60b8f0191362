"""Stand-in for respond.io: its Webhook URL, its outgoing calls, and the agents who answer."""

from collections.abc import Mapping

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import INCOMING, Faults
from app.sandbox.respondio import agent, webhook
from app.sandbox.respondio.agent import Agent
from app.sandbox.respondio.outgoing import Outgoing
from app.sandbox.respondio.workspace import Workspace
from app.sandbox.settings import SandboxSettings


class Respondio:
    """The parts, put together. An outgoing call has an answer that the agent reads; it is never lost quietly."""

    name, title, faults = "respondio", "respond.io", (*INCOMING, "duplicate", "reorder")

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._workspace = Workspace()
        self._outgoing = Outgoing(settings, self._workspace, faults)

    def inspect(self) -> Json:
        return self._workspace.inspect()

    def reset(self) -> None:
        self._outgoing.reset()
        self._workspace.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        return {
            "Webhook URL": f"{sandbox}/respondio{webhook.WEBHOOK}",
            "Outgoing calls": self._settings.outgoing_url,
            "Channel id": self._settings.respondio_channel_id,
            "Contact id type": self._settings.respondio_id_type,
        }

    def blueprints(self) -> list[Blueprint]:
        desk = Agent(self._settings, self._workspace, self._outgoing)
        return [
            webhook.create_blueprint(self._settings, self._workspace, self._faults),
            agent.create_blueprint(desk),
        ]
