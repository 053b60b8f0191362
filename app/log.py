"""Structured logs: one JSON object a line on standard output, every configured secret redacted, no message bodies."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import structlog

REDACTED = "[redacted]"


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that blots out the given values wherever they stand in a text."""
    known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
    if not known:
        return lambda text: text
    pattern = re.compile("|".join(re.escape(secret) for secret in known))
    return lambda text: pattern.sub(REDACTED, text)


def configure(secrets: Iterable[str] = ()) -> None:
    """Set up logging for this process; call once at its start."""
    blot = redactor(secrets)

    def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: blot(value) if isinstance(value, str) else value for name, value in event.items()}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Any:
    """A logger whose lines carry `part=name`."""
    return structlog.get_logger(part=name)
