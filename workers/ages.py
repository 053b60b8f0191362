"""A customer's message that comes late says so: to who answers it, three hours later, it may mean something else.

The mark never changes how many parts come before what is the customer's, so that a further try goes on where the last
one stopped, and is recognised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.age import mark
from app.core.message import Content, Message, Text
from app.core.text import length
from workers.job import Job


def written_at(job: Job, message: Message) -> int:
    """When the message was written (Unix ms), if it comes late; else 0."""
    after = _values(job)["late_after"]
    return message.at if after and job.claim.now - message.at > after * 1000 else 0


def marked(job: Job, message: Message, parts: Sequence[Content]) -> Sequence[Content]:
    """The parts with the mark: in front of the words. Where there are none, or no room, people read it behind."""
    written = written_at(job, message)
    if not written or not parts or job.destination.tells_age:
        return parts
    said, able = mark(_values(job)["late_text"], written, job.claim.now), job.destination.capabilities
    first, *others = parts
    if isinstance(first, Text):
        text = f"{said}\n{first.text}"
        limit = job.destination.longest_question or able.text_limit
        if limit is None or length(text, able.text_unit) <= limit:
            return (Text(text), *others)
    return (*parts, Text(said)) if able.people else parts


def _values(job: Job) -> Mapping[str, Any]:
    return job.gateway.settings.destinations[job.destination.name].values
