"""The only producer of Celery messages, and the settings of Celery and kombu in one place, with their reasons.

Celery carries hints only: "lane L has work". The truth is in the mailboxes, so a hint may be lost, late or doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from celery import Celery
from celery.exceptions import QueueNotFound
from kombu.entity import Queue

from app.core.errors import StoreUnavailable
from app.core.sentinels import Sentinels, is_sentinels, sentinels_of
from app.core.work import Wake
from app.log import logger
from app.outage import Outage, Patience

DRAIN = "patchbay.drain"
# Above so many lanes they share a queue: to wait at many for a wake-up takes Redis 0.7 us for each, every time.
SHARED, MAX_QUEUES = "patchbay", 64
ASKED_WITHIN = 0.5  # seconds; the next sentinel is asked after that
CONFIRMED_WITHIN = 1.0  # seconds
FIRST_TRY = 0.2  # seconds until a broker that went away is tried again

log = logger("tasks")


def create_celery(
    broker_url: str, lanes: Iterable[str], *, timeout: float = 5.0, connections: int = 100, retries: int | None = None
) -> Celery:
    """The Celery application: one queue per lane, and one that many lanes share.

    Args:
        timeout: seconds for one broker command; short in a receiver, where a frozen broker must not hold a webhook.
        retries: how often a publisher connects again before it gives up; 0 in a receiver (kombu ignores `retry=False`
            while it connects). None: as often as it takes.
        connections: broker connections of one process; at least its concurrency and ten.
    """
    options, names = _transport(timeout, connections, retries), list(lanes)
    names += [SHARED] if is_shared(names) else []
    sentinels = sentinels_of(broker_url) if is_sentinels(broker_url) else None
    broker = _as_kombu_writes(sentinels) if sentinels else broker_url
    celery = Celery("patchbay", broker=broker, set_as_current=False)
    celery.conf.update(
        SETTINGS,
        task_queues=[Queue(lane, routing_key=lane, no_ack=unacknowledged(broker_url)) for lane in names],
        broker_pool_limit=connections,
        broker_connection_timeout=options["socket_connect_timeout"],  # of AMQP
        broker_transport_options=options | (_asks(sentinels) if sentinels else {}),
        broker_use_ssl=_tls(broker_url, sentinels),
    )
    return celery


def is_shared(lanes: Sequence[str]) -> bool:
    """Whether so many lanes have one queue for their wake-ups."""
    return len(lanes) > MAX_QUEUES


def queues_of(chosen: Sequence[str], lanes: Sequence[str]) -> list[str]:
    """Where a worker that serves the `chosen` of all lanes hears of work."""
    if not is_shared(lanes):
        return [*chosen]
    return [SHARED] if len(chosen) == len(lanes) else [SHARED, *chosen]


def served_by(queues: Iterable[str], lanes: Iterable[str]) -> frozenset[str]:
    """The lanes that a worker at these queues serves."""
    return frozenset(queues) - {SHARED} or frozenset(lanes)


def _as_kombu_writes(found: Sentinels) -> str:
    login = found.login
    who = f"{quote(login.username, '')}:{quote(login.password, '')}@" if login.username or login.password else ""
    hosts = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found.hosts]
    return ";".join(f"sentinel://{who}{host}/{found.database}" for host in hosts)


def _asks(found: Sentinels) -> dict[str, Any]:
    """How kombu asks sentinels for the master."""
    login = {"username": found.own_login.username or None, "password": found.own_login.password or None}
    tls = {"ssl": True, **found.options} if found.tls else {}
    waits = {"socket_timeout": ASKED_WITHIN, "socket_connect_timeout": ASKED_WITHIN}
    return {"master_name": found.master, "sentinel_kwargs": {**waits, **login, **tls}}


def _tls(broker_url: str, sentinels: Sentinels | None) -> dict[str, Any] | None:
    """The options of TLS, as far as kombu does not read them in the URL. By itself it would take any certificate."""
    if sentinels:
        return {"ssl_cert_reqs": "required", **sentinels.options} if sentinels.tls else None
    return {"ssl_cert_reqs": "required"} if broker_url.startswith("rediss:") and "ssl_" not in broker_url else None


SETTINGS: dict[str, Any] = {
    "accept_content": ["json"],  # never unpickle what stands in the broker
    "task_serializer": "json",
    "task_create_missing_queues": False,  # a wake-up for a lane that nobody serves is an error, not a new queue
    "task_default_queue": "patchbay",
    "task_ignore_result": True,  # outcomes are settled in the store; result keys would litter Redis
    "worker_prefetch_multiplier": 1,  # what a worker holds back, another one could have done
    "worker_send_task_events": True,  # for Flower
    "worker_enable_remote_control": True,  # for Flower
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,  # our own log lines are JSON already
    "worker_soft_shutdown_timeout": 60.0,  # a cold stop still lets the heads in hand be settled
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    "broker_channel_error_retry": True,  # nor does it end because of a Redis that answers, but takes nothing
    "broker_connection_max_retries": None,  # a worker outlives any outage of its broker
    "broker_heartbeat": 0,  # of AMQP; with Redis the health check below does this
    "event_queue_prefix": "patchbay-events",
}


def _transport(timeout: float, connections: int, retries: int | None) -> dict[str, Any]:
    options = {
        "global_keyprefix": "patchbay-celery:",  # shares a database with the store without mixing
        "socket_timeout": timeout,  # a half-open connection is noticed, not waited for
        "socket_connect_timeout": min(timeout, 3.0),
        "socket_keepalive": True,
        "health_check_interval": 10,
        "retry_on_timeout": False,  # with it a worker can hang silently
        "max_connections": connections,
        "priority_steps": [0],  # one list per queue: priorities are not used, and each step costs polling
        "client_name": "patchbay-celery",
    }
    return options if retries is None else {**options, "max_retries": retries, **_confirmed(timeout)}


def _confirmed(timeout: float) -> dict[str, Any]:
    """For who publishes over AMQP, where one that hangs would seem to take everything: it must say that it has."""
    return {"confirm_publish": True, "read_timeout": timeout, "write_timeout": timeout}


def unacknowledged(broker_url: str) -> bool:
    """Whether hints are taken without a word. With Redis, work would wait for a transaction that notes what is to be
    acknowledged, and the sweep makes up for a lost hint anyway; RabbitMQ would push them all to one busy worker."""
    return is_sentinels(broker_url) or broker_url.partition(":")[0] in ("redis", "rediss", "redis+socket")


class Publisher:
    """Publishes wake-ups. One that cannot be published is no error: its token is given back with `forget`, so that the
    next sweep owes a new one. While the broker is away, one try now and then finds out whether it is back."""

    def __init__(self, celery: Celery, forget: Callable[[Sequence[Wake]], None] = lambda wakes: None) -> None:
        self.celery = celery
        self._forget = forget
        self._unknown: set[str] = set()
        self._patience = Patience(FIRST_TRY)
        self._outage = Outage(self._gone, lambda seconds: log.warning("broker is back", after=round(seconds, 1)))

    @property
    def is_away(self) -> bool:
        """Whether the last try failed."""
        return self._outage.lasts

    @property
    def rests(self) -> bool:
        """Whether the broker is away, and it is too early for another try."""
        return self._patience.left > 0

    def publish(self, wakes: Sequence[Wake]) -> Sequence[Wake]:
        """Publish wake-ups in their order; the answer is what could not be published: all from the first failure on."""
        left = self.send(wakes)
        self.give_back(left)
        return left

    def give_back(self, wakes: Sequence[Wake]) -> None:
        """Nobody is on the way for these."""
        if wakes:
            with suppress(StoreUnavailable):  # they lapse by themselves
                self._forget(wakes)

    def send(self, wakes: Sequence[Wake], *, own_queue: bool = False) -> Sequence[Wake]:
        """As `publish`, for who does something else with what is left. `own_queue`: that of the lane, though it shares
        one with others."""
        for number, wake in enumerate(wakes):
            if self.rests:
                return wakes[number:]
            if self._outage.lasts:
                self._patience.failed()  # for the others, while this one tries
            try:
                self._send(wake, own_queue)
            except QueueNotFound:
                self._no_such(wake.lane)
                return wakes[number:]
            except Exception as error:  # whatever the broker's client raises; the message is recorded all the same
                if not self._outage.lasts:
                    self._patience.failed()
                self._outage.failed(str(error))
                return wakes[number:]
            if self._outage.lasts:
                self._patience.worked()
                self._outage.worked()
        return ()

    def _no_such(self, lane: str) -> None:
        if lane not in self._unknown:
            self._unknown.add(lane)
            log.warning("wake-up not published", lane=lane, error="no such lane is configured any more")

    def _gone(self, error: str) -> None:
        broker = self.celery.broker_connection().as_uri()  # without its password
        log.warning("wake-up not published", broker=broker, error=error, advice="messages are recorded all the same")

    def _send(self, wake: Wake, own_queue: bool) -> None:
        args, queues = (wake.lane, wake.token), self.celery.amqp.queues
        shared = SHARED in queues and wake.lane in queues and not own_queue
        self.celery.send_task(
            DRAIN,
            args=args,
            argsrepr=repr(args),  # what Flower shows; by itself Celery looks for what is too long or too deep
            kwargsrepr="{}",
            shadow=wake.lane,  # the name under which Flower shows it
            queue=SHARED if shared else wake.lane,
            declare=[],  # the queue needs no binding: a message for the default exchange goes right into it
            retry=False,
            confirm_timeout=CONFIRMED_WITHIN,  # over AMQP
            ignore_result=True,
        )
