"""Runs the receiver's server, granian: `python -m app.local.serving` and the arguments of `main`.

Two things are better than with its own command. Before it closes its port it says for a moment that it is not ready, so
that a load balancer asks another one in time. And processes of its that die quickly, one after the other, are begun
anew each time, where it would end with them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from app.local.child import CLOSING_VARIABLE

KILL_AFTER = 20  # seconds for the answers that are being given
CALM = 10.0  # seconds after which a death has nothing to do with the one before
LONGEST = 5.0  # seconds between two beginnings


class Server(MPServer):
    """`closing`: seconds for which it says that it is not ready before it closes its port."""

    def __init__(self, *args: Any, closing: float, mark: Path, **options: Any) -> None:
        super().__init__(*args, **options)
        self._closing, self._mark = closing, mark
        self._died, self._deaths = float("-inf"), 0
        self._asked = threading.Event()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """The first signal; a second one ends it at once."""
        if self._asked.is_set() or not self._closing:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]
            return
        self._asked.set()
        self._mark.touch()
        timer = threading.Timer(self._closing, super().signal_handler_interrupt)
        timer.daemon = True
        timer.start()

    def _respawn_workers(self, workers: list[int], *args: Any, **options: Any) -> None:
        """After a pause where they die again and again. It is asked of deaths alone: no other respawning is set up."""
        now = time.monotonic()
        self._deaths = self._deaths + 1 if now - self._died < CALM else 0
        self._died = now
        self._asked.wait(min(LONGEST, 0.2 * 2**self._deaths) if self._deaths else 0.0)
        super()._respawn_workers(workers, *args, **options)
        self.respawned_wrks.clear()  # by which it would see a second death and end


def main(application: str, folder: str, address: str, port: str, processes: str, threads: str, closing: str) -> None:
    sys.path.insert(0, folder)
    with tempfile.TemporaryDirectory(prefix="patchbay-") as marks:
        mark = Path(marks) / "closing"
        os.environ[CLOSING_VARIABLE] = str(mark)
        Server(
            application,
            address=address,
            port=int(port),
            interface=Interfaces.WSGI,
            workers=int(processes),
            blocking_threads=int(threads),
            websockets=False,
            log_level=LogLevels.error,
            respawn_failed_workers=True,
            workers_kill_timeout=KILL_AFTER,
            factory=True,
            working_dir=Path(folder),
            closing=float(closing),
            mark=mark,
        ).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
