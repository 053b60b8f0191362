"""A client for whichever server the sentinels call the master: redis-py's, with what it lacks.

Threads that look for the master at once would lose sentinels from its list, so they do it one after the other. And it
takes a server that answers READONLY for one that is gone; here that is a refusal like others (see `refusals`), as
nothing was done.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import redis
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

from app.core.sentinels import Login, Sentinels

ASKED_WITHIN = 0.5  # seconds; the next sentinel is asked after that
PASSED_ON = ("protocol", "retry", "client_name")  # of a server's options, to the connections to sentinels


def master_client(found: Sentinels, options: Mapping[str, Any]) -> redis.Redis:
    """`options` as redis-py's client takes them."""
    own = {name: options[name] for name in PASSED_ON} | {
        "socket_timeout": ASKED_WITHIN,
        "socket_connect_timeout": ASKED_WITHIN,
        "ssl": found.tls,
    }
    sentinel = _Sentinel(list(found.hosts), sentinel_kwargs={**own, **found.options, **_login(found.own_login)})
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        found.master,
        connection_class=_TlsConnection if found.tls else _Connection,
        db=found.database,
        **{**options, **found.options, **_login(found.login)},
    )
    return client


def _login(login: Login) -> dict[str, str]:
    """Only what is wanted: an empty password would be sent."""
    return {name: value for name, value in (("username", login.username), ("password", login.password)) if value}


class _Sentinel(Sentinel):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._one_at_a_time = threading.Lock()

    def discover_master(self, service_name: str) -> Any:
        with self._one_at_a_time:
            return super().discover_master(service_name)  # type: ignore[no-untyped-call]


class _Frank:
    """Says what the server said."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        return super(SentinelManagedConnection, self).read_response(*args, **kwargs)  # type: ignore[misc]


class _Connection(_Frank, SentinelManagedConnection):
    pass


class _TlsConnection(_Frank, SentinelManagedSSLConnection):
    pass
