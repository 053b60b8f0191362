"""Structured logs: one line for each thing that happened on standard output, as a JSON object or as text for people;
every configured secret redacted, no message bodies."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import orjson
import structlog

from app.core.message import split_conversation
from app.core.reading import clean

REDACTED = "[redacted]"
LEAST = 4  # characters; blotting out less would blot out words


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that blots out the given values wherever they stand in a text, also as JSON or Python write them."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])}
    known = sorted((form for form in forms if len(form) >= LEAST), key=len, reverse=True)
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(secret) for secret in known))
    # hardly a text has one, and looking for them one by one is quicker than the pattern
    return lambda text: pattern.sub(REDACTED, text) if any(form in text for form in known) else text


def configure(secrets: Iterable[str] = (), form: str = "json", *, beside: bool = False) -> None:
    """Set up logging for this process; call once at its start.

    Args:
        form: `json` or `text`.
        beside: to standard error, as standard output has what a command was asked for.
    """
    blot = redactor(secrets)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_rendering(form),
            lambda _, __, line: blot(str(line)),  # the whole line, so nothing inside a list or an object slips through
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr if beside else sys.stdout),
        cache_logger_on_first_use=True,
    )


def _rendering(form: str) -> list[Any]:
    if form == "text":
        plain = structlog.dev.plain_traceback  # the others show values
        # what others wrote is shown as Python writes it: nothing that a terminal would obey, no line of its own
        colors = sys.stdout.isatty()
        return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain, repr_native_str=True)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]


def _json(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:  # half a surrogate pair, or a number without end: a log line must come to be all the same
        return orjson.dumps(clean(event), **options).decode()


def about(conversation: str) -> AbstractContextManager[None]:
    """What is logged in this thread meanwhile says of which channel and conversation it speaks."""
    channel, _ = split_conversation(conversation)
    return structlog.contextvars.bound_contextvars(channel=channel, conversation=conversation)


def logger(name: str) -> Any:
    """A logger whose lines carry `part=name`."""
    return structlog.get_logger(part=name)
