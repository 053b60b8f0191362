"""The way to Redis: clients with explicit time-outs, and the scripts, each run as one atomic step."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from app.core.errors import StoreUnavailable
from app.core.reading import encodable, encoded
from app.core.sentinels import is_sentinels, sentinels_of
from app.outage import Outage
from app.store import keys, scripting
from app.store.key import Key
from app.store.keys import PREFIX
from app.store.pool import Pool
from app.store.refusals import Refusal, refusal_of
from app.store.sentinels import master_client

# What passes when Redis is there again. These alone leave open whether a command that was sent is carried out; their
# subclasses are answers of the server.
AWAY = (redis.ConnectionError, redis.TimeoutError)
NOT_LOADED = "Function not found"
# What a server says that does not know functions, or lets us make none.
NO_FUNCTIONS = re.compile(
    r"^unknown (command|subcommand)|has no permissions to run the '(fcall|function)", re.IGNORECASE
)
UNKEPT = frozenset(["take"])  # scripts by which nobody is told that something is kept
WAIT_MS = 500  # for which copies may lag behind
TOO_FEW_COPIES = "has too few copies that keep up with it"


def connect(url: str, *, timeout: float, name: str, connections: int = 64) -> redis.Redis:
    """A client that gives up after `timeout` seconds and does not try again by itself.

    redis-py 8 speaks RESP3 and retries by default; both are stated here so that an upgrade changes nothing unseen. A
    half-open connection is noticed by the time-out and the health check, not by waiting for ever. Where the URL names
    sentinels, each new connection leads to whichever server they call the master.
    """
    options = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, 3.0),
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        "health_check_interval": 10,
        "max_connections": connections,
        "client_name": f"patchbay-{name}",
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "encoding_errors": "replace",  # one odd byte in a value must not stop whoever reads it
    }
    if is_sentinels(url):
        return master_client(sentinels_of(url), options)
    return redis.Redis.from_url(url, **options)


class Connection:
    """A client, which gives text, and the scripts. `clock` gives Unix milliseconds in tests; without one Redis's own
    clock counts. `outage` hears whether Redis can be reached, `refusal` only when it would not: a full one still reads.
    `copies`: so many replicas must have what a script wrote before anybody is told.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], int] | None = None, prefix: str = PREFIX) -> None:
        self.client = client
        self.prefix = prefix
        self.place = _place(client)
        self.outage: Outage | None = None
        self.refusal: Outage | None = None
        self.copies = 0
        self._clock = clock
        self.pool = Pool(client.connection_pool)
        self._functions = True  # as far as we know, the server keeps functions

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
                happen), or refuses (see `refusals`).
        """
        now = str(self._clock()) if self._clock else ""
        values = [encoded(arg) if isinstance(arg, dict) else arg for arg in args]
        seed = secrets.token_hex(8)

        def evaluate() -> Any:
            return self._evaluate(script, now, seed, *values)

        try:
            return self.guard(evaluate, changes=True)
        except StoreUnavailable as error:
            if not error.elsewhere:
                raise
            return self.guard(evaluate, changes=True)  # by a new connection, perhaps to the right server

    def _evaluate(self, name: str, *args: Any) -> Any:
        ask = self.kept if self.copies and name not in UNKEPT else self._command
        if self._functions:
            try:
                return self._as_function(ask, name, *args)
            except redis.ResponseError as error:
                if not NO_FUNCTIONS.search(str(error)):
                    raise
                self._functions = False
        return self._as_script(ask, name, *args)

    def _as_function(self, ask: Callable[..., Any], name: str, *args: Any) -> Any:
        """A server that does not have our library (any more) is told it."""
        library, text = scripting.library()
        call = ("FCALL", f"{library}_{name}", 1, self.prefix, *args)
        try:
            return ask(*call)
        except redis.ResponseError as error:
            if str(error) != NOT_LOADED:
                raise
        try:
            self._command("FUNCTION", "LOAD", text)
        except redis.ResponseError as error:
            if not str(error).endswith("already exists"):  # another process was quicker
                raise
        return ask(*call)

    def _as_script(self, ask: Callable[..., Any], name: str, *args: Any) -> Any:
        """By its hash; a server that has lost it (or never had it) is told the text once."""
        text, digest = scripting.script(name)
        try:
            return ask("EVALSHA", digest, 1, self.prefix, *args)
        except redis.exceptions.NoScriptError:
            return ask("EVAL", text, 1, self.prefix, *args)

    def kept(self, *words: Any) -> Any:
        """The answer to one command, once `copies` have what it wrote, and all that was written before it: what is
        answered with "I have that already" may be too new for them, too.

        Raises:
            StoreUnavailable: they have not, in time.
        """
        mark = ("SET", self.key(keys.PROBE), "", "EX", keys.PROBE_KEEP)  # WAIT looks at what its connection wrote last
        answer, _, reached = self._commands(words, mark, ("WAIT", self.copies, WAIT_MS))
        if int(reached) < self.copies:
            error = self._unavailable(self.refusal, TOO_FEW_COPIES, maybe_done=True)
            error.why = TOO_FEW_COPIES
            raise error
        return answer

    def _command(self, *words: Any) -> Any:
        """One command, sent once."""
        return self._commands(words)[0]

    def _commands(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Their answers; all are sent at once, and once. Raises the first error among them."""
        connection = self.pool.take()
        try:
            if not connection.is_connected:
                self.guard(connection.connect)  # where that fails, nothing was sent
            connection.send_packed_command([_packed(words) for words in commands])
            answers = [_answer(connection) for _ in commands]
        except BaseException:
            connection.disconnect()  # what is left of an answer must not be taken for the next one's
            raise
        finally:
            self.pool.give(connection)
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def knock(self) -> None:
        """Ask whether the server is there; one that answers that we may not ask is. Raises: StoreUnavailable."""

        def ping() -> None:
            with suppress(redis.ResponseError):
                self.client.ping()

        self.guard(ping)

    def guard(self, call: Callable[[], Any], *, changes: bool = False) -> Any:
        """What the call gives. `changes`: it may change something, and is sent once it talks to the server.

        Raises:
            StoreUnavailable: for what passes when Redis recovers; its text names the server, without its password.
        """
        try:
            answer = call()
        except redis.RedisError as error:
            refusal = refusal_of(error)
            if refusal:
                raise self._refused(refusal, error) from error
            if isinstance(error, AWAY):
                unanswered = changes and type(error) in AWAY
                raise self._unavailable(self.outage, f"cannot be reached: {error}", unanswered) from error
            raise
        if self.outage:
            self.outage.worked()
        return answer

    def _refused(self, refusal: Refusal, error: Exception) -> StoreUnavailable:
        if refusal.elsewhere:
            self.leave()
        outage = self.outage if isinstance(error, AWAY) else self.refusal
        found = self._unavailable(outage, f"{refusal.means}: {error}")
        found.why, found.elsewhere = refusal.means, refusal.elsewhere
        return found

    def leave(self) -> None:
        """Use no connection again that is idle now: the next one leads to whoever is the right server by then."""
        self.pool.clear()
        self.client.connection_pool.disconnect(inuse_connections=False)

    def _unavailable(self, outage: Outage | None, what: str, maybe_done: bool = False) -> StoreUnavailable:
        if outage:
            outage.failed(what)
        return StoreUnavailable(f"Redis at {self.place} {what}", maybe_done=maybe_done)


def _packed(words: Any) -> bytes:
    """A command as it travels; half of a surrogate pair cannot."""
    packed: bytes
    try:
        packed = hiredis.pack_command(words)
    except UnicodeEncodeError:
        clean: Any = tuple(encodable(word) if isinstance(word, str) else word for word in words)
        packed = hiredis.pack_command(clean)
    return packed


def _answer(connection: Any) -> Any:
    """What the server said, an error too: that is an answer like others, and read to its end."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _place(client: redis.Redis) -> str:
    """Where a client's server is, as a URL without user and password."""
    known = client.connection_pool.connection_kwargs
    if isinstance(client.connection_pool, SentinelConnectionPool):
        return f"redis+sentinel://{client.connection_pool.service_name}/{known.get('db') or 0}"
    if "path" in known:
        return f"unix://{known['path']}"
    return f"redis://{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db') or 0}"
