"""The examples that a newcomer meets tell of one world."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.config.schema import check

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(text: str) -> dict[str, Any]:
    """The tables of all TOML examples in a text."""
    return tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)))


@pytest.fixture
def sandbox() -> dict[str, Any]:
    return tomllib.loads((ROOT / "app" / "sandbox" / "patchbay.toml").read_text())


@pytest.mark.parametrize(
    "raw",
    [blocks(README), tomllib.loads((ROOT / "deploy" / "patchbay.example.toml").read_text())],
    ids=["README", "example"],
)
def test_the_shop_is_the_same_everywhere(raw: dict[str, Any], sandbox: dict[str, Any]) -> None:
    shop, same = raw["channels"]["shop"], sandbox["channels"]["shop"]
    for key in ("type", "destination", "handoff"):
        assert shop[key] == same[key]
    for part in (shop["destination"], shop["handoff"]):
        assert raw["destinations"][part]["type"] == sandbox["destinations"][part]["type"]


def test_the_configuration_of_the_readme_is_valid() -> None:
    raw = blocks(README)
    names = set(re.findall(r'"env:(\w+)"', README))
    check(raw, {name: VALUES.get(name, "AC" + "1" * 32) for name in names})


VALUES = {
    "CHAT_SECRET": "a secret of 32 characters or more",
    "BOT_ASSISTANT_SID": "UA" + "1" * 32,
}
