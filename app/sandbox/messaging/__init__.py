"""Stand-in for Twilio Programmable Messaging: texts, WhatsApp, Messenger, and the customers with their phones.

`https://api.twilio.com/2010-04-01/...` becomes `/twilio/api/2010-04-01/...`.
"""

from dataclasses import dataclass

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import Faults, expose
from app.sandbox.flex.rest import Answer, error_answer, guard, not_found
from app.sandbox.messaging import media_api, phone_api, switches
from app.sandbox.messaging.addresses import read_senders
from app.sandbox.messaging.deliveries import Deliveries
from app.sandbox.messaging.inbound import Inbound
from app.sandbox.messaging.media_api import MediaApi
from app.sandbox.messaging.memory import Memory
from app.sandbox.messaging.messages_api import MessagesApi
from app.sandbox.messaging.outbound import Outbound
from app.sandbox.messaging.phone_api import Phone
from app.sandbox.messaging.recordings_api import RecordingsApi
from app.sandbox.messaging.rest import PREFIX, AccountRoutes
from app.sandbox.messaging.transport import Transport
from app.sandbox.settings import SandboxSettings

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Messaging:
    """The parts, put together; all share one memory."""

    settings: SandboxSettings
    memory: Memory
    deliveries: Deliveries
    outbound: Outbound
    inbound: Inbound

    @classmethod
    def build(cls, settings: SandboxSettings, faults: Faults) -> "Messaging":
        memory = Memory(settings.twilio_overrides)
        deliveries = Deliveries(Transport(settings.twilio_auth_token, memory.note_attempt), faults)
        outbound = Outbound(settings, memory, deliveries)
        return cls(settings, memory, deliveries, outbound, Inbound(settings, memory, outbound, deliveries))

    def inspect(self) -> Json:
        return {**self.memory.inspect(), "idle": self.deliveries.idle() and self.outbound.idle()}

    def reset(self) -> None:
        self.deliveries.reset()
        self.outbound.reset()
        self.memory.reset()


def create_blueprints(messaging: Messaging, faults: Faults) -> list[Blueprint]:
    settings, memory, outbound = messaging.settings, messaging.memory, messaging.outbound
    blueprint = Blueprint("messaging", __name__, url_prefix=PREFIX)
    expose(blueprint, "messaging", faults, error_answer)
    guard(blueprint, settings, memory)
    routes = AccountRoutes(blueprint, memory, settings.twilio_account_sid)
    messages = MessagesApi(settings, memory, outbound)
    for api in (messages, MediaApi(settings, memory, messages), RecordingsApi(settings, memory)):
        api.register(routes)
    blueprint.add_url_rule("/<path:rest>", "unknown", _unknown, methods=METHODS)
    phone = Phone(memory, messaging.inbound, outbound, read_senders(settings))
    return [
        phone_api.create_blueprint(phone),
        switches.create_blueprint(switches.Control(memory), memory),
        media_api.create_blueprint(memory, faults),
        blueprint,
    ]


def _unknown(rest: str) -> Answer:
    raise not_found()
