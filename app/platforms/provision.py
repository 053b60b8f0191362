"""Setting up what a platform needs on its own side: `patchbay provision NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, runtime_checkable

from app.http import Http

T = TypeVar("T")


class Run:
    """One run. `calls` describes each call that changes something; with `dry_run` none of them is made. `notes` are
    what an operator may want to know and the configuration does not."""

    def __init__(self, http: Http, *, dry_run: bool = False) -> None:
        self.http = http
        self.dry_run = dry_run
        self.calls: list[str] = []
        self.notes: list[str] = []

    def change(self, described: str, call: Callable[[], T]) -> T | None:
        """Make a call that changes something, and note it; what it gave, None in a dry run.

        Args:
            described: the call as a person reads it, several lines perhaps; must hold no secret.
        """
        self.calls.append(described)
        return None if self.dry_run else call()


@runtime_checkable
class Provisions(Protocol):
    """A channel or destination that can make what it needs on its platform: a webhook, a flow, an address.

    `made` are the keys of its table that a run finds out, each with a value that stands for it until then.
    """

    made: Mapping[str, str]

    def provision(self, run: Run) -> Mapping[str, str]:
        """Make what is missing, or find it and correct what differs; the values that the table wants, by key ('' while
        a value is not known). Twice in a row, the second run changes nothing. Raises: Failure."""
