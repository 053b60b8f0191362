"""`patchbay doctor`: looks at an installation from all sides, and says of each fault how to mend it.

It changes nothing: platforms are asked only what changes nothing there, and the webhooks that it signs say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from app.core import errors
from app.core.errors import Failure, StoreUnavailable
from app.gateway import Gateway
from app.http import Http, Response
from app.local.ports import is_loopback
from app.operate.findings import Finding, note, ok, wrong
from app.operate.house import house
from app.operate.redis import redis
from app.platforms.channel import Channel
from app.platforms.destination import Destination
from app.platforms.proofs import SignsSamples, TriesCredentials
from app.platforms.provision import Provisions, Run

TIMEOUT = 10.0  # seconds for each call to ourselves
NOT_RUN = "It could not be looked at: {}"
AWAY = "Look whether it is up, and whether calls may leave this machine (gateway.egress)."
MISMATCH = (
    "A proxy in front must pass on Host and X-Forwarded-Proto, path and body as they came, and public_url must be the "
    "address by which platforms call."
)


def examine(gateway: Gateway) -> Iterator[Finding]:
    """Every finding, one side after the other."""
    http = _http(gateway)
    for look in (redis, house):
        yield from _guarded(look.__name__, lambda look=look: look(gateway))  # type: ignore[misc]
    reached = False
    for finding in _public_url(gateway, http):
        reached = reached or finding.level == "ok"
        yield finding
    for kind, adapters in (("channels", gateway.channels), ("destinations", gateway.destinations)):
        for name, adapter in adapters.items():
            yield from _platform(gateway, f"{kind}.{name}", adapter, http, reached=reached)


def _http(gateway: Gateway) -> Http:
    """Our own address is one of the configuration."""
    settings = gateway.settings
    trusted = [*settings.hosts, settings.gateway["public_url"]]
    return Http(trusted, egress=settings.gateway["egress"], secrets=settings.secrets)


def _guarded(about: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except StoreUnavailable as error:
        yield wrong(about, NOT_RUN.format(error), "Start Redis, or correct gateway.redis_url.")


def _public_url(gateway: Gateway, http: Http) -> Iterator[Finding]:
    url = gateway.settings.gateway["public_url"]
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        yield wrong("public_url", f"{url} is not https: who listens on the way reads everything.", "Put TLS in front.")
    try:
        answer = http.request("GET", f"{url}/healthz", timeout=TIMEOUT)
        alive = answer.ok and answer.json() == {"status": "alive"}
    except Failure as failure:
        yield wrong("public_url", f"{url} cannot be reached from here: {failure.detail}.", "Start a receiver there.")
        return
    if alive:
        yield ok("public_url", f"{url} is a receiver's.")
    else:
        says = f"{url}/healthz answers HTTP {answer.status}, and not as a receiver of ours does."
        yield wrong("public_url", says, "Correct gateway.public_url, or what stands in front of the receiver.")


def _platform(
    gateway: Gateway, about: str, adapter: Channel | Destination, http: Http, *, reached: bool
) -> Iterator[Finding]:
    if isinstance(adapter, Provisions):
        yield _as_failures(about, lambda: _drift(about, adapter, http))
    elif isinstance(adapter, TriesCredentials):
        yield _as_failures(about, lambda: _credentials(about, adapter, http))
    if reached and isinstance(adapter, SignsSamples):
        kind, _, name = about.partition(".")
        callback = getattr(gateway.settings, kind)[name].values["callback"]
        yield _as_failures(about, lambda: _webhook(about, adapter, callback, http))


def _as_failures(about: str, look: Callable[[], Finding]) -> Finding:
    """What the platform says against it."""
    try:
        return look()
    except Failure as failure:
        away = failure.kind in (errors.UNAVAILABLE, errors.TIMED_OUT)
        says = f"{failure.kind.sentence} It says: {failure.detail}"
        return wrong(about, says, AWAY if away else f"Correct its table [{about}], or mend it at the platform.")


def _drift(about: str, adapter: Provisions, http: Http) -> Finding:
    run = Run(http, dry_run=True)
    adapter.provision(run)
    name = about.partition(".")[2]
    if run.calls:
        changes = "; ".join(" ".join(call.split()) for call in run.calls)
        return wrong(
            about, f"Its platform is not set up as this table wants it: {changes}", f"patchbay provision {name}"
        )
    if run.notes:
        return note(about, " ".join(run.notes))
    return ok(about, "Its platform takes our credentials and is set up as this table wants it.")


def _credentials(about: str, adapter: TriesCredentials, http: Http) -> Finding:
    adapter.try_credentials(http)
    return ok(about, "Its platform takes our credentials.")


def _webhook(about: str, adapter: SignsSamples, callback: str, http: Http) -> Finding:
    sample = adapter.sample(callback)
    answer = http.request(sample.method, sample.url, data=sample.body, headers=sample.headers, timeout=TIMEOUT)
    if answer.ok:
        return ok(about, "A webhook that is signed as its platform signs is taken.")
    says = (
        f"A webhook to {callback} that is signed as its platform signs is refused: HTTP {answer.status} {_said(answer)}"
    )
    return wrong(about, says.rstrip(), MISMATCH if answer.status in (401, 403) else "")


def _said(answer: Response) -> str:
    try:
        body: Any = answer.json()
        return str(body["error"]["message"])
    except (Failure, KeyError, TypeError):
        return ""
