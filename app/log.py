"""Structured logs: one JSON object a line on standard output, every configured secret redacted, no message bodies."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import structlog

from app.core.reading import clean

REDACTED = "[redacted]"
LEAST = 4  # characters; blotting out less would blot out words


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that blots out the given values wherever they stand in a text, also as a JSON string has them."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1])}
    known = sorted((form for form in forms if len(form) >= LEAST), key=len, reverse=True)
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(secret) for secret in known))
    # hardly a text has one, and looking for them one by one is quicker than the pattern
    return lambda text: pattern.sub(REDACTED, text) if any(form in text for form in known) else text


def configure(secrets: Iterable[str] = ()) -> None:
    """Set up logging for this process; call once at its start."""
    blot = redactor(secrets)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
            lambda _, __, line: blot(str(line)),  # the whole line, so nothing inside a list or an object slips through
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )


def _json(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:  # half a surrogate pair, or a number without end: a log line must come to be all the same
        return orjson.dumps(clean(event), **options).decode()


def logger(name: str) -> Any:
    """A logger whose lines carry `part=name`."""
    return structlog.get_logger(part=name)
