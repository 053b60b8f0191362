"""Stand-in for Twilio Flex, both generations of custom chat: flex-api, chat, conversations, media, taskrouter.

Each product is mounted under `/twilio/` and the first label of its host, so `https://chat.twilio.com/v2/...`
becomes `/twilio/chat/v2/...`.
"""

from dataclasses import dataclass

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import Faults, expose
from app.sandbox.flex import desk, media_api
from app.sandbox.flex.agent import Agent
from app.sandbox.flex.chat_api import ChatApi
from app.sandbox.flex.configuration_api import ConfigurationApi
from app.sandbox.flex.conversation_parts_api import ConversationPartsApi
from app.sandbox.flex.conversations_api import ConversationsApi
from app.sandbox.flex.deliveries import Deliveries
from app.sandbox.flex.events import Events
from app.sandbox.flex.flows_api import FlowsApi
from app.sandbox.flex.interactions_api import InteractionsApi
from app.sandbox.flex.media_api import MediaApi
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.rest import Answer, Routes, error_answer, guard, not_found
from app.sandbox.flex.rooms import Rooms
from app.sandbox.flex.tasks import Tasks
from app.sandbox.flex.tasks_api import TasksApi
from app.sandbox.settings import SandboxSettings

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Flex:
    """The parts, put together; all share one memory."""

    settings: SandboxSettings
    memory: Memory
    deliveries: Deliveries
    rooms: Rooms
    tasks: Tasks
    events: Events

    @classmethod
    def build(cls, settings: SandboxSettings, faults: Faults) -> "Flex":
        memory = Memory(settings)
        deliveries = Deliveries(settings.twilio_auth_token, memory, faults)
        events, tasks = Events(settings, memory, deliveries), Tasks(settings, memory)
        return cls(settings, memory, deliveries, Rooms(memory, events, tasks), tasks, events)

    def inspect(self) -> Json:
        return {**self.memory.inspect(), "idle": self.deliveries.idle()}

    def reset(self) -> None:
        self.deliveries.reset()
        self.memory.reset()


def create_blueprints(flex: Flex, faults: Faults) -> list[Blueprint]:
    settings, memory, rooms, tasks = flex.settings, flex.memory, flex.rooms, flex.tasks
    blueprint = Blueprint("flex", __name__, url_prefix="/twilio")
    expose(blueprint, "flex", faults, error_answer)
    guard(blueprint, settings, memory)
    routes = Routes(blueprint, memory)
    for api in (
        FlowsApi(settings, memory, rooms, tasks),
        InteractionsApi(settings, memory, rooms, tasks),
        ChatApi(settings, memory, rooms),
        ConversationsApi(settings, memory, rooms),
        ConversationPartsApi(settings, memory, rooms, flex.events),
        ConfigurationApi(settings, memory),
        MediaApi(settings, memory),
        TasksApi(settings, memory, rooms),
    ):
        api.register(routes)
    blueprint.add_url_rule("/<path:rest>", "unknown", _unknown, methods=METHODS)
    agent = Agent(settings.flex_agent, memory, rooms, tasks)
    page = desk.create_blueprint(desk.Desk(memory, agent))
    return [page, media_api.create_blueprint(memory, faults), blueprint]


def _unknown(rest: str) -> Answer:
    raise not_found()
