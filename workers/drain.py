"""Claim, work, settle, until nothing is due or the time slice ends. Knows nothing of Celery."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

from app.core import errors
from app.core.errors import Failure, StoreUnavailable
from app.core.lane import SILENT
from app.core.retry import RetryPolicy
from app.core.work import Behind, Claim, Dead, Done, Outcome, Reroute, Retry, Unknown, Wake, item_text
from app.gateway import UNKNOWN_LEASE, Gateway, Lane
from app.log import about, logger
from app.store.mailbox import Worked
from workers import inbound, outbound, reports, results
from workers.bursts import WAITING
from workers.dead_ends import led_back
from workers.failing import discreet, failed
from workers.lease import HANDS, LeaseLost, insist, lease_of
from workers.meter import Meters
from workers.slots import Slots
from workers.solitude import Solitude
from workers.tally import NO_THREAD, Tally

log = logger("drain")

TIME_SLICE = 5.0  # seconds after which a drain makes room for other lanes

DAMAGED = "what Redis keeps of its message, its session or its progress cannot be read"
UNKNOWN = "this version does not know what is to be done; replay it with the version that wrote it"

Work = Callable[[Gateway, str, Claim], Outcome]
WORK: Mapping[str, Work] = {"inbound": inbound.work, "outbound": outbound.work, "status": reports.work}


class Threads:
    """The threads of a process: which lanes have them, what each lane's calls take, and whether one must be alone."""

    def __init__(self, count: int = 256) -> None:
        self.meters = Meters()
        self.solitude = Solitude()
        self.slots = Slots(count, lambda lane: self.meters[lane].usual)


