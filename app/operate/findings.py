"""What an examination finds: in a sentence, of what, how bad, and how to mend it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Level = Literal["ok", "note", "wrong"]


class Finding(Struct, frozen=True):
    """`about` is a part of the installation (`redis`, `channels.shop`); a `note` is worth knowing, what is `wrong` must
    be mended, and `mend` says how."""

    level: Level
    about: str
    says: str
    mend: str = ""


def ok(about: str, says: str) -> Finding:
    return Finding("ok", about, says)


def note(about: str, says: str, mend: str = "") -> Finding:
    return Finding("note", about, says, mend)


def wrong(about: str, says: str, mend: str = "") -> Finding:
    return Finding("wrong", about, says, mend)
