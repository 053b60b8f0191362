"""What messages cost. Amounts are whole nanos (1e-9) of the configured currency, so that every sum is exact.

A message costs its channel's price once: the customer's when it is accepted, one to the customer when it was sent. A
question to a destination costs that destination's turn once it is answered. What a platform reports about a message
takes the place of the table's price. The store keeps the sums, in the steps that cause them (`book` in
`store/scripts`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from marshmallow import Schema, ValidationError, fields, post_load, validate
from msgspec import Struct, field
from msgspec.structs import replace

from app.core.errors import InvalidInput
from app.core.message import Message
from app.core.schema import load

NANOS = 10**9
MAX_NANOS = 1_000 * NANOS  # for one message
AMOUNT = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")
RULE = "Must be a decimal number of 0 to 1000 with at most 9 decimals."
TURN = "turn:"  # begins what a destination's turns are booked under
EPOCH = date(1970, 1, 1)
USUAL_DAYS = 30  # of a list where nobody says which
MAX_DAYS = 366
DAY: dict[str, Any] = {
    "format": "%Y-%m-%d",
    "error_messages": {"invalid": "Must be a day as YYYY-MM-DD."},
    "validate": validate.Range(min=EPOCH),
}

What = Literal["inbound", "outbound", "template"]
COLUMNS = ("inbound", "outbound", "template", "turns", "total")  # of `Costs`


class Cost(Struct, frozen=True):
    """What a step books: `nanos` under `what`, one of `What` or `turn:DESTINATION`. `refs` are the platform's own ids
    of the message (of all its parts), if the platform is to be asked what it charged."""

    what: str
    nanos: int
    refs: tuple[str, ...] = ()


class Price(Struct, frozen=True):
    """What a platform says that it charged for one message. `currency` is three capitals of ISO 4217."""

    nanos: int
    currency: str


class ChannelPrices(Struct, frozen=True):
    """Nanos of one message. `reported`: the platform is asked what it charged."""

    inbound: int = 0
    outbound: int = 0
    template: int = 0
    reported: bool = False


class PriceTable(Struct, frozen=True):
    """The configuration's prices; without a currency there is none, and nothing is booked. `turns` by destination."""

    currency: str = ""
    channels: Mapping[str, ChannelPrices] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)

    def of_message(self, message: Message, parts: int = 1, refs: Iterable[str] = ()) -> Cost | None:
        """What a message costs that goes as so many parts; None if nothing is to be booked.

        Args:
            refs: the platform's own ids of the parts. If not all of them are known, it is not asked.
        """
        prices = self.channels.get(message.channel)
        if prices is None:
            return None
        what = kind_of(message)
        count = min(parts, 1) if what == "template" else parts
        nanos = count * {"inbound": prices.inbound, "outbound": prices.outbound, "template": prices.template}[what]
        known = tuple(refs) if prices.reported else ()
        return _cost(what, nanos, known if len(known) == count else ())

    def of_turn(self, destination: str, parts: int, spent: int | None = None) -> Cost | None:
        """What a question of so many parts costs that a destination has answered.

        Args:
            spent: nanos, where the destination says what it cost; at most as much as one message may.
        """
        if spent is None:
            return _cost(f"{TURN}{destination}", parts * self.turns.get(destination, 0))
        return _cost(f"{TURN}{destination}", min(max(spent, 0), MAX_NANOS)) if self.currency else None


class Costs(Struct, frozen=True):
    """Nanos that were booked on one day (UTC) for one channel; None and '' where several are summed up."""

    day: date | None = None
    channel: str = ""
    inbound: int = 0
    outbound: int = 0
    template: int = 0
    turns: int = 0

    @property
    def total(self) -> int:
        return self.inbound + self.outbound + self.template + self.turns

    @property
    def amounts(self) -> dict[str, str]:
        """Every column as a decimal number."""
        return {column: amount_of(getattr(self, column)) for column in COLUMNS}

    def plus(self, what: str, nanos: int) -> Costs:
        name = "turns" if what.startswith(TURN) else what
        return replace(self, **{name: getattr(self, name) + nanos})


class MessageCosts(Struct, frozen=True):
    """Nanos of one message: `message` itself, `turns` of destinations that answered it. `day` is when it was booked
    first (None: nothing was), `refs` what its platform is still to be asked about."""

    conversation: str
    message: int = 0
    turns: int = 0
    day: date | None = None
    reported: bool = False
    refs: tuple[str, ...] = ()


