"""The way to Redis: clients with explicit time-outs, and the scripts, each run as one atomic step."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import Any

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ClusterDownError, MasterDownError, TryAgainError
from redis.retry import Retry

from app.core.errors import StoreUnavailable
from app.core.reading import encoded
from app.outage import Outage
from app.store import keys
from app.store.keys import PREFIX, Key
from app.store.pool import Pool

SCRIPTS = (
    *("accept", "append", "report", "thread", "work", "remember", "sweep"),
    *("dead_letter", "replay", "discard", "trim", "take", "consent", "cancel", "rewrite", "price", "declare", "forget"),
)
BASE = "base"  # the part with which every script begins
USES = "-- uses: "  # begins the first line of a script or part that needs others
# What passes when Redis is there again. These alone leave open whether a command that was sent is carried out; their
# subclasses are answers of the server.
AWAY = (redis.ConnectionError, redis.TimeoutError)
# What passes when Redis recovers. Servers before 7.0 put a command's error into a sentence about the script.
PASSING = (
    *AWAY,
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
)
PASSING_WORD = re.compile(r"(?:^|-)(OOM|READONLY|MISCONF|BUSY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN) ")


def connect(url: str, *, timeout: float, name: str, connections: int = 64) -> redis.Redis:
    """A client that gives up after `timeout` seconds and does not try again by itself.

    redis-py 8 speaks RESP3 and retries by default; both are stated here so that an upgrade changes nothing unseen. A
    half-open connection is noticed by the time-out and the health check, not by waiting for ever.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 3.0),
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        health_check_interval=10,
        max_connections=connections,
        client_name=f"patchbay-{name}",
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="replace",  # one odd byte in a value must not stop whoever reads it
    )


class Connection:
    """A client, which gives text, and the scripts. `clock` gives Unix milliseconds in tests; without one Redis's own
    clock counts. `outage` hears whether Redis can be reached, `refusal` only when it would not: a full one still reads.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], int] | None = None, prefix: str = PREFIX) -> None:
        self.client = client
        self.prefix = prefix
        self.place = _place(client)
        self.outage: Outage | None = None
        self.refusal: Outage | None = None
        self._clock = clock
        self.pool = Pool(client.connection_pool)
        self._scripts = {name: client.register_script(text_of(name)) for name in SCRIPTS}

    def key(self, what: Key, *parts: str) -> str:
        return self.prefix + what.name(*parts)

    def of_person(self, what: Key, conversation: str, read: Callable[[Any, str], Any]) -> Any:
        """Read what is kept once for a person, whichever of their addresses the conversation is named by (see `n:` in
        `scripts/parts/people.lua`). One round trip for whoever has one address. Raises: StoreUnavailable."""

        def both() -> tuple[str | None, Any]:
            pipeline = self.client.pipeline(transaction=False)
            pipeline.get(self.key(keys.ADDRESS, conversation))
            read(pipeline, self.key(what, conversation))
            leads, found = pipeline.execute()
            return leads, found

        leads, found = self.guard(both)
        return found if leads in (None, conversation) else self.of_person(what, leads, read)

    def now(self) -> int:
        """Unix milliseconds by the clock that the scripts go by. Raises: StoreUnavailable."""
        if self._clock:
            return self._clock()
        seconds, micros = self.guard(self.client.time)
        return int(seconds) * 1000 + int(micros) // 1000

    def run(self, script: str, *args: Any) -> Any:
        """Run one script. A dict among the arguments travels as JSON.

        Raises:
            StoreUnavailable: Redis cannot be reached, did not answer in time (then what the script does may yet
                happen), or has no memory left.
        """
        now = str(self._clock()) if self._clock else ""
        values = [encoded(arg) if isinstance(arg, dict) else arg for arg in args]
        seed = secrets.token_hex(8)
        return self.guard(lambda: self._evaluate(self._scripts[script], now, seed, *values), changes=True)

    def _evaluate(self, script: Script, *args: Any) -> Any:
        """By its hash; a server that has lost it (or never had it) is told the text once."""
        try:
            return self._command("EVALSHA", script.sha, 1, self.prefix, *args)
        except redis.exceptions.NoScriptError:
            return self._command("EVAL", script.script, 1, self.prefix, *args)

    def _command(self, *words: Any) -> Any:
        """One command, sent once."""
        connection = self.pool.take()
        try:
            if not connection.is_connected:
                self.guard(connection.connect)  # where that fails, nothing was sent
            connection.send_packed_command([hiredis.pack_command(words)])
            return connection.read_response()
        except redis.ResponseError:
            raise  # an answer, and read to its end
        except BaseException:
            connection.disconnect()  # what is left of an answer must not be taken for the next one's
            raise
        finally:
            self.pool.give(connection)

    def knock(self) -> None:
        """Ask whether the server is there; one that answers that we may not ask is. Raises: StoreUnavailable."""
        with suppress(redis.ResponseError):
            self.guard(self.client.ping)

    def guard(self, call: Callable[[], Any], *, changes: bool = False) -> Any:
        """What the call gives. `changes`: it may change something, and is sent once it talks to the server.

        Raises:
            StoreUnavailable: for what passes when Redis recovers; its text names the server, without its password.
        """
        try:
            answer = call()
        except AWAY as error:
            unanswered = changes and type(error) in AWAY
            raise self._unavailable(self.outage, f"cannot be reached: {error}", unanswered) from error
        except PASSING as error:
            raise self._unavailable(self.refusal, f"refuses: {error}") from error
        except redis.ResponseError as error:
            if PASSING_WORD.search(str(error)):
                raise self._unavailable(self.refusal, f"refuses: {error}") from error
            raise
        if self.outage:
            self.outage.worked()
        return answer

    def _unavailable(self, outage: Outage | None, what: str, maybe_done: bool = False) -> StoreUnavailable:
        if outage:
            outage.failed(what)
        return StoreUnavailable(f"Redis at {self.place} {what}", maybe_done=maybe_done)


@cache
def text_of(script: str) -> str:
    """What Redis is told of a script: the parts that it uses, each once and behind those that it uses itself, then its
    own text. There is no more in it than it needs, because Redis makes each of its functions anew with each call."""
    return "".join(texts_of(script).values())


def texts_of(script: str) -> dict[str, str]:
    """The same one by one, named by their files."""
    found: dict[str, str] = {}
    _gather(f"parts/{BASE}", found)
    _gather(script, found)
    return found


def _gather(file: str, into: dict[str, str]) -> None:
    if file not in into:
        text = (resources.files("app.store") / "scripts" / f"{file}.lua").read_text()
        for part in uses(text):
            _gather(f"parts/{part}", into)
        into[file] = text


def uses(text: str) -> list[str]:
    """The parts that a script or part names in its first line."""
    first = text.partition("\n")[0]
    return first.removeprefix(USES).split() if first.startswith(USES) else []


def _place(client: redis.Redis) -> str:
    """Where a client's server is, as a URL without user and password."""
    known = client.connection_pool.connection_kwargs
    if "path" in known:
        return f"unix://{known['path']}"
    return f"redis://{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db') or 0}"
