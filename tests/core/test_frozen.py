"""Values cannot be changed: the type checker says so, as nothing else does."""

from __future__ import annotations

import pytest
from mypy import api

MADE = """
from dataclasses import field, replace

from app.core.frozen import frozen

@frozen
class Point:
    x: int
    tags: tuple[str, ...] = field(default=())

point = Point(1)
"""

# A line that follows, and what is said of it; nothing if it is right.
LINES: dict[str, tuple[str, str]] = {
    "read": ("print(point.x, point.tags, replace(point, x=2))", ""),
    "changed": ("point.x = 2", '"x" defined in "Point" is read-only'),
    "made without a field": ("Point()", 'Missing positional argument "x"'),
    "replaced by another type": ('replace(point, x="2")', 'expected "int"'),
}


@pytest.mark.parametrize(("line", "said"), LINES.values(), ids=LINES)
def test_the_type_checker_keeps_values(line: str, said: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.getbasetemp() / "mypy"
    found, trouble, code = api.run(["--config-file=", "--strict", f"--cache-dir={cache}", "-c", MADE + line])
    assert (said in found, trouble, code) == (True, "", 1 if said else 0), found
