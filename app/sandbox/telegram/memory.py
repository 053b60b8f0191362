"""What Telegram remembers: people, the messages in each chat, files, the bot's webhook, and what was done wrongly.

`version` grows with every change, so that the page, which polls, knows when to look again.
"""

import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from itertools import count

from app.sandbox.checks import Json

TYPING_SECONDS = 5.0
FIRST_PERSON, FIRST_UPDATE, FIRST_MESSAGE = 4_000_001, 900_000_001, 1
NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony", "Radia", "Donald")


@dataclass
class Person:
    """Somebody with Telegram. `typing_until`: the bot is typing, in Unix seconds."""

    id: int
    name: str
    has_blocked: bool = False
    has_begun: bool = False
    unread: int = 0
    typing_until: float = 0.0

    @property
    def user(self) -> Json:
        first, _, last = self.name.partition(" ")
        rest = {"last_name": last} if last else {}
        return {"id": self.id, "is_bot": False, "first_name": first, **rest, "language_code": "en"}

    @property
    def chat(self) -> Json:
        return {"type": "private"} | {name: self.user[name] for name in ("id", "first_name")}


@dataclass
class Message:
    """`told` as the Bot API has it; `is_out`: the bot wrote it. `error`: why its update was not taken."""

    number: int
    told: Json
    is_out: bool
    at: float = field(default_factory=time.time)
    error: str = ""


@dataclass(frozen=True)
class File:
    id: str
    path: str
    content_type: str
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Webhook:
    url: str
    secret: str = field(repr=False)
    allowed: tuple[str, ...] = ()
    connections: int = 40


class Memory:
    """Its lock is for whoever reads something and changes it."""

    def __init__(self, webhook: Webhook) -> None:
        self.lock = threading.RLock()
        self.version = 0
        self._first = webhook
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.people: dict[int, Person] = {}
            self.messages: defaultdict[int, list[Message]] = defaultdict(list)
            self.files: dict[str, File] = {}
            self.webhook: Webhook = self._first
            self.kept: dict[str, list[Json]] = {"calls": [], "updates": [], "violations": []}
            self.last_error = ""
            self._updates, self._people, self._files = count(FIRST_UPDATE), count(FIRST_PERSON), count(1)
            self.version += 1

    def welcome(self, name: str = "") -> Person:
        with self.lock:
            number = next(self._people)
            person = Person(number, name or NAMES[(number - FIRST_PERSON) % len(NAMES)])
            self.people[number] = person
            self.version += 1
            return person

    def next_update(self) -> int:
        return next(self._updates)

    def write(self, person: Person, sender: Json, content: Json, *, is_out: bool) -> Message:
        """Both sides of a chat count their messages together."""
        with self.lock:
            log = self.messages[person.id]
            number = FIRST_MESSAGE + len(log)
            told = {"message_id": number, "from": sender, "chat": person.chat, "date": int(time.time()), **content}
            message = Message(number, told, is_out)
            log.append(message)
            person.unread += is_out
            person.has_begun |= not is_out
            person.typing_until = 0.0 if is_out else person.typing_until
            self.version += 1
            return message

    def keep_file(self, folder: str, content_type: str, name: str, data: bytes) -> File:
        with self.lock:
            number = next(self._files)
            _, dot, extension = name.rpartition(".")
            path = f"{folder}/file_{number}{dot}{extension}" if dot else f"{folder}/file_{number}"
            file = File(f"BQACAgIAAx{number:04}", path, content_type, name, data)
            self.files[file.id] = file
            return file

    def keep(self, what: str, entry: Json) -> None:
        with self.lock:
            self.kept[what].append(entry)

    def inspect(self) -> Json:
        with self.lock:
            people = [asdict(one) for one in self.people.values()]
            messages = [one.told for log in self.messages.values() for one in log]
            webhook = {"url": self.webhook.url, "allowed_updates": list(self.webhook.allowed)}
            return {
                "webhook": webhook,
                "people": people,
                "messages": messages,
                **{k: list(v) for k, v in self.kept.items()},
            }
