"""How many cases a property test makes up: a third of what it says, a tenth in `make quick`, more in `make deep`."""

from __future__ import annotations

from hypothesis import settings

AS_WRITTEN, FEWEST = 100, 2
PROFILES = {"quick": 10, "usual": 33, "deep": 1_000}


def load_profiles() -> None:
    """`--hypothesis-profile` chooses another one afterwards."""
    for name, number in PROFILES.items():
        settings.register_profile(name, max_examples=number)
    settings.load_profile("usual")


def examples(number: int) -> int:
    """`number` by the profile that counts; only asked once it is chosen, so not by what a conftest imports."""
    return max(FEWEST, number * settings.default.max_examples // AS_WRITTEN)
