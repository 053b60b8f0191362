"""What must hold between a Flex destination's table and others."""

from __future__ import annotations

from collections.abc import Iterator

from app.platforms.tables import Table, Tables


def problems(mine: Table, tables: Tables) -> Iterator[tuple[str, str]]:
    """See `app.platforms.tables.HasRules`. A customer's address names them in Flex, unless two channels have the same
    ones."""
    shared = tables.sharing(mine.name)
    if mine.values.get("target", "address") == "address" and shared:
        users = ", ".join(one.name for one in shared)
        yield "target", f"Must be conversation, because channels of one provider share this destination: {users}."
