"""The URL of a Redis that is found by asking sentinels, for the state and for the broker alike.

    redis+sentinel://user:password@one:26379,two:26379,three:26379/mymaster/0

User and password are those of the Redis servers; the sentinels' own are `sentinel_username` and `sentinel_password` in
the query. `rediss+sentinel` speaks TLS with both; its options (`ssl_ca_certs`, `ssl_cert_reqs` ...) stand in the query.
For the broker, kombu's way is understood, too: `sentinel://one:26379;sentinel://two:26379/0?master_name=mymaster`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

SCHEMES = ("redis+sentinel", "rediss+sentinel", "sentinel")
PORT = 26379
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NO_NAME = "Needs the name of the master that the sentinels watch: sentinel://HOST:26379,HOST:26379/NAME/0."
NO_HOST = "Needs the sentinels' hosts and ports: redis+sentinel://HOST:26379,HOST:26379/NAME/0."
NO_DATABASE = "Ends with the name of the master and the number of a database: redis+sentinel://HOST:26379/NAME/0."
NOT_KNOWN = "Unknown in its query: {}."


class Login(Struct, frozen=True):
    """`password` is '' where none is wanted."""

    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return "Login(...)"


class Sentinels(Struct, frozen=True):
    """`hosts` of the sentinels, with their ports; `login` is for the servers, `own_login` for the sentinels. `options`
    are those of TLS, as redis-py's connections take them; none where plain text is spoken."""

    hosts: Sequence[tuple[str, int]]
    master: str
    database: int
    login: Login
    own_login: Login
    tls: bool
    options: Mapping[str, str | bool]


def is_sentinels(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def sentinels_of(url: str) -> Sentinels:
    """Raises: ValueError with the rule that is broken."""
    parts = [urlsplit(part) for part in url.split(";")]
    query = {key: value for part in parts for key, value in parse_qsl(part.query)}
    name, database = _master(max((part.path for part in parts), key=len), query.pop("master_name", ""))
    own_login = Login(query.pop("sentinel_username", ""), query.pop("sentinel_password", ""))
    username, password = query.pop("username", ""), query.pop("password", "")
    login = Login(unquote(parts[0].username or "") or username, unquote(parts[0].password or "") or password)
    tls = parts[0].scheme.startswith("rediss")
    if odd := [key for key in query if not (tls and key.startswith("ssl_"))]:
        raise ValueError(NOT_KNOWN.format(", ".join(odd)))
    return Sentinels(
        [host for part in parts for host in _hosts(part)],
        name,
        database,
        login,
        own_login,
        tls,
        {key: TRUTH.get(value.lower(), value) for key, value in query.items()},
    )


def _master(path: str, named: str) -> tuple[str, int]:
    """The master's name and the database, of which either may be left out in the path."""
    pieces = [unquote(piece) for piece in path.split("/") if piece]
    if named:
        pieces = [named, *pieces]
    if not pieces or (len(pieces) == 1 and pieces[0].isdigit() and not named):
        raise ValueError(NO_NAME)
    if len(pieces) > 2 or not (pieces[1:] or ["0"])[0].isdigit():
        raise ValueError(NO_DATABASE)
    return pieces[0], int((pieces[1:] or ["0"])[0])


def _hosts(part: SplitResult) -> list[tuple[str, int]]:
    """urllib knows of one host alone, so each is read as one."""
    found = []
    for place in part.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{place}")
        if not one.hostname or one.port == 0:
            raise ValueError(NO_HOST)
        found.append((one.hostname, one.port or PORT))
    return found
