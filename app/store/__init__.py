"""The only speakers of Redis. `Store` bundles them over one connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import redis

from app.store.buckets import Buckets
from app.store.connection import Connection
from app.store.consents import Consents
from app.store.costs import CostBook
from app.store.dead_letters import DeadLetters
from app.store.forgetting import Forgetting
from app.store.lanes import Lanes
from app.store.limits import Limits
from app.store.mailbox import Mailboxes
from app.store.messages import Messages
from app.store.revocations import Revocations
from app.store.server import Server
from app.store.sessions import Sessions
from app.store.workers import Workers


class Store:
    def __init__(
        self,
        client: redis.Redis,
        limits: Limits | None = None,
        clock: Callable[[], int] | None = None,
        lists: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        connection = self.connection = Connection(client, clock)
        limits = limits or Limits()
        self.limits = limits
        self.mailboxes = Mailboxes(connection, limits, lists)
        self.messages = Messages(connection, limits)
        self.sessions = Sessions(connection, limits)
        self.consents = Consents(connection)
        self.revocations = Revocations(connection)
        self.lanes = Lanes(connection)
        self.workers = Workers(connection)
        self.costs = CostBook(connection)
        self.dead_letters = DeadLetters(connection, limits)
        self.forgetting = Forgetting(connection, self.dead_letters)
        self.buckets = Buckets(connection)
        self.server = Server(connection)
