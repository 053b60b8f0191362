"""Webhooks kept on this machine's disk while Redis is away, for platforms that send each only once.

One file, which all processes of a receiver share. A record is a line: a name that nobody else has, a checksum, JSON.
So a line that was torn by a crash or a full disk spoils itself alone. The file is gone once all of it was worked:
whether it is there tells whether newer webhooks must stand behind it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import orjson
from msgspec import Struct

from app.core.message import new_id

USUAL = 65_536  # bytes; few webhooks have more
OURS_ALONE = 0o600  # what customers wrote stands in these files


class SpoolFull(Exception):
    """It holds as many bytes as it may."""


class Spooled(Struct, frozen=True):
    """A webhook of the channel or destination `name`, as `app.parked` writes it, and when it came, in Unix ms."""

    name: str
    at: int
    webhook: dict[str, Any]


class Spool:
    """`max_bytes` is how large its file may become. The folder is made where there is none. Raises: OSError."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._max_bytes = max_bytes
        self._folder, self._file, self._position = folder, folder / "webhooks", folder / "position"
        with self._alone("append"):
            pass  # a folder that cannot be written is found out now

    @property
    def size(self) -> int | None:
        """How many bytes are kept; None: nothing is."""
        try:
            return os.stat(self._file).st_size
        except FileNotFoundError:
            return None

    @property
    def has_room(self) -> bool:
        """Whether it takes a webhook of any usual size."""
        return (self.size or 0) + USUAL < self._max_bytes

    def keep(self, spooled: Spooled) -> None:
        """Returns once the disk has it. Raises: SpoolFull, OSError: its sender must not be told that it is kept."""
        line = _line(spooled)
        with self._alone("append"):
            file = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, OURS_ALONE)
            size = os.fstat(file).st_size
            try:
                if size + len(line) > self._max_bytes:
                    raise SpoolFull
                torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
                _write(file, b"\n" + line if torn else line)
            except BaseException:
                os.close(file)
                raise
        try:
            os.fsync(file)  # many at once, which the disk does in one
        finally:
            os.close(file)
        if size == 0:
            _sync_names(self._folder)

    def replay(self, work: Callable[[Spooled], object], damaged: Callable[[int], object]) -> int:
        """Give all that is kept to `work`, the oldest first, then forget it; how many webhooks there were.

        What `work` raises is raised, and the next replay begins with that webhook; one that ended half-way may give the
        last one again. One process replays at a time; for the others there is nothing. A line that cannot be read goes
        to the file `damaged`, and its size to `damaged`. Raises: OSError.
        """
        count = 0
        with self._alone("replay", wait=False) as alone:
            while alone and self.size is not None:
                count += self._replay(work, damaged)
        return count

    def forget(
        self, is_theirs: Callable[[Spooled], bool], names_them: Callable[[str], bool], *, dry: bool = False
    ) -> int:
        """Forget somebody's webhooks; how many there were. A line that cannot be read is theirs where it names them.

        `dry`: only count them. Waits for a replay to end, and lets nobody append meanwhile. Raises: OSError.
        """

        def leaves(line: bytes) -> bool:
            spooled = _read(line)
            return is_theirs(spooled) if spooled else names_them(line.decode(errors="replace"))

        with self._alone("replay"), self._alone("append"):
            return sum(self._leave_out(name, leaves, dry=dry) for name in ("webhooks", "damaged"))

    def _leave_out(self, name: str, leaves: Callable[[bytes], bool], *, dry: bool) -> int:
        """Write a file anew without some of its lines; how many those were. What a replay has worked is left out, too:
        the new file begins with another line, so that where the replay has come to means nothing to it."""
        old, new = self._folder / name, self._folder / "anew"
        if not old.exists():
            return 0
        count = 0
        with old.open("rb") as file, _open(new, os.O_TRUNC) as kept:
            begin = self._reached(file.readline().partition(b" ")[0]) if name == "webhooks" else 0
            file.seek(begin)
            for line in file:
                theirs = leaves(line)
                count += theirs
                if not (theirs or dry):
                    kept.write(line)
            kept.flush()
            os.fsync(kept.fileno())
        if dry or not (count or begin):
            new.unlink()
        else:
            new.replace(old)
            if not old.stat().st_size:
                old.unlink()
            _sync_names(self._folder)
        return count

    def _replay(self, work: Callable[[Spooled], object], damaged: Callable[[int], object]) -> int:
        count = 0
        with self._file.open("rb") as file:
            first = file.readline()
            name = first.partition(b" ")[0]
            end = file.seek(self._reached(name))
            for line in file if first.endswith(b"\n") else ():  # else its name may still be on its way
                if not line.endswith(b"\n"):
                    break  # still being written, or torn
                if spooled := _read(line):
                    work(spooled)
                    count += 1
                else:
                    self._put_aside(line, damaged)
                end += len(line)
                self._write("position", os.O_TRUNC, b"%s %d" % (name, end))
            with self._alone("append"):
                file.seek(end)
                rest = file.read()
                if b"\n" not in rest:
                    if rest:
                        self._put_aside(rest, damaged)
                    self._file.unlink()
        return count

    def _reached(self, name: bytes) -> int:
        """How far a replay has come in the file that begins with the record `name`. Not synced: after a power failure
        some are worked again, and known again by their ids."""
        said = self._position.read_bytes().split() if self._position.exists() else []
        return int(said[1]) if len(said) == 2 and said[0] == name else 0

    def _put_aside(self, line: bytes, damaged: Callable[[int], object]) -> None:
        self._write("damaged", os.O_APPEND, line.rstrip(b"\n") + b"\n")
        damaged(len(line))

    def _write(self, name: str, how: int, data: bytes) -> None:
        with _open(self._folder / name, how) as written:
            written.write(data)

    @contextmanager
    def _alone(self, what: str, *, wait: bool = True) -> Iterator[bool]:
        """Keep all other threads and processes from doing it, too. False, where one does and this one does not wait."""
        file = os.open(self._folder / f"{what}.lock", os.O_RDWR | os.O_CREAT, OURS_ALONE)
        try:
            yield _locked(file, wait=wait)
        finally:
            os.close(file)


def _open(path: Path, how: int) -> BinaryIO:
    """To write; for us alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, OURS_ALONE), "wb")


def _locked(file: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _line(spooled: Spooled) -> bytes:
    said = orjson.dumps({"name": spooled.name, "at": spooled.at, "webhook": spooled.webhook})
    return b"%s %08x %s\n" % (new_id().encode(), crc32(said), said)


def _read(line: bytes) -> Spooled | None:
    parts = line.rstrip(b"\n").split(b" ", 2)
    if len(parts) < 3 or b"%08x" % crc32(parts[2]) != parts[1]:
        return None
    return Spooled(**orjson.loads(parts[2]))


def _write(file: int, data: bytes) -> None:
    """All of it; a disk that is nearly full takes a part. Raises: OSError."""
    while data:
        data = data[os.write(file, data) :]


def _sync_names(folder: Path) -> None:
    """A file that was just made has its name in its folder after a power failure, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
