"""Stand-in for Twilio Flex, both generations of custom chat: flex-api, chat, conversations, media, taskrouter.

Each product is mounted under `/twilio/` and the first label of its host, so `https://chat.twilio.com/v2/...`
becomes `/twilio/chat/v2/...`.
"""

from collections.abc import Mapping

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import INCOMING, OUTGOING, Faults
from app.sandbox.flex import (
    chat_api,
    configuration_api,
    conversation_parts_api,
    conversations_api,
    desk,
    flows_api,
    interactions_api,
    media_api,
    tasks_api,
)
from app.sandbox.flex.agent import Agent
from app.sandbox.flex.carrier import Carrier
from app.sandbox.flex.events import Events
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.rooms import Rooms
from app.sandbox.flex.tasks import Tasks
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio import links
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.rest import Routes, guard

APIS = (
    *(flows_api, interactions_api, chat_api, conversations_api, conversation_parts_api, configuration_api),
    *(media_api, tasks_api),
)


class Flex:
    """The parts, put together; all share one memory."""

    name, title, faults = "flex", "Twilio Flex", INCOMING + OUTGOING

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._memory = memory = FlexMemory(settings)
        self._deliveries = Deliveries(self.name, faults, Carrier(settings.twilio_auth_token, memory))
        events, tasks = Events(settings, memory, self._deliveries), Tasks(settings, memory)
        self._parts = (settings, memory, events, tasks, Rooms(memory, events, tasks))

    def inspect(self) -> Json:
        return {**self._memory.inspect(), "idle": self._deliveries.idle()}

    def reset(self) -> None:
        self._deliveries.reset()
        self._memory.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        sids = {
            "Account SID": self._settings.twilio_account_sid,
            "Chat service": self._settings.flex_chat_service_sid,
            "Workspace": self._settings.flex_workspace_sid,
            "Workflow": self._settings.flex_workflow_sid,
            "FlexFlow": self._settings.flex_flow_sid,
        }
        return {"Base URL": f"{sandbox}/twilio/<product>", **{name: sid for name, sid in sids.items() if sid}}

    def blueprints(self) -> list[Blueprint]:
        return [
            desk.create_blueprint(Agent(*self._parts)),
            links.create_blueprint(self.name, self._memory, self._faults),
            self._rest(),
        ]

    def _rest(self) -> Blueprint:
        blueprint = Blueprint(self.name, __name__, url_prefix="/twilio")
        account = (self._settings.twilio_account_sid, self._settings.twilio_auth_token)
        guard(blueprint, self.name, self._faults, self._memory, account)
        routes = Routes(blueprint, self._memory)
        for resource in (resource for api in APIS for resource in api.RESOURCES):
            routes.add_resource(resource(*self._parts))
        return blueprint