class Drainer:
    """Works lanes of one gateway. `stopping`: the process is to end; the head in hand is finished, no more. `tally` is
    what became of the heads. `threads` are those of the process."""

    def __init__(
        self, gateway: Gateway, stopping: Callable[[], bool] = lambda: False, threads: Threads | None = None
    ) -> None:
        self._gateway = gateway
        self._stopping = stopping
        self._threads = threads or Threads()
        self.tally = Tally()
        self._held: Claim | None = None

    def drain(self, lane_name: str, token: str, time_slice: float = TIME_SLICE) -> int:
        """Work a lane until nothing is due; how many heads were worked.

        Args:
            token: of the wake-up that called for this drain.
        """
        lane = self._gateway.lanes.get(lane_name) or Lane(lane_name, 1, 0.0, UNKNOWN_LEASE, RetryPolicy())
        with self._threads.solitude.together():
            return self._drain_if_free(lane, token, time_slice)

    def _drain_if_free(self, lane: Lane, token: str, time_slice: float) -> int:
        slots = self._threads.slots
        if not slots.take(lane.name):
            self._step(lane, token, None, crowded=True)
            self.tally.add("turned away", NO_THREAD)
            return 0
        try:
            return self._drain(lane, token, time_slice)
        finally:
            self._hold(lane, None)
            slots.give(lane.name)

    def _drain(self, lane: Lane, token: str, time_slice: float) -> int:
        until = time.monotonic() + time_slice
        outcome: Outcome | None = None
        heads = 0
        while True:
            go_on = time.monotonic() < until and not self._must_end()
            crowded = heads > 0 and not self._threads.slots.keeps(lane.name)
            worked = self._step(lane, token, outcome, go_on=go_on, crowded=crowded)
            self._hold(lane, worked.claim)
            self._gateway.publisher.publish(worked.wakes)
            self.tally.add("dead", "poison", worked.poisoned)
            if worked.claim:
                with about(worked.claim.conversation):
                    outcome = (self._alone if worked.claim.suspect else self.attempt)(lane, worked.claim)
                heads += 1
            elif worked.more and self._gateway.publisher.publish([Wake(lane.name, token)]) and not self._must_end():
                outcome, until = None, time.monotonic() + time_slice  # nobody else hears of it
            else:
                return heads

    def _must_end(self) -> bool:
        """Because the process does, or because a suspect is to be tried alone."""
        return self._stopping() or self._threads.solitude.closed

    def _hold(self, lane: Lane, claim: Claim | None) -> None:
        """Have this claim in hand in place of the last one."""
        if self._held:
            HANDS.let_go(self._held)
        if claim:
            HANDS.hold(claim, lane)
        self._held = claim

    def _alone(self, lane: Lane, claim: Claim) -> Outcome | None:
        """The attempt at a suspect; None if the process is to end before, or took too long to be alone."""
        with self._threads.solitude.alone(self._stopping) as alone:
            if not alone or not self._gateway.store.mailboxes.begin(claim, lease_of(lane)):
                return None
            log.warning("tried alone", lane=lane.name, mailbox=claim.mailbox, item=item_text(claim.item))
            HANDS.hold(claim, lane)
            return self.attempt(lane, claim)

    def attempt(self, lane: Lane, claim: Claim) -> Outcome | None:
        """One attempt at one head; None if the lease was lost and nothing may be settled."""
        kind, _, name = lane.name.partition(":")
        started = time.monotonic()
        try:
            outcome = _unworkable(claim) or WORK[kind](self._gateway, name, claim)
        except LeaseLost:
            log.warning("lease lost", lane=lane.name, mailbox=claim.mailbox)
            self.tally.add("lease lost", "")
            return None
        except Failure as failure:
            outcome = failed(claim, failure, lane.retry)
        except StoreUnavailable as error:  # not the platform's fault, nor the message's
            outcome = Retry(claim, reason="store", error=str(error), due=1.0, counts=False, uncertain=True, lane=SILENT)
        except Exception as error:  # a bug of ours: the head is tried again, then kept for an operator
            log.error("unexpected", lane=lane.name, item=item_text(claim.item), exc_info=error)
            bug = Failure(errors.UNEXPECTED, f"{type(error).__name__}: {error}", maybe_done=True)
            outcome = failed(claim, bug, lane.retry, resend_safe=self._resend_safe(kind, name))
        if kind == "inbound":
            outcome = led_back(self._gateway, lane, claim, outcome)
        took, effect = time.monotonic() - started, outcome.lane
        if effect.kind == "ok" or effect.falls == "timed_out":
            self._threads.meters[lane.name].note(claim.turn, took, late=bool(effect.falls))
        outcome = discreet(outcome, self._gateway.redact)
        self._count(outcome)
        self._tell(lane, outcome, took)
        return outcome

    def _count(self, outcome: Outcome) -> None:
        waits = isinstance(outcome, Retry) and outcome.reason == WAITING
        self.tally.add("waiting" if waits else outcome.name, _why(outcome)[0])
        if isinstance(outcome, Done) and len(outcome.claim.asked) > 1:
            self.tally.add("asked as one", "", len(outcome.claim.asked))

    def _step(
        self, lane: Lane, token: str, outcome: Outcome | None, *, go_on: bool = True, crowded: bool = False
    ) -> Worked:
        """Settle and claim; without claiming if the lane has more than its share of the threads.

        Raises: StoreUnavailable; the outcome is kept for the next worker.
        """
        work = partial(
            self._gateway.store.mailboxes.work,
            *(lane.name, token, outcome),
            lease=lease_of(lane),
            rate=lane.rate,
            rate_each=lane.rate_each,
            expire_after=lane.expire_after,
            go_on=go_on,
            crowded=crowded,
            seen=self._threads.meters[lane.name].seen,
            solitude="possible" if self._threads.solitude.possible else "impossible",
        )
        if outcome is None:
            return work()
        try:
            return insist(work)
        except StoreUnavailable:
            if results.keep(self._gateway, outcome):
                raise
            return insist(work, for_ever=True)

    def _resend_safe(self, kind: str, name: str) -> bool:
        """Whether a call that may have been made can be made again."""
        platforms = self._gateway.destinations if kind == "inbound" else self._gateway.channels
        return kind == "status" or name not in platforms or platforms[name].capabilities.resend_safe

    def _tell(self, lane: Lane, outcome: Outcome, took: float) -> None:
        """The one line that every attempt leaves in the log; one more where only an operator can help."""
        claim, (reason, error) = outcome.claim, _why(outcome)
        if reason == errors.UNAUTHORISED.code:
            log.error("lane rests", lane=lane.name, advice=errors.UNAUTHORISED.sentence)
        log.log(
            _level(outcome),
            "attempt",
            lane=lane.name,
            item=item_text(claim.item),
            attempt=claim.attempt,
            uncertain=claim.uncertain,
            outcome=outcome.name,
            reason=reason,
            error=error.partition(":")[0],  # what follows are the platform's words, perhaps the customer's
            due=round(outcome.due, 3) if isinstance(outcome, Retry) else 0.0,
            ms=round(took * 1000, 1),
            **({"messages": len(claim.asked)} if len(claim.asked) > 1 else {}),
        )


def _unworkable(claim: Claim) -> Outcome | None:
    """What another version left here is kept for it, what is damaged for an operator."""
    if isinstance(claim.item, Unknown):
        return Dead(claim, reason="unknown", error=UNKNOWN, lane=SILENT)
    if claim.damaged:
        log.error("damaged", mailbox=claim.mailbox, error=claim.damaged.partition(":")[0])
        return Dead(claim, reason="damaged", error=DAMAGED, lane=SILENT)
    return None


def _level(outcome: Outcome) -> int:
    if isinstance(outcome, Dead):
        return logging.ERROR
    return logging.WARNING if isinstance(outcome, Retry) and outcome.reason != WAITING else logging.INFO


def _why(outcome: Outcome) -> tuple[str, str]:
    """Reason and error; '' where there are none."""
    return ("", "") if isinstance(outcome, Reroute | Behind) else (outcome.reason, outcome.error)
