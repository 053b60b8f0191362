"""Dataclasses whose instances are never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """A dataclass that is frozen for the type checker alone.

    With `frozen=True` each instance would guard its fields as well. Making one takes more than twice as long then,
    which was a fifth of what a worker did for a message.
    """
    return dataclass(unsafe_hash=True)(cls)
