"""Faults that can be switched on: a stand-in then fails, waits, hangs up, or calls the gateway wrongly.

A request meets at most one fault, the oldest that is switched on for it: `path` narrows a fault to requests whose
path holds it, `method` to one method. It applies before the request is checked, so even a wrong one meets it; only
`close_after` lets the request be worked first. Faults of outgoing calls can be narrowed to one `event`: of Flex,
or for messaging `inbound` or the status that is called back.
"""

import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from flask import Blueprint, Response, g, request

from app.sandbox.checks import (
    Check,
    Field,
    Json,
    Refused,
    as_object,
    integer,
    number,
    one_of,
    optional,
    record,
    text,
    variant,
)

INCOMING = ("fail", "delay", "close", "close_after")
OUTGOING = ("duplicate", "reorder", "drop")
Kinds: TypeAlias = Mapping[str, tuple[str, ...]]  # by target, the kinds of faults that it can have
DEFAULT_STATUS = 503

_BASE = {
    "target": Field(text()),
    "kind": Field(text()),
    "times": optional(integer(1, 100_000)),
}
_REQUEST = {"path": optional(text(minimum=1)), "method": optional(one_of(("GET", "POST", "DELETE")))}
_EVENT = {"event": optional(text(minimum=1))}
_FAIL = {"status": optional(integer(400, 599)), "retry_after": optional(integer(0, 86_400))}
_DELAY = {"seconds": Field(number(0, 600))}
_SHAPES: dict[str, Check] = {
    "fail": record(_BASE | _REQUEST | _FAIL),
    "delay": record(_BASE | _REQUEST | _DELAY),
    "close": record(_BASE | _REQUEST),
    "close_after": record(_BASE | _REQUEST),
    **{kind: record(_BASE | _EVENT) for kind in OUTGOING},
}
_CHECK = variant("kind", _SHAPES)

Call = TypeVar("Call")
ErrorBody: TypeAlias = Callable[[int, str], Response]


@dataclass(frozen=True)
class Fault:
    """One switched-on fault; `times` counts down to zero, None stays until it is switched off."""

    target: str
    kind: str
    times: int | None = 1
    status: int | None = None
    seconds: float | None = None
    retry_after: int | None = None
    path: str | None = None
    method: str | None = None
    event: str | None = None

    def meets(self, path: str | None, method: str | None, event: str | None) -> bool:
        """Whether it is about this request or event."""
        is_place = self.path is None or self.path in (path or "")
        return is_place and self.method in (None, method) and self.event in (None, event)

    def as_json(self) -> Json:
        return {name: value for name, value in vars(self).items() if value is not None}


def parse_fault(body: object, kinds: Kinds) -> Fault:
    """Raises `Refused` with the field that does not fit."""
    _CHECK(body, "")
    fault = Fault(**as_object(body, ""))  # type: ignore[arg-type]  # the table above has checked every field
    one_of(kinds)(fault.target, "target")
    can = kinds[fault.target]
    if fault.kind not in can:
        if set(can) - set(INCOMING):
            raise Refused("kind", f"{fault.target} loses none of its outgoing calls, so it cannot {fault.kind} them")
        raise Refused("kind", f"{fault.target} makes no outgoing calls that could be told to {fault.kind}")
    return replace(fault, status=fault.status or DEFAULT_STATUS) if fault.kind == "fail" else fault