def kind_of(message: Message) -> What:
    """Under what a message is booked. The platforms know a template by the sid of its content."""
    if message.direction == "inbound":
        return "inbound"
    template = message.metadata.get("content_sid")
    return "template" if isinstance(template, str) and template else "outbound"


def summed(rows: Sequence[Costs], by: Literal["day", "channel", ""]) -> list[Costs]:
    """The rows of each day or channel added up, in order; with '' all of them in one row."""
    sums: dict[tuple[date | None, str], Costs] = {}
    for row in rows:
        key = row.day if by == "day" else None, row.channel if by == "channel" else ""
        sums[key] = _added(sums.get(key, Costs(*key)), row)
    found = sorted(sums.values(), key=lambda row: (row.day or EPOCH, row.channel))
    return found if by else found or [Costs()]


def _added(one: Costs, other: Costs) -> Costs:
    return replace(one, **{what: getattr(one, what) + getattr(other, what) for what in COLUMNS[:-1]})


def _cost(what: str, nanos: int, refs: tuple[str, ...] = ()) -> Cost | None:
    return Cost(what, nanos, refs) if nanos or refs else None


def nanos_of(text: str) -> int:
    """An amount as it is written. Raises: ValueError, it breaks the rule."""
    if not AMOUNT.fullmatch(text):
        raise ValueError(RULE)
    whole, _, part = text.partition(".")
    nanos = int(whole) * NANOS + int(part.ljust(9, "0"))
    if nanos > MAX_NANOS:
        raise ValueError(RULE)
    return nanos


def amount_of(nanos: int) -> str:
    """Nanos as a decimal number: no exponent, no zeros at the end."""
    whole, part = divmod(abs(nanos), NANOS)
    return f"{'-' if nanos < 0 else ''}{whole}.{part:09d}".rstrip("0").rstrip(".")


def day_number(day: date) -> int:
    """Days since 1970, as the store counts them."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    return EPOCH + timedelta(days=number)


class AmountField(fields.Field[int]):
    """An amount in a configuration, as nanos. TOML's numbers are floats by now, but the shortest text of a float is
    what stands in the file as long as that has at most 15 digits, and an amount has 13."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            return nanos_of(f"{Decimal(str(value)):f}" if number else value)
        except (ValueError, TypeError):  # of no number, or neither number nor text
            raise ValidationError(RULE) from None


class TableSchema(Schema):
    """`currency` by ISO 4217. The tables of channels and destinations are checked one by one."""

    currency = fields.String(
        required=True, validate=validate.Regexp(r"[A-Z]{3}\Z", error="Must be three capitals, as in USD.")
    )


class ChannelSchema(Schema):
    inbound = AmountField(load_default=0)
    outbound = AmountField(load_default=0)
    template = AmountField(load_default=None)
    reported = fields.Boolean(load_default=False)

    @post_load
    def _template_as_any_other(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {**data, "template": data["outbound"]} if data["template"] is None else data


class DestinationSchema(Schema):
    turn = AmountField(required=True)


class AskedSchema(Schema):
    """Of which days, both included, and of which channel costs are asked for."""

    first = fields.Date(data_key="from", load_default=None, **DAY)
    last = fields.Date(data_key="to", load_default=None, **DAY)
    channel = fields.String(load_default="")


_asked = AskedSchema()


class Asked(Struct, frozen=True):
    """`first` and `last` are included; a channel of '' stands for all."""

    first: date
    last: date
    channel: str = ""


def asked_for(values: Mapping[str, str], channels: Container[str], today: date) -> Asked:
    """What `from`, `to` and `channel` mean: the last 30 days unless they are named.

    Raises:
        InvalidInput: one of them breaks a rule, or there is no such channel.
    """
    data = load(_asked, values)
    last = data["last"] or today
    first = data["first"] or last - timedelta(days=USUAL_DAYS - 1)
    if first > last:
        raise InvalidInput("from", "Must not be after to, which is today unless it is named.")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput("from", f"Must leave at most {MAX_DAYS} days up to and with to.")
    if data["channel"] and data["channel"] not in channels:
        raise InvalidInput("channel", f"There is no channel {data['channel']}.")
    return Asked(first, last, data["channel"])
