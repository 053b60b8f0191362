"""How values show themselves in logs and errors: without what is secret."""

from __future__ import annotations

from msgspec import Struct


def shown(value: Struct, *secret: str) -> str:
    """As `repr` shows it, but for the fields named `secret`."""
    fields = (name for name in value.__struct_fields__ if name not in secret)
    return f"{type(value).__name__}({', '.join(f'{name}={getattr(value, name)!r}' for name in fields)})"
