"""What messages cost: exact amounts, which price is whose, and sums."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace

from app.core.costs import (
    MAX_NANOS,
    NANOS,
    AmountField,
    Asked,
    ChannelPrices,
    ChannelSchema,
    Cost,
    Costs,
    PriceTable,
    amount_of,
    asked_for,
    day_number,
    day_of,
    nanos_of,
    summed,
)
from app.core.errors import InvalidInput
from app.core.message import Message, Text
from tests.support.values import QUICK

MESSAGE = Message("m-1", "outbound", "whatsapp", "whatsapp:+15551230001", Text("Hi"), "bot", "helper", 0)
INBOUND = replace(MESSAGE, direction="inbound", author="customer")
TEMPLATE = replace(MESSAGE, metadata={"content_sid": "HX1"})

# --- amounts ---

amounts = st.integers(0, MAX_NANOS)


@QUICK
@given(amounts)
def test_an_amount_is_written_and_read_again(nanos: int) -> None:
    written = amount_of(nanos)
    assert nanos == nanos_of(written)
    assert nanos == Fraction(written) * NANOS
    assert "E" not in written.upper()


@QUICK
@given(amounts)
def test_a_number_of_a_configuration_is_what_stands_in_the_file(nanos: int) -> None:
    assert nanos == AmountField().deserialize(float(amount_of(nanos)))


@QUICK
@given(st.integers())
def test_any_sum_is_written_exactly(nanos: int) -> None:
    assert nanos == Fraction(amount_of(nanos)) * NANOS


WRITTEN = {
    "nothing": (0, "0"),
    "a nano": (1, "0.000000001"),
    "part of a cent": (18_500_000, "0.0185"),
    "a whole": (NANOS, "1"),
    "tens": (10 * NANOS, "10"),
    "given back": (-5_000_000, "-0.005"),
    "beyond a double": (2**60 + 1, "1152921504.606846977"),
}


@pytest.mark.parametrize(("nanos", "text"), WRITTEN.values(), ids=WRITTEN)
def test_amounts_have_no_exponent_and_no_needless_zeros(nanos: int, text: str) -> None:
    assert text == amount_of(nanos)


READ: dict[str, tuple[Any, int | None]] = {
    "a text": ("0.005", 5_000_000),
    "zeros at its end": ("0.00500", 5_000_000),
    "a whole number": (2, 2 * NANOS),
    "a small number": (1e-09, 1),
    "a number that no double holds": (0.1, 100_000_000),
    "the most": (1000, MAX_NANOS),
    "the most as text": ("1000.000000000", MAX_NANOS),
    "more": ("1000.000000001", None),
    "ten decimals": ("0.0000000001", None),
    "ten decimals as number": (1e-10, None),
    "less than nothing": ("-0.005", None),
    "less than nothing as number": (-0.005, None),
    "an exponent": ("5e-3", None),
    "no digits": (".5", None),
    "a comma": ("0,005", None),
    "a line break": ("0.005\n", None),
    "other digits": ("\u0660.\u0665", None),
    "nothing": ("", None),
    "truth": (True, None),
    "a list": (["0.005"], None),
    "no number": (float("nan"), None),
    "without end": (float("inf"), None),
    "far too many digits": (10**5_000, None),
}


@pytest.mark.parametrize(("value", "nanos"), READ.values(), ids=READ)
def test_what_is_an_amount_in_a_configuration(value: Any, nanos: int | None) -> None:
    if nanos is not None:
        assert nanos == AmountField().deserialize(value)
        return
    with pytest.raises(ValidationError, match="Must be a decimal number of 0 to 1000 with at most 9 decimals"):
        AmountField().deserialize(value)


# --- prices ---

TABLE = PriceTable("USD", {"whatsapp": ChannelPrices(5, 7, 13)}, {"helper": 1})
REPORTED = PriceTable("USD", {"whatsapp": ChannelPrices(0, 7, 13, reported=True)})
PRICES: dict[str, tuple[PriceTable, Message, int, list[str], Cost | None]] = {
    "a customer's": (TABLE, INBOUND, 1, ["SM1"], Cost("inbound", 5)),
    "one to a customer": (TABLE, MESSAGE, 1, ["SM1"], Cost("outbound", 7)),
    "one in parts": (TABLE, MESSAGE, 3, [], Cost("outbound", 21)),
    "one of no parts": (TABLE, MESSAGE, 0, [], None),
    "a template": (TABLE, TEMPLATE, 1, [], Cost("template", 13)),
    "a template whose text has parts": (TABLE, TEMPLATE, 3, [], Cost("template", 13)),
    "a template's sid on a customer's": (TABLE, replace(TEMPLATE, direction="inbound"), 1, [], Cost("inbound", 5)),
    "no sid": (TABLE, replace(MESSAGE, metadata={"content_sid": ""}), 1, [], Cost("outbound", 7)),
    "a sid that is none": (TABLE, replace(MESSAGE, metadata={"content_sid": 5}), 1, [], Cost("outbound", 7)),
    "another channel": (TABLE, replace(MESSAGE, channel="sms"), 1, [], None),
    "no table": (PriceTable(), MESSAGE, 1, [], None),
    "to be asked for": (REPORTED, MESSAGE, 1, ["SM1"], Cost("outbound", 7, ("SM1",))),
    "to be asked for in parts": (REPORTED, MESSAGE, 2, ["SM1", "SM2"], Cost("outbound", 14, ("SM1", "SM2"))),
    "a part without id": (REPORTED, MESSAGE, 2, ["SM1"], Cost("outbound", 14)),
    "a template to be asked for": (REPORTED, TEMPLATE, 2, ["SM1"], Cost("template", 13, ("SM1",))),
    "free until it is told": (REPORTED, INBOUND, 1, ["SM1/1"], Cost("inbound", 0, ("SM1/1",))),
    "free without id": (REPORTED, INBOUND, 1, [], None),
}


@pytest.mark.parametrize(("table", "message", "parts", "refs", "cost"), PRICES.values(), ids=PRICES)
def test_what_a_message_costs(
    table: PriceTable, message: Message, parts: int, refs: list[str], cost: Cost | None
) -> None:
    assert cost == table.of_message(message, parts, refs)


def test_what_a_turn_costs() -> None:
    assert Cost("turn:helper", 2) == TABLE.of_turn("helper", 2)
    assert TABLE.of_turn("helper", 0) is TABLE.of_turn("desk", 1) is None


TOLD: dict[str, tuple[PriceTable, int, Cost | None]] = {
    "in the place of the table's price": (TABLE, 7, Cost("turn:helper", 7)),
    "nothing": (TABLE, 0, None),
    "less than nothing": (TABLE, -7, None),
    "more than can be": (TABLE, 10**30, Cost("turn:helper", MAX_NANOS)),
    "where nothing is booked": (PriceTable(), 7, None),
}


@pytest.mark.parametrize(("table", "spent", "cost"), TOLD.values(), ids=TOLD)
def test_what_a_destination_says_that_a_turn_cost(table: PriceTable, spent: int, cost: Cost | None) -> None:
    assert cost == table.of_turn("helper", 3, spent)


def test_a_template_costs_as_much_as_any_other_unless_it_is_said() -> None:
    assert [7, 0] == [ChannelSchema().load(values)["template"] for values in ({"outbound": "0.000000007"}, {})]
    assert 0 == ChannelSchema().load({"outbound": "1", "template": "0"})["template"]


# --- sums ---

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
ROWS = [
    Costs(MONDAY, "sms", 1, 2, 3, 4),
    Costs(MONDAY, "whatsapp", inbound=10),
    Costs(TUESDAY, "sms", template=100, turns=1),
]


def test_rows_are_summed_by_day_by_channel_and_in_all() -> None:
    assert [Costs(MONDAY, "", 11, 2, 3, 4), Costs(TUESDAY, "", template=100, turns=1)] == summed(ROWS, "day")
    assert [Costs(None, "sms", 1, 2, 103, 5), Costs(None, "whatsapp", 10)] == summed(ROWS[::-1], "channel")
    assert [Costs(None, "", 11, 2, 103, 5)] == summed(ROWS, "")
    assert [[], [], [Costs()]] == [summed([], "day"), summed([], "channel"), summed([], "")]
    assert [10, 10, 101] == [row.total for row in ROWS]


def test_all_turns_are_one_column() -> None:
    row = Costs().plus("turn:helper", 1).plus("turn:other", 2).plus("template", 5)
    assert Costs(turns=3, template=5) == row
    assert {"inbound": "0", "outbound": "0", "template": "0.000000005", "turns": "0.000000003"} == {
        column: amount for column, amount in row.amounts.items() if column != "total"
    }


@QUICK
@given(st.dates(min_value=date(1970, 1, 1)))
def test_days_are_counted_since_1970(day: date) -> None:
    assert day == day_of(day_number(day))
    assert date(1970, 1, 1) + timedelta(days=day_number(day)) == day


# --- what is asked for ---

TODAY = date(2026, 3, 31)
ASKED: dict[str, tuple[dict[str, str], Asked]] = {
    "nothing": ({}, Asked(date(2026, 3, 2), TODAY)),
    "since when": ({"from": "2026-03-30"}, Asked(date(2026, 3, 30), TODAY)),
    "until when": ({"to": "2026-03-30"}, Asked(date(2026, 3, 1), date(2026, 3, 30))),
    "one day": ({"from": "2026-01-01", "to": "2026-01-01"}, Asked(date(2026, 1, 1), date(2026, 1, 1))),
    "a leap year": ({"from": "2024-01-01", "to": "2024-12-31"}, Asked(date(2024, 1, 1), date(2024, 12, 31))),
    "a channel": ({"channel": "sms"}, Asked(date(2026, 3, 2), TODAY, "sms")),
    "days to come": ({"to": "2026-04-30"}, Asked(date(2026, 4, 1), date(2026, 4, 30))),
    "the first days": ({"to": "1970-01-01"}, Asked(date(1969, 12, 3), date(1970, 1, 1))),
}


@pytest.mark.parametrize(("values", "asked"), ASKED.values(), ids=ASKED)
def test_which_days_are_meant(values: dict[str, str], asked: Asked) -> None:
    assert asked == asked_for(values, ["sms"], TODAY)


REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "no such day": ({"from": "2026-02-30"}, "from", "Must be a day as YYYY-MM-DD."),
    "words": ({"to": "today"}, "to", "Must be a day as YYYY-MM-DD."),
    "nothing": ({"to": ""}, "to", "Must be a day as YYYY-MM-DD."),
    "before 1970": ({"to": "0001-01-01"}, "to", "Must be greater than or equal to 1970-01-01."),
    "the wrong way round": ({"from": "2026-03-02", "to": "2026-03-01"}, "from", "Must not be after to, which is today"),
    "from tomorrow": ({"from": "2026-04-01"}, "from", "Must not be after to, which is today"),
    "too many days": ({"from": "2025-01-01", "to": "2026-01-02"}, "from", "Must leave at most 366 days"),
    "an unknown channel": ({"channel": "fax"}, "channel", "There is no channel fax."),
    "something else": ({"form": "2026-01-01"}, "form", "Unknown field."),
}


@pytest.mark.parametrize(("values", "field", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_asked_for_is_named(values: dict[str, str], field: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        asked_for(values, ["sms"], TODAY)
    assert (field, True) == (raised.value.field, raised.value.rule.startswith(rule))
