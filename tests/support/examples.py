"""How many made-up cases a property test tries: as many as it says, or a tenth of them in `make quick`."""

from __future__ import annotations

from hypothesis import settings

USUAL, FEWEST = 100, 2


def examples(number: int) -> int:
    """`number` by the profile that counts; only asked once it is loaded, so not by what a conftest imports."""
    return max(FEWEST, number * settings.default.max_examples // USUAL)
