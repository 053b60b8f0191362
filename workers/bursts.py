"""What a customer writes in quick succession is asked of a bot as one question.

Which messages make the question is kept before it is asked, so that each further try asks the same; what comes later is
of the next question. They leave their mailbox together (see `app/store/scripts/parts/bursts.lua`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from app.core.consent import word_of
from app.core.lane import SILENT
from app.core.message import Message, Text
from app.core.text import length
from app.core.work import Achieved, Retry
from workers.job import Job

MAX_MESSAGES = 50  # in one question
MAX_WAIT = 30.0  # seconds for which a message waits for others
WAITING = "burst"  # why it is tried again later


def gathered(job: Job, message: Message) -> Message | Retry:
    """The head as it is to be asked, with the words of all that are asked with it; or more may come, so it waits.

    Raises:
        LeaseLost: nothing may be settled.
        StoreUnavailable: what stands behind it cannot be read.
    """
    claim = job.claim
    if not job.destination.asks_together:  # not any more, perhaps
        return _asked(job, [message]) if claim.asked else message
    if known := claim.asked or late(job, message):
        return _asked(job, [message, *(_behind(job, known) if len(known) > 1 else ())])
    burst = job.burst
    if not burst or claim.uncertain or claim.progress or not _is_words(message):
        return message
    behind = job.gateway.store.mailboxes.following(claim, MAX_MESSAGES - 1)
    question = list(_fitting(job, message, behind.messages))
    may_grow = len(question) == behind.items + 1 < MAX_MESSAGES
    if may_grow and (wait := seconds_left(burst, question[-1].at, claim.first_at, claim.now)):
        return Retry(claim, reason=WAITING, due=wait, counts=False, lane=SILENT)
    return _asked(job, question)


def late(job: Job, message: Message) -> tuple[str, ...]:
    """The question that was asked already and came back from people, if the head begins it."""
    ids = tuple(job.session.late.split())
    return ids if ids[:1] == (message.id,) else ()


def seconds_left(burst: float, last_at: int, first_at: int, now: int) -> float:
    """How long a question waits yet: `burst` seconds after its last message, and MAX_WAIT in all. Times are in Unix ms.

    Args:
        last_at: when its last message came, by the clock of the receiver; one that is far ahead says nothing.
        first_at: when its first message was first worked; a clock that was set back since does not hold it up.
    """
    if first_at > now:
        return 0.0
    quiet_since = last_at if last_at <= now + burst * 1000 else first_at
    until = min(quiet_since + burst * 1000, first_at + MAX_WAIT * 1000)
    return max(0.0, (until - now) / 1000)


def _behind(job: Job, known: Sequence[str]) -> Iterator[Message]:
    found = job.gateway.store.mailboxes.following(job.claim, len(known) - 1)
    return (one for one in found.messages if one.id in known)


def _fitting(job: Job, head: Message, behind: Sequence[Message]) -> Iterator[Message]:
    """The head, and what may be asked with it: words, for the same task, as long as all of them fit."""
    unit, limit = job.destination.capabilities.text_unit, job.destination.longest_question
    size = length(_words(head), unit)
    yield head
    for message in behind:
        size += 1 + length(_words(message), unit)
        if not _is_words(message) or _task(message) != _task(head) or (limit is not None and size > limit):
            return
        yield message


def _asked(job: Job, messages: Sequence[Message]) -> Message:
    """Kept anew where it is not what was kept: what cannot be read any more is not asked, nor what is behind it."""
    ids = tuple(message.id for message in messages)
    if ids != job.claim.asked:
        job.achieved(Achieved(asked=ids))
        job.claim = replace(job.claim, asked=ids)
    head = messages[0]
    return head if len(messages) == 1 else replace(head, content=Text("\n".join(map(_words, messages))))


def _is_words(message: Message) -> bool:
    return isinstance(message.content, Text) and not word_of(message.metadata.get("opt_out"))


def _words(message: Message) -> str:
    return message.content.text if isinstance(message.content, Text) else ""


def _task(message: Message) -> object:
    return message.metadata.get("target_task")
