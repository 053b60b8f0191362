"""Python looks for garbage only among what the tests make: what modules and thousands of collected tests hold stays.

A full look through all of that takes a quarter of a second and more, and there were dozens of them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

OFTEN = 10_000  # new objects until the next look, in place of 700


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(OFTEN)
        gc.enable()
