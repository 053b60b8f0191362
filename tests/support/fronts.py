"""The load balancers as they are shipped, in front of receivers that run: where each is, and who signed its
certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.cells import Balancer
from tests.support.nginx import Nginx
from tests.support.processes import HOST, free_port


@contextmanager
def nginx(folder: Path, urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    front = Nginx(folder, *map(_place, urls))
    front.start()
    try:
        yield front.url, str(front.authority)
    finally:
        front.stop()


@contextmanager
def haproxy(folder: Path, urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """All is one cell; the other one of the file is nowhere."""
    cells = {"one": [*map(_place, urls)], "two": [f"{HOST}:{free_port()}"]}
    front = Balancer(folder, cells, {"shop": "one", "desk": "one"})
    front.start()
    try:
        yield front.url, front.authority
    finally:
        front.stop()


def _place(url: str) -> str:
    return urlsplit(url).netloc
