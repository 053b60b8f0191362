"""How a thread is opened: a row of steps, each known by the handle that it leaves.

What a step made is kept the moment it stands, so a crash between two steps repeats none and skips none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from app.http import Http
from app.platforms.destination import Keep
from app.platforms.flex.attributes import Customer
from app.platforms.flex.threads import Threads


class Opening(Struct):
    """A thread on its way to stand. `key` is the same for every try; `handles` grow with each step."""

    customer: Customer
    identity: str
    key: str
    handles: dict[str, Any]
    keep: Keep
    http: Http
    uncertain: bool

    def stands(self, *, seen: int | None = None, **found: Any) -> None:
        """A step is done: keep what it made."""
        self.handles |= found
        self.keep(self.handles, seen=seen)


Step = tuple[str, Callable[[Opening], None]]


def open_thread(opening: Opening, threads: Threads, steps: Sequence[Step]) -> None:
    """Take the steps that are left; `ready` is the last handle. What an earlier try left may be gone by now."""
    resumed = opening.handles and (opening.customer.transcript or not opening.handles.get("ready"))
    if resumed and threads.find(opening.handles, opening.http) is None:
        opening.handles.clear()
    for handle, step in steps:
        if handle not in opening.handles:
            step(opening)
    if not opening.handles.get("ready"):
        opening.stands(ready=True, identity=opening.identity)


def hooks(threads: Threads, forms: dict[str, list[tuple[str, str]]]) -> list[Step]:
    """Steps that make a thread's webhooks, by the handles for their sids."""

    def step(name: str, form: list[tuple[str, str]]) -> Step:
        return name, lambda opening: opening.stands(**{name: threads.hook(opening.handles, form, opening.http)})

    return [step(name, form) for name, form in forms.items()]
