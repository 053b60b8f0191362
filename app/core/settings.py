"""The configuration keys that every platform has; adapters add theirs."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

A_YEAR = 366 * 86_400  # seconds
PRINTABLE = r"[!-~][ -~]{6,}[!-~]\Z"  # it travels in headers, and those cannot carry other characters

SIGNING = r"[!-~][ -~]{30,}[!-~]\Z"


def seconds_or_none(value: float) -> None:
    """A time after which something happens. Raises: ValidationError."""
    if value and not 1 <= value <= A_YEAR:
        raise ValidationError(f"Must be 0 (never), or 1 to {A_YEAR} seconds.")


def per_second_or_none(value: float) -> None:
    """Raises: ValidationError."""
    if value and not 0.001 <= value <= 1_000:
        raise ValidationError("Must be 0 (no limit), or 0.001 to 1000 a second.")


class PlatformSchema(Schema):
    """Configuration keys that every channel and destination has; unknown keys are errors.

    `concurrency` is how many conversations of the lane are worked at once at most, fleet-wide (None: as many as it
    finds good); `rate` calls a second (0: no limit), `rate_each` messages a second of one conversation; `timeout`
    seconds for one call; a message is given up after `attempts` tries or `give_up_after` seconds. One that waited
    longer than `expire_after` seconds, since it was accepted, is not sent (0: it is, however late).
    `dedup_window`: seconds for which the platform's ids are remembered, so that what it repeats counts once; without it
    as long as it repeats and a day more, but at least as long as the gateway's. It may exceed the time for which
    messages are kept.
    """

    type = fields.String(required=True)
    concurrency = fields.Integer(load_default=None, validate=validate.Range(1, 4096))
    rate = fields.Float(load_default=0.0, validate=validate.Range(0))
    rate_each = fields.Float(load_default=0.0, validate=per_second_or_none)
    timeout = fields.Float(load_default=10.0, validate=validate.Range(0.1, 300))
    attempts = fields.Integer(load_default=10, validate=validate.Range(1, 100))
    retry_base = fields.Float(load_default=1.0, validate=validate.Range(0.01, 60))
    give_up_after = fields.Float(load_default=86_400.0, validate=validate.Range(1))
    expire_after = fields.Float(load_default=0.0, validate=seconds_or_none)
    dedup_window = fields.Integer(load_default=None, validate=validate.Range(1, A_YEAR))


CALLS = validate.Range(0, 10_000_000)


class ChannelLimitsSchema(Schema):
    """How often a minute one `visitor` (or customer), all from one `address`, and the whole `channel` may call; 0: as
    often as they like. What is missing is as the gateway's `limits` say where anybody may call, else not limited."""

    visitor, address, channel = (fields.Integer(load_default=None, allow_none=True, validate=CALLS) for _ in range(3))


class CallLimitsSchema(Schema):
    """The same for every channel where anybody may call. A person writes far less, and so does an office of them."""

    visitor = fields.Integer(load_default=120, validate=CALLS)
    address = fields.Integer(load_default=600, validate=CALLS)
    channel = fields.Integer(load_default=12_000, validate=CALLS)


class TablesField(fields.Dict):
    """Tables by name. A problem is named by the key under which it stands in the file."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # marshmallow's
        except ValidationError as error:
            found = error.messages
            if not isinstance(found, dict):
                raise
            raise ValidationError({name: parts.get("key") or parts["value"] for name, parts in found.items()}) from None


def secret_field(**kwargs: Any) -> fields.String:
    """A value that must never appear in a log, a page or an error; long enough to be told from other text there."""
    return fields.String(
        metadata={"secret": True},
        validate=validate.Regexp(PRINTABLE, error="Must be 8 or more printable ASCII characters."),
        **kwargs,
    )


def signing_field(what: str) -> fields.String:
    """A secret of our own that signs `what`: whoever has something signed may try at home what it was signed with."""
    rule = (
        f"Must be 32 or more printable ASCII characters, because it signs {what}; make one with: openssl rand -hex 32"
    )
    return fields.String(metadata={"secret": True}, validate=validate.Regexp(SIGNING, error=rule))


def sid_field(prefix: str, *, required: bool = True) -> fields.String:
    """An identifier of a prefix and 32 hex digits; an optional one is None where it is missing."""
    rule = validate.Regexp(rf"{prefix}[0-9a-fA-F]{{32}}\Z", error=f"Must be {prefix} and 32 hex digits.")
    return fields.String(required=True, validate=rule) if required else fields.String(load_default=None, validate=rule)
