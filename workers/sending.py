"""The parts of one message on their way to a destination, one after the other, from where an earlier try stopped.

What was answered to the parts before is kept with the progress, so that it is said though a later part fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

from app.core.events import Answer, Said
from app.core.message import Content, Message
from app.platforms.destination import Delivery
from workers import ages, history
from workers.job import Job
from workers.replies import as_said


class KeptAnswer(Struct, frozen=True):
    """What must not get lost of an answer to one part while another part is tried again."""

    replies: tuple[Said, ...]
    handoff: bool
    record: str | None
    spent: int | None = None
    unsupported: tuple[str, ...] = ()  # an earlier version kept none


class Sending:
    """One message, rendered into `parts` for the destination."""

    def __init__(self, job: Job, message: Message, parts: Sequence[Content]) -> None:
        self._job = job
        self._message = message
        self._parts = parts
        self._kept = list(job.claim.progress.get("answers", ()))

    def send(self) -> Answer:
        """All parts that are left; the answers become one. Raises: Failure, LeaseLost, StoreUnavailable."""
        done = int(self._job.claim.progress.get("part", 0))
        answers = self._before()
        for number in range(done, len(self._parts)):
            answers.append(self._send_part(number, resumed=number == done))
            if answers[-1].over:
                break
            if number + 1 < len(self._parts):
                self._kept = [*self._kept, kept(answers[-1])]
                self._job.remember(self._progress(number + 1))({}, [])
        return joined(answers)

    def so_far(self) -> Answer | None:
        """What was answered to the parts that went through; None if none did."""
        return joined(self._before()) if self._kept else None

    def _before(self) -> list[Answer]:
        return [again(answer) for answer in self._kept]

    def _progress(self, part: int) -> dict[str, Any]:
        return {"part": part, "answers": self._kept}

    def _send_part(self, number: int, *, resumed: bool) -> Answer:
        job, message = self._job, self._message
        first = not job.session.handles and number == 0
        asked = message.metadata.get("target_task")
        usual = job.gateway.settings.channels[message.channel].values["target_task"] if first else None
        delivery = Delivery(
            message=message,
            content=self._parts[number],
            session=job.session,
            remember=job.remember(self._progress(number)),
            keep=job.keep,
            part=number,
            first=first,
            target_task=asked if isinstance(asked, str) else usual,
            uncertain=job.claim.uncertain and resumed,
            progress=job.progress if resumed else {},
            written_at=ages.written_at(job, message),
            history=history.before(job.gateway, job.destination.name, message, job.session),
        )
        return job.destination.deliver(delivery, job.gateway.http)


def kept(answer: Answer) -> dict[str, Any]:
    """An answer as the progress holds it."""
    replies = tuple(as_said(reply) for reply in answer.replies)
    found: dict[str, Any] = to_builtins(
        KeptAnswer(replies, answer.handoff, answer.record, answer.spent, answer.unsupported)
    )
    return found


def again(progress: Mapping[str, Any]) -> Answer:
    """The inverse of `kept`."""
    found = convert(progress, KeptAnswer)
    return Answer(
        replies=found.replies,
        handoff=found.handoff,
        record=found.record,
        unsupported=found.unsupported,
        spent=found.spent,
    )


def joined(answers: Sequence[Answer]) -> Answer:
    """The answers to the parts of one message as one: replies in order, the last receipt and session."""
    if not answers:
        return Answer()
    last = answers[-1]
    if len(answers) == 1:
        return last
    return replace(
        last,
        replies=tuple(reply for answer in answers for reply in answer.replies),
        unsupported=tuple(what for answer in answers for what in answer.unsupported),
        handoff=any(answer.handoff for answer in answers),
        record=next((answer.record for answer in answers if answer.record), None),
        spent=sum(known) if (known := [answer.spent for answer in answers if answer.spent is not None]) else None,
    )
