"""What a product remembers, behind one lock.

`lock` is held for the whole of a call or of an action on a page; nothing waits for the outside while it is held.
`version` grows with every change, so that a page, which polls, knows when to look again.
"""

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from app.sandbox.checks import Json
from app.sandbox.twilio.records import Dated, File, iso, now

Record = TypeVar("Record", bound=Dated)


class Memory(ABC):
    """Shelves of records by sid, which a product adds, and lists of what happened.

    `LINKS` is the place below `/twilio` where links lead to the files of the shelf `media`; `SHOWN` are the shelves
    that `/inspect` shows as they are.
    """

    LINKS: ClassVar[str]
    SHOWN: ClassVar[tuple[str, ...]]
    NOTED: ClassVar[tuple[str, ...]] = ("attempts", "refused")
    media: Mapping[str, File]

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.secret = secrets.token_bytes(32)
        self.version = 0
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.noted: dict[str, list[Json]] = {name: [] for name in self.NOTED}
            self.clear_shelves()
            self.version += 1

    @abstractmethod
    def clear_shelves(self) -> None:
        """Forget all records."""

    def inspect(self) -> Json:
        with self.lock:
            shelves = {name: [inspected(one) for one in getattr(self, name).values()] for name in self.SHOWN}
            return shelves | self.inspect_more() | {name: list(entries) for name, entries in self.noted.items()}

    @abstractmethod
    def inspect_more(self) -> Json:
        """What else `/inspect` shows."""

    def put(self, shelf: dict[str, Record], record: Record) -> Record:
        with self.lock:
            shelf[record.sid] = record
            self.version += 1
            return record

    def change(self, shelf: dict[str, Record], record: Record, **changes: Any) -> Record:
        return self.put(shelf, replace(record, updated=now(), **changes))

    def remove(self, shelf: dict[str, Record], record: Record) -> None:
        with self.lock:
            del shelf[record.sid]
            self.version += 1

    def keep(self, name: str, entry: Json) -> None:
        """Add to a list of what happened."""
        with self.lock:
            self.noted[name].append(entry)


def inspected(record: Dated) -> Json:
    """Fields as they are kept, moments as text, bytes as their number."""
    shown = {one.name: _plain(getattr(record, one.name)) for one in fields(record) if one.repr}
    return shown | ({"size": len(record.data)} if isinstance(record, File) else {})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
