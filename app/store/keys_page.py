"""The tables of `docs/redis.md`, as the map of Redis (`keys.py`) has them: `python -m app.store.keys_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from app.store.key import Key
from app.store.keys import GROUPS


def as_markdown() -> str:
    """The tables of `docs/redis.md`."""
    return "\n".join(line for title, group in GROUPS.items() for line in _section(title, group))


def _section(title: str, group: Sequence[Key]) -> Iterator[str]:
    yield from (f"## {title}", "")
    yield from ("| key | type | what it holds | kept | written by |", "| --- | --- | --- | --- | --- |")
    for key in group:
        writers = ", ".join(f"`{writer}`" for writer in key.writers)
        cells = (f"`{_cell(key.pattern)}`", key.type, key.holds, key.until or "for ever", writers)
        yield f"| {' | '.join(cells)} |"
    yield ""
    for key in (key for key in group if key.fields):
        yield from (f"Fields of `{key.pattern}`:", "", "| field | full name | what it is |", "| --- | --- | --- |")
        yield from (f"| `{_cell(field.name)}` | {field.full} | {field.what} |" for field in key.fields)
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
