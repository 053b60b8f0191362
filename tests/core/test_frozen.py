"""Values cannot be changed, whoever tries, and the type checker says so beforehand."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from msgspec import Struct

import app.core
import app.store
from app.core.message import Text

VALUES = {
    value
    for package in (app.core, app.store)
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    for value in vars(importlib.import_module(found.name)).values()
    if isinstance(value, type) and issubclass(value, Struct) and value is not Struct
}


@pytest.mark.parametrize("value", sorted(VALUES, key=lambda one: one.__name__), ids=lambda one: one.__name__)
def test_values_are_frozen(value: type[Struct]) -> None:
    assert value.__struct_config__.frozen


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Text("hello").text = "goodbye"  # type: ignore[misc]
