"""All that the messaging stand-in remembers."""

import secrets
from dataclasses import asdict, dataclass, replace

from app.sandbox.checks import Json
from app.sandbox.messaging.addresses import PREFIXES, SMS
from app.sandbox.messaging.records import Button, Content, Customer, Media, Message, Outcome, Recording
from app.sandbox.twilio.memory import Memory

# Always there, so that buttons can be tried at once.
READY_CONTENT = Content(
    sid="HX" + "2b" * 16,
    body="Hello {{1}}, how can we help?",
    buttons=(Button("Track an order", "track"), Button("Talk to a person", "person")),
)


@dataclass(frozen=True)
class Switches:
    """`overrides` is a fragment of connection overrides, for the senders' webhook URLs."""

    advanced_opt_out: bool = False
    direct_media: bool = False
    fallback: bool = True
    overrides: str = ""


class MessagingMemory(Memory):
    LINKS = "mms"
    SHOWN = ("customers", "messages", "media", "recordings")

    def __init__(self, overrides: str = "") -> None:
        self._overrides = overrides
        super().__init__()

    def clear_shelves(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.messages: dict[str, Message] = {}
        self.media: dict[str, Media] = {}
        self.recordings: dict[str, Recording] = {}
        self.contents: dict[str, Content] = {READY_CONTENT.sid: READY_CONTENT}
        self.opted_out: set[str] = set()
        self.outcomes: list[Outcome] = []
        self.switch_back()

    def switch_back(self) -> None:
        with self.lock:
            self.switches = Switches(overrides=self._overrides)

    def welcome(self, kind: str, address: str, name: str | None = None) -> Customer:
        """The customer with this address, made if there is none."""
        with self.lock:
            known = self.customers.get(address)
            if known:
                return known if name is None else self.change(self.customers, known, name=name)
            scoped = f"whatsapp:US.{secrets.randbelow(10**15):015d}" if kind == "whatsapp" else None
            if scoped and "+" not in address:
                scoped = address
            bare = address.removeprefix(PREFIXES[kind])
            return self.put(self.customers, Customer(sid=address, kind=kind, name=name or bare, external_id=scoped))

    def messages_with(self, address: str) -> list[Message]:
        with self.lock:
            return [message for message in self.messages.values() if message.customer == address]

    def media_of(self, message_sid: str) -> list[Media]:
        with self.lock:
            return [media for media in self.media.values() if media.message_sid == message_sid]

    def is_opted_out(self, kind: str, address: str) -> bool:
        """Consent is kept for numbers; on channels nobody answers keywords."""
        with self.lock:
            return kind == SMS and address in self.opted_out

    def take_outcome(self, to: str) -> Outcome | None:
        """The oldest that fits, counted down by one."""
        with self.lock:
            for index, outcome in enumerate(self.outcomes):
                if outcome.to in (None, to):
                    left = [replace(outcome, times=outcome.times - 1)] if outcome.times > 1 else []
                    self.outcomes[index : index + 1] = left
                    return outcome
        return None

    def inspect_more(self) -> Json:
        return {
            "opted_out": sorted(self.opted_out),
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
            "contents": [asdict(content) for content in self.contents.values()],
            "switches": asdict(self.switches),
        }
