"""The spool: what was acknowledged comes back, once and in its order, whatever ended meanwhile."""

from __future__ import annotations

import itertools
import os
import random
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from app.spool import Spool, Spooled, SpoolFull

MB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def spooled(number: int, size: int = 1) -> Spooled:
    return Spooled("shop", number, {"body": "é\n" * size})


def replayed(spool: Spool) -> tuple[list[int], int]:
    """What came back, and how many lines could not be read."""
    found, damaged = list[int](), list[int]()
    spool.replay(lambda one: found.append(one.at), damaged.append)
    return found, len(damaged)


def keep_all(spool: Spool, count: int) -> None:
    for number in range(count):
        spool.keep(spooled(number))


def test_what_is_kept_comes_back_in_its_order_and_is_forgotten(folder: Path) -> None:
    spool = Spool(folder, MB)
    assert spool.size is None
    keep_all(spool, 3)
    assert spool.size
    found: list[Spooled] = []
    assert spool.replay(found.append, lambda _: None) == 3
    assert found == [spooled(0), spooled(1), spooled(2)]
    assert spool.size is None
    assert replayed(spool) == ([], 0)


def test_a_later_process_finds_what_an_earlier_one_left(folder: Path) -> None:
    keep_all(Spool(folder, MB), 2)
    assert replayed(Spool(folder, MB)) == ([0, 1], 0)


def test_a_replay_goes_on_where_an_earlier_one_failed(folder: Path) -> None:
    keep_all(Spool(folder, MB), 3)
    with pytest.raises(KeyError):
        Spool(folder, MB).replay(lambda one: {0: None}[one.at], lambda _: None)
    Spool(folder, MB).keep(spooled(3))
    assert replayed(Spool(folder, MB)) == ([1, 2, 3], 0)


def test_where_an_earlier_file_ended_means_nothing_to_a_later_one(folder: Path) -> None:
    spool = Spool(folder, MB)
    keep_all(spool, 3)
    replayed(spool)
    keep_all(spool, 3)
    assert replayed(spool) == ([0, 1, 2], 0)


def test_what_comes_during_a_replay_stands_behind_it(folder: Path) -> None:
    spool, found = Spool(folder, MB), list[int]()
    keep_all(spool, 2)

    def work(one: Spooled) -> None:
        found.append(one.at)
        if one.at < 2:
            spool.keep(spooled(one.at + 10))

    spool.replay(work, lambda _: None)
    assert found == [0, 1, 10, 11]
    assert spool.size is None


SPOILT: dict[str, tuple[Callable[[bytes], bytes], list[int], int]] = {
    "torn in its last line": (lambda data: data[:-5], [0, 1], 1),
    "without its last line break": (lambda data: data[:-1], [0, 1], 1),
    "a byte of the second line is another one": (lambda data: data.replace(b'"at":1', b'"at":7'), [0, 2], 1),
    "the first line has no name": (lambda data: b"x" + data[data.index(b" ") :], [0, 1, 2], 0),
    "zeros, as after a power failure": (lambda data: data + b"\0" * 512, [0, 1, 2], 1),
    "an empty line": (lambda data: b"\n" + data, [0, 1, 2], 1),
    "a line that is no record": (lambda data: data + b"hello\n", [0, 1, 2], 1),
    "empty": (lambda data: b"", [], 0),
}


@pytest.mark.parametrize(("spoil", "left", "lines"), SPOILT.values(), ids=SPOILT)
def test_a_line_that_is_spoilt_spoils_itself_alone(
    spoil: Callable[[bytes], bytes], left: list[int], lines: int, folder: Path
) -> None:
    spool = Spool(folder, MB)
    keep_all(spool, 3)
    (folder / "webhooks").write_bytes(spoil((folder / "webhooks").read_bytes()))
    assert replayed(spool) == (left, lines)
    assert (folder / "damaged").exists() == bool(lines)
    assert spool.size is None


def test_what_is_kept_behind_a_torn_line_is_whole(folder: Path) -> None:
    spool = Spool(folder, MB)
    keep_all(spool, 2)
    (folder / "webhooks").write_bytes((folder / "webhooks").read_bytes()[:-5])
    spool.keep(spooled(2))
    assert replayed(spool) == ([0, 2], 1)


def test_it_takes_no_more_than_it_may_hold(folder: Path) -> None:
    spool = Spool(folder, 400)
    spool.keep(spooled(0, 50))
    with pytest.raises(SpoolFull):
        spool.keep(spooled(1, 50))
    assert replayed(spool) == ([0], 0)


def test_it_has_room_for_what_is_usual(folder: Path) -> None:
    spool = Spool(folder, 70_000)
    assert spool.has_room
    spool.keep(spooled(0, 1_500))
    assert not spool.has_room


