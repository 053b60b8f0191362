"""The fixtures of both generations; a test file of one of them says so with a `generation` of its own."""

from __future__ import annotations

import pytest

from tests.platforms.flex.generations import GENERATIONS, SETUPS, Generation
from tests.platforms.flex.world import Place, Setup


@pytest.fixture(params=GENERATIONS.values(), ids=list(GENERATIONS))
def generation(request: pytest.FixtureRequest) -> Generation:
    found: Generation = request.param
    return found


@pytest.fixture(params=SETUPS.values(), ids=list(SETUPS))
def setup(request: pytest.FixtureRequest) -> Setup:
    found: Setup = request.param
    return found


@pytest.fixture
def place(generation: Generation, flex_sandbox: str) -> Place:
    return Place(generation.first, flex_sandbox)


@pytest.fixture
def each_place(setup: Setup, flex_sandbox: str) -> Place:
    return Place(setup, flex_sandbox)
