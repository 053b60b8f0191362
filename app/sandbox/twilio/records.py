"""What every record of Twilio's has, and how answers write moments."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeAlias

Form: TypeAlias = dict[str, Any]


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def now() -> datetime:
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """As REST answers have it: whole seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def iso_milliseconds(moment: datetime) -> str:
    """As webhooks have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def rfc2822(moment: datetime | None) -> str | None:
    """As the oldest API has it."""
    return format_datetime(moment) if moment else None


@dataclass(frozen=True, kw_only=True)
class Dated:
    """A frozen record: it is replaced, never changed. What has no `repr` is not shown by `/inspect` either."""

    sid: str
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)


@dataclass(frozen=True, kw_only=True)
class File(Dated):
    content_type: str
    data: bytes = field(repr=False)
    filename: str | None = None
