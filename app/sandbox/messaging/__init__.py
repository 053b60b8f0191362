"""Stand-in for Twilio Programmable Messaging: texts, WhatsApp, Messenger, and the customers with their phones.

`https://api.twilio.com/2010-04-01/...` becomes `/twilio/api/2010-04-01/...`.
"""

from collections.abc import Mapping

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import INCOMING, OUTGOING, Faults
from app.sandbox.messaging import phone_api, switches
from app.sandbox.messaging.addresses import read_senders
from app.sandbox.messaging.api import PREFIX, AccountRoutes
from app.sandbox.messaging.carrier import Carrier
from app.sandbox.messaging.inbound import Inbound
from app.sandbox.messaging.media_api import MediaOfMessages
from app.sandbox.messaging.memory import READY_CONTENT, MessagingMemory
from app.sandbox.messaging.messages_api import Messages
from app.sandbox.messaging.outbound import Outbound
from app.sandbox.messaging.phone_api import Phone
from app.sandbox.messaging.recordings_api import Recordings
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio import links
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.rest import guard


class Messaging:
    """The parts, put together; all share one memory."""

    name, title, faults = "messaging", "Twilio Messaging", INCOMING + OUTGOING

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._memory = MessagingMemory(settings.twilio_overrides)
        self._deliveries = Deliveries(self.name, faults, Carrier(settings.twilio_auth_token, self._memory))
        self._outbound = Outbound(settings, self._memory, self._deliveries)

    def inspect(self) -> Json:
        return {**self._memory.inspect(), "idle": self._deliveries.idle() and self._outbound.idle()}

    def reset(self) -> None:
        self._deliveries.reset()
        self._outbound.reset()
        self._memory.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        senders = read_senders(self._settings).values()
        return {
            "Base URL": f"{sandbox}/twilio/api",
            "Account SID": self._settings.twilio_account_sid,
            **{phone_api.KIND_NAMES[one.kind]: f"{one.address} → {one.url}" for one in senders},
            "Messaging service": self._settings.twilio_messaging_service_sid,
            "Content with buttons": READY_CONTENT.sid,
        }

    def blueprints(self) -> list[Blueprint]:
        inbound = Inbound(self._settings, self._memory, self._outbound, self._deliveries)
        return [
            phone_api.create_blueprint(Phone(self._memory, inbound, self._outbound, read_senders(self._settings))),
            switches.create_blueprint(self._memory),
            links.create_blueprint(self.name, self._memory, self._faults),
            self._rest(),
        ]

    def _rest(self) -> Blueprint:
        blueprint = Blueprint(self.name, __name__, url_prefix=PREFIX)
        account = (self._settings.twilio_account_sid, self._settings.twilio_auth_token)
        guard(blueprint, self.name, self._faults, self._memory, account)
        routes = AccountRoutes(blueprint, self._memory, account[0])
        for resource in (Messages, MediaOfMessages, Recordings):
            routes.add_resource(resource(self._settings, self._memory, self._outbound))
        return blueprint
