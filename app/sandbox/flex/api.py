"""What the REST resources of Flex work on, and what all of them say or look up."""

from dataclasses import dataclass

from app.sandbox.checks import Json
from app.sandbox.flex.events import Events
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.flex.rooms import Rooms
from app.sandbox.flex.tasks import Tasks
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio import rest
from app.sandbox.twilio.records import Dated


@dataclass(frozen=True)
class Api(rest.Resource):
    settings: SandboxSettings
    memory: FlexMemory
    events: Events
    tasks: Tasks
    rooms: Rooms

    def check_service(self, service_sid: str | None) -> None:
        """Paths without a service mean the one that there is."""
        if service_sid is not None:
            rest.check_known(service_sid, self.settings.flex_chat_service_sid)

    def stamp(self, record: Dated) -> Json:
        return rest.stamp(self.settings.twilio_account_sid, record)
