"""`patchbay NAME provision`: the older form of `patchbay provision`, for platforms that had it by a name of their own.

What operators have written into their scripts goes on working. Nothing else is loaded here: `--help` lists these, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class OlderName(Struct, frozen=True):
    """`title` is what such a destination is called, `owner` who is asked to make what it needs."""

    title: str
    owner: str


OLDER_NAMES: Mapping[str, OlderName] = {"flex": OlderName("Flex", "Twilio")}