class Faults:
    """The switched-on faults, oldest first, and those that were met."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._met: list[Json] = []
        self._waits: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._releases: dict[str, Callable[[], None]] = {}

    def on_release(self, target: str, release: Callable[[], None]) -> None:
        """`release` sends what a fault of `target` holds back, once such a fault is switched off."""
        self._releases[target] = release

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._active.append(fault)

    def is_on(self, fault: Fault) -> bool:
        with self._lock:
            return fault in self._active

    def switch_on(self, fault: Fault) -> None:
        with self._lock:
            if fault not in self._active:
                self._active.append(fault)

    def switch_off(self, fault: Fault) -> None:
        """This one; what any fault of its target holds goes on at once."""
        with self._lock:
            self._active = [one for one in self._active if one != fault]
        self._let_go(fault.target)
        self._releases.get(fault.target, _nothing)()

    def clear(self) -> None:
        """Switch all off; what they hold goes on at once."""
        self._forget()
        for release in self._releases.values():
            release()

    def reset(self) -> None:
        """What is held back is not sent: everybody forgets."""
        self._forget()
        with self._lock:
            self._met.clear()

    def take(
        self,
        target: str,
        kinds: Iterable[str],
        *,
        path: str | None = None,
        method: str | None = None,
        event: str | None = None,
    ) -> Fault | None:
        """The oldest fault that fits, counted down by one."""
        with self._lock:
            for index, fault in enumerate(self._active):
                if fault.target == target and fault.kind in kinds and fault.meets(path, method, event):
                    self._count_down(index)
                    return fault
        return None

    def wait(self, target: str, seconds: float) -> None:
        """Until the time is over or a fault of this target is switched off."""
        with self._lock:
            released = self._waits[target]
        released.wait(seconds)

    def active(self) -> list[Json]:
        with self._lock:
            return [fault.as_json() for fault in self._active]

    def met(self) -> list[Json]:
        with self._lock:
            return list(self._met)

    def _count_down(self, index: int) -> None:
        fault = self._active[index]
        self._met.append({"target": fault.target, "kind": fault.kind})
        if fault.times is None:
            return
        left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
        self._active[index : index + 1] = left

    def _forget(self) -> None:
        with self._lock:
            self._active.clear()
        for target in list(self._waits):
            self._let_go(target)

    def _let_go(self, target: str) -> None:
        with self._lock:
            self._waits.pop(target, threading.Event()).set()


class Outbox(Generic[Call]):
    """The calls that a platform makes, as its faults let them: `reorder` holds one back until the next of its key has
    gone out, or until the faults are switched off."""

    def __init__(self, target: str, faults: Faults, send: Callable[[Call], None]) -> None:
        self._target = target
        self._faults = faults
        self._send = send
        self._lock = threading.Lock()
        self._held: dict[str, Call] = {}
        faults.on_release(target, self._release)

    def due(self, key: str, call: Call, event: str | None = None) -> list[Call]:
        """What is to be made now that it is the turn of `call`."""
        with self._lock:
            if key in self._held:
                return [call, self._held.pop(key)]
            if self.meets("reorder", event):
                self._held[key] = call
                return []
            return [call]

    def meets(self, kind: str, event: str | None = None) -> bool:
        return self._faults.take(self._target, (kind,), event=event) is not None

    def reset(self) -> None:
        """Forget what is held back."""
        with self._lock:
            self._held = {}

    def _release(self) -> None:
        with self._lock:
            held, self._held = self._held, {}
        for call in held.values():
            self._send(call)


def expose(blueprint: Blueprint, target: str, faults: Faults, error_body: ErrorBody) -> None:
    """Let every request to this blueprint meet the faults of `target`, answered in the platform's form."""

    def before() -> Response | None:
        request.get_data()
        fault = faults.take(target, INCOMING, path=request.path, method=request.method)
        return _meet(fault, faults, error_body) if fault else None

    def after(response: Response) -> Response:
        return _hang_up(response) if g.pop("hang_up", False) else response

    blueprint.before_request(before)
    blueprint.after_request(after)


def _nothing() -> None:
    """Nothing of this target is ever held back."""


def _meet(fault: Fault, faults: Faults, error_body: ErrorBody) -> Response | None:
    if fault.kind == "fail":
        return _failure(fault, error_body)
    if fault.kind == "delay":
        faults.wait(fault.target, fault.seconds or 0)
        return None
    g.hang_up = True
    return Response(status=204) if fault.kind == "close" else None


def _failure(fault: Fault, error_body: ErrorBody) -> Response:
    response = error_body(fault.status or DEFAULT_STATUS, "The sandbox was told to fail")
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _hang_up(response: Response) -> Response:
    connection = request.environ.get("werkzeug.socket")
    if connection is None:
        return Response("Only the sandbox's own server can cut a connection", status=501)
    with suppress(OSError):  # the other side may have been quicker
        connection.shutdown(socket.SHUT_RDWR)
    return response
