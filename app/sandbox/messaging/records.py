"""What the messaging stand-in keeps, as frozen records; each is replaced, never changed."""

from dataclasses import dataclass
from datetime import datetime

from app.sandbox.checks import Json
from app.sandbox.twilio.records import Dated, File

INBOUND, OUTBOUND, REPLY = "inbound", "outbound-api", "outbound-reply"


@dataclass(frozen=True, kw_only=True)
class Customer(Dated):
    """Somebody with a phone; the sid is the address."""

    kind: str
    name: str
    external_id: str | None = None


@dataclass(frozen=True)
class Button:
    text: str
    payload: str


@dataclass(frozen=True)
class Place:
    latitude: float
    longitude: float
    address: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Message(Dated):
    """`webhook` is what became of an inbound message at the gateway: queued, sent or failed, and why.

    A message that was redacted or deleted is gone for REST, but not from the customer's phone.
    """

    direction: str
    kind: str
    to: str
    from_: str
    body: str
    status: str
    num_media: int = 0
    media_urls: tuple[str, ...] = ()
    service_sid: str | None = None
    callback: str | None = None
    content_sid: str | None = None
    buttons: tuple[Button, ...] = ()
    place: Place | None = None
    reply_to: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    sent: datetime | None = None
    webhook: tuple[str, str | None] | None = None
    is_seen: bool = False
    is_redacted: bool = False
    is_deleted: bool = False

    @property
    def is_inbound(self) -> bool:
        return self.direction == INBOUND

    @property
    def customer(self) -> str:
        return self.from_ if self.is_inbound else self.to


@dataclass(frozen=True, kw_only=True)
class Media(File):
    message_sid: str
    is_deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Recording(Dated):
    call_sid: str
    status: str = "in-progress"
    channels: int = 1
    track: str = "both"
    ended: datetime | None = None


@dataclass(frozen=True)
class Content:
    """A template; `{{1}}` in its text is filled from ContentVariables."""

    sid: str
    body: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How the next messages end, instead of well; `to` narrows it to one customer."""

    status: str
    error_code: int | None = None
    error_message: str | None = None
    to: str | None = None
    times: int = 1

    def as_json(self) -> Json:
        return {name: value for name, value in vars(self).items() if value is not None}
