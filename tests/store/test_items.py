"""The scripts know items by the same table as Python, and have it in one place."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from app.core.work import TAGS, AskPrice, Deliver, End, Handoff, LostHandoff, Poll, Report, item_text

FOLDER = resources.files("app.store") / "scripts"
PARTS = FOLDER / "parts"
TABLE = {
    "DELIVER": f"{TAGS[Deliver]} ",
    "DELIVERED": f"^{TAGS[Deliver]} (%S+)",
    "REPORT": f"{TAGS[Report]} ",
    "REPORTED": f"^{TAGS[Report]} (%S+)",
    "ASK_PRICE": f"{TAGS[AskPrice]} ",
    "HANDOFF": item_text(Handoff()),
    "HANDOFF_AGAIN": item_text(Handoff(again=True)),
    "LOST_HANDOFF": item_text(LostHandoff()),
    "POLL": item_text(Poll()),
    "END": item_text(End()),
    "END_BY_PLATFORM": item_text(End("platform")),
}
OTHERS = {
    file.name: file.read_text()
    for folder in (FOLDER, PARTS)
    for file in folder.iterdir()
    if file.name.endswith(".lua") and file.name != "items.lua"
}
FIELDS = {"message", "status", "price"}  # words that alone are names of something else, too


def test_both_sides_have_the_same_table() -> None:
    known = {}
    for names, values in re.findall(r"^local (.+?) = ([^-\n]+)", (PARTS / "items.lua").read_text(), re.MULTILINE):
        known |= dict(zip(names.split(", "), re.findall(r"'([^']*)'", values), strict=True))
    assert known == TABLE


@pytest.mark.parametrize("script", OTHERS)
def test_no_script_writes_or_reads_an_item_by_itself(script: str) -> None:
    words = (text.removeprefix("^") for text in re.findall(r"'([^'\n]*)'", re.sub(r"--.*", "", OTHERS[script])))
    tags = {*TAGS.values()}
    found = [text for text in words if text.partition(" ")[0] in tags and (" " in text or text not in FIELDS)]
    assert found == []
