"""What is verified is recorded in Redis, or while Redis is away kept on disk (`app.spool`) if its platform sends it
only once. What such platforms send later stands behind it until all of it is recorded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.core.errors import StoreUnavailable
from app.core.events import Accepted, Event, Typing, Webhook
from app.gateway import Gateway
from app.inbox import NotTaken, accept, read
from app.log import logger
from app.outage import Patience
from app.parked import dead_letter, kept, webhook_of
from app.spool import Spool, Spooled, SpoolFull
from app.web import limits

LOOK_EVERY = 0.25  # seconds between two looks whether something is kept
FIRST_WAIT = 0.5  # seconds after a try that found Redis away

log = logger("spool")


def record(
    gateway: Gateway, spool: Spool | None, name: str, webhook: Webhook, events: Sequence[Event]
) -> list[Accepted]:
    """Record a webhook of the channel or destination `name`, which says `events`, now or once Redis is back.

    Raises:
        NotTaken: a limit is reached, or an event speaks of a conversation that is none of its sender's.
        StoreUnavailable: nothing was recorded, unless it says `maybe_done`.
    """
    if name not in gateway.offers.spooled:
        spool = None
    if spool and spool.size is not None:
        return _keep(spool, gateway, name, webhook, events)
    try:
        if gateway.call_limits.get(name):
            limits.ask_for(name, events, len(webhook.body))
        return accept(gateway, name, events)
    except StoreUnavailable:
        if not spool:
            raise
        return _keep(spool, gateway, name, webhook, events)


def _keep(spool: Spool, gateway: Gateway, name: str, webhook: Webhook, events: Sequence[Event]) -> list[Accepted]:
    """Raises: StoreUnavailable, there is no room."""
    try:
        spool.keep(Spooled(name, int(time.time() * 1000), kept(gateway, name, webhook)))
    except SpoolFull:
        raise StoreUnavailable("The spool is full.") from None
    except OSError as error:
        log.error("spool cannot be written", error=str(error))
        raise StoreUnavailable(f"The spool cannot be written: {error.strerror}.") from error
    return [Accepted(event) for event in events]


def start(gateway: Gateway) -> Spool | None:
    """The spool of the configuration, if any, and the thread that records what is kept there. Raises: OSError."""
    if not gateway.settings.gateway["spool"]:
        return None
    spool = Spool(Path(gateway.settings.gateway["spool"]), gateway.settings.gateway["spool_bytes"])
    threading.Thread(target=Replayer(gateway, spool).run, name="spool", daemon=True).start()
    return spool


class Replayer:
    """Records what is kept, in its order, once Redis is there."""

    def __init__(self, gateway: Gateway, spool: Spool) -> None:
        self._gateway, self._spool = gateway, spool
        self._patience = Patience(FIRST_WAIT)

    def run(self) -> None:
        while True:
            time.sleep(max(LOOK_EVERY, self._patience.left))
            self.look()

    def look(self) -> None:
        """Record what is kept, as far as that is possible now."""
        if self._spool.size is None:
            return
        try:
            count = self._spool.replay(self.work, lambda size: log.error("spool damaged", bytes=size))
        except StoreUnavailable:  # which is logged where it is met
            self._patience.failed()
        except Exception as error:  # this thread must not end: the spool would never be empty again
            log.error("spool cannot be worked", exc_info=error)
            self._patience.failed()
        else:
            self._patience.worked()
            if count:
                log.warning("spool recorded", webhooks=count)

    def work(self, spooled: Spooled) -> None:
        """Record one webhook. Raises: StoreUnavailable, it must be tried again."""
        name = spooled.name
        try:
            events = read(self._gateway, name, webhook_of(spooled.webhook))
            events = [event for event in events if not isinstance(event, Typing)]  # no longer true
            accept(self._gateway, name, events, spooled.at)
        except StoreUnavailable:
            raise
        except NotTaken as error:
            self._not_taken(spooled, error)
        except Exception as error:  # it was answered, so it must not be lost: a bug, or a name that is no longer there
            self._give_up(spooled, error)
        with suppress(StoreUnavailable):
            self._gateway.store.lanes.count(f"spooled:{name}")

    def _not_taken(self, spooled: Spooled, error: NotTaken) -> None:
        """Raises: StoreUnavailable, for a full lane."""
        if error.status == 503:
            raise StoreUnavailable(str(error)) from error
        if error.retry_after is None:  # what it speaks of is not known: nothing that a repeat could mend
            log.warning("webhook refused", name=spooled.name, reason=str(error))
        else:
            self._give_up(spooled, error)

    def _give_up(self, spooled: Spooled, error: Exception) -> None:
        letter = dead_letter(self._gateway, spooled.name, spooled.webhook, error)
        log.error("webhook parked", name=spooled.name, letter=letter, exc_info=error)