def test_others_on_the_machine_cannot_read_it(folder: Path) -> None:
    keep_all(Spool(folder, MB), 2)
    (folder / "webhooks").write_bytes(b"torn\n" + (folder / "webhooks").read_bytes())
    with pytest.raises(KeyError):
        Spool(folder, MB).replay(lambda one: {0: None}[one.at], lambda _: None)
    assert {"webhooks", "position", "damaged"} <= {file.name for file in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert (file.name, stat.S_IMODE(file.stat().st_mode)) == (file.name, 0o600)


def test_one_replays_at_a_time(folder: Path) -> None:
    spool, found = Spool(folder, MB), list[tuple[list[int], int]]()
    keep_all(spool, 2)
    spool.replay(lambda one: found.append(replayed(Spool(folder, MB))), lambda _: None)
    assert found == [([], 0)] * 2


def test_what_comes_while_the_last_is_worked_is_not_forgotten(folder: Path) -> None:
    spool, found = Spool(folder, MB), list[int]()
    writer = Thread(target=keep_all, args=(spool, 400))
    writer.start()
    while writer.is_alive():
        spool.replay(lambda one: found.append(one.at), lambda _: None)
    spool.replay(lambda one: found.append(one.at), lambda _: None)
    assert found == list(range(400))


def test_a_folder_that_cannot_be_made_is_found_out_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        Spool(tmp_path / "file" / "spool", MB)


@pytest.mark.processes
def test_kills_lose_nothing_that_was_acknowledged(folder: Path) -> None:
    """Writers and readers are killed again and again. Whatever a writer had told before comes back, in its order."""
    told, came = folder.parent / "told", folder.parent / "came"
    chance = random.Random(7)
    for number in range(12):
        writers = [_child(lambda: _write(folder, told)) for _ in "12"]
        reader = _child(lambda: Spool(folder, MB).replay(lambda one: _append(came, one.at), lambda _: None))
        time.sleep(chance.uniform(0.02, 0.15))
        for child in [*writers, *([reader] if number % 2 else [])]:
            os.kill(child, signal.SIGKILL)
        for child in [*writers, reader]:
            os.waitpid(child, 0)
    Spool(folder, MB).replay(lambda one: _append(came, one.at), lambda _: None)
    first = dict.fromkeys(came.read_text().split())  # a reader that was killed may have given its last one twice
    assert set(told.read_text().split()) <= set(first)
    for writer in {name.split("-")[0] for name in first}:
        numbers = [int(name.split("-")[1]) for name in first if name.split("-")[0] == writer]
        assert numbers == sorted(numbers)


def _child(run: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return child


def _write(folder: Path, told: Path) -> None:
    spool = Spool(folder, 64 * MB)
    for number in itertools.count():
        name = f"{os.getpid()}-{number}"
        spool.keep(Spooled("shop", name, {}))  # type: ignore[arg-type]  # any mark would do
        _append(told, name)


def _append(file: Path, word: object) -> None:
    with file.open("a") as out:
        out.write(f"{word}\n")


THEIRS = {1, 3}


def forgotten(spool: Spool, *, dry: bool = False) -> int:
    return spool.forget(lambda one: one.at in THEIRS, lambda text: "theirs" in text, dry=dry)


class TestForgetting:
    """Somebody's webhooks go; the others come back in their order."""

    def test_the_others_are_left(self, folder: Path) -> None:
        spool = Spool(folder, MB)
        keep_all(spool, 5)
        assert forgotten(spool, dry=True) == 2
        assert forgotten(spool) == 2
        assert stat.S_IMODE((folder / "webhooks").stat().st_mode) == 0o600
        spool.keep(spooled(5))
        assert replayed(spool) == ([0, 2, 4, 5], 0)

    def test_where_all_was_theirs_nothing_is_left(self, folder: Path) -> None:
        spool = Spool(folder, MB)
        spool.keep(spooled(1))
        assert forgotten(spool) == 1
        assert spool.size is None
        assert sorted(path.name for path in folder.iterdir()) == ["append.lock", "replay.lock"]

    def test_where_nothing_is_kept_nothing_is_forgotten(self, folder: Path) -> None:
        assert forgotten(Spool(folder, MB)) == 0

    def test_a_replay_that_failed_goes_on_where_it_was(self, folder: Path) -> None:
        spool = Spool(folder, MB)
        keep_all(spool, 5)
        with pytest.raises(KeyError):
            spool.replay(lambda one: {0: None, 1: None}[one.at], lambda _: None)
        assert forgotten(spool) == 1
        assert b'"at":1' not in (folder / "webhooks").read_bytes()  # though it is worked already
        assert replayed(spool) == ([2, 4], 0)

    def test_a_first_line_that_stays_is_worked_once(self, folder: Path) -> None:
        spool = Spool(folder, MB)
        keep_all(spool, 2)
        assert forgotten(spool) == 1
        keep_all(spool, 1)
        with pytest.raises(KeyError):
            Spool(folder, MB).replay(lambda one: {}[one.at], lambda _: None)
        assert replayed(spool) == ([0, 0], 0)

    def test_lines_that_cannot_be_read_are_theirs_where_they_name_them(self, folder: Path) -> None:
        spool = Spool(folder, MB)
        keep_all(spool, 1)
        with (folder / "webhooks").open("ab") as file:
            file.write(b"torn theirs\ntorn others\ntorn theirs, too")
        (folder / "damaged").write_bytes(b"theirs \xff\nothers\n")
        assert forgotten(spool) == 3
        assert (folder / "damaged").read_bytes() == b"others\n"
        assert replayed(spool) == ([0], 1)
        assert (folder / "damaged").read_bytes() == b"others\ntorn others\n"

    def test_what_comes_meanwhile_is_kept(self, folder: Path) -> None:
        spool = Spool(folder, 64 * MB)
        keep_all(spool, 100)
        writer = Thread(target=lambda: [spool.keep(spooled(number)) for number in range(100, 200)])
        writer.start()
        found = 0
        while writer.is_alive():
            found += forgotten(Spool(folder, MB))
        found += forgotten(spool)
        assert found == 2
        assert replayed(spool) == ([number for number in range(200) if number not in THEIRS], 0)
