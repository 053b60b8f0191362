"""The table `costs`: what messages and turns cost, and of which the platform is asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from marshmallow import Schema

from app.config.tables import KINDS, Found, tables_of, type_of, validated
from app.core.costs import ChannelPrices, ChannelSchema, DestinationSchema, PriceTable, TableSchema
from app.platforms.channel import TellsPrices
from app.platforms.registry import PlatformError, channel_class

PRICES: Mapping[str, type[Schema]] = {"channels": ChannelSchema, "destinations": DestinationSchema}


def prices_of(resolved: Mapping[str, Any], found: Found) -> PriceTable:
    """The price table; what is wrong with it is noted, and then it is of no use."""
    table = resolved["costs"]
    if not isinstance(table, dict):
        found.append(("costs", "Must be a table."))
        return PriceTable()
    alone = {name: value for name, value in table.items() if name not in PRICES}
    currency = (validated(TableSchema(), alone, "costs", found) or {}).get("currency", "")
    channels, destinations = (_prices(table.get(kind, {}), kind, resolved, found) for kind in PRICES)
    return PriceTable(
        currency=currency,
        channels={name: ChannelPrices(**values) for name, values in channels.items()},
        turns={name: values["turn"] for name, values in destinations.items()},
    )


def _prices(tables: Any, kind: str, resolved: Mapping[str, Any], found: Found) -> dict[str, dict[str, Any]]:
    """The valid ones of one kind, by name."""
    prices: dict[str, dict[str, Any]] = {}
    if not isinstance(tables, dict):
        found.append((f"costs.{kind}", "Must be a table of tables."))
        return prices
    for name, values in tables.items():
        key, priced = f"costs.{kind}.{name}", tables_of(resolved, kind).get(name)
        if priced is None:
            found.append((key, f"There is no {KINDS[kind]} {name}."))
            continue
        if valid := validated(PRICES[kind](), values, key, found):
            prices[name] = valid
        if valid and valid.get("reported") and _is_untold(type_of(priced)):
            found.append((f"{key}.reported", f"Must be false: no channel of type {type_of(priced)} is told prices."))
    return prices


def _is_untold(type_: str) -> bool:
    """Whether channels of that type are never told what their platform charged; a type that is none is named as
    such."""
    with suppress(KeyError, PlatformError):
        return not issubclass(channel_class(type_), TellsPrices)
    return False
