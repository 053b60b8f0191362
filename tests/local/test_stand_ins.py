"""What `patchbay up --sandbox` sets up for the stand-ins."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from app.config.schema import check
from app.local import stand_ins
from app.sandbox import SandboxSettings

SANDBOX = "http://127.0.0.1:8001"
WHOLE = resources.files("app.sandbox") / "patchbay.toml"


def environment() -> dict[str, str]:
    return {**stand_ins.credentials(), **stand_ins.addresses(SANDBOX)}


def test_the_configuration_of_the_sandbox_wants_nothing_else(tmp_path: Path) -> None:
    raw = tomllib.loads(stand_ins.configuration(tmp_path).read_text())
    settings = check(raw, environment())
    assert set(raw["channels"]) | set(raw["destinations"]) == {*settings.channels, *settings.destinations}


def test_the_sandbox_takes_what_is_made_up_for_it() -> None:
    made = environment()
    assert made["SANDBOX_AUTOPILOT_AUTH_TOKEN"] == SandboxSettings.from_env(made).autopilot_auth_token


def test_credentials_are_made_up_anew_and_in_their_shape() -> None:
    one, other = stand_ins.credentials(), stand_ins.credentials()
    assert re.fullmatch(r"AC[0-9a-f]{32}", one["SANDBOX_TWILIO_ACCOUNT_SID"])
    assert re.fullmatch(r"[0-9a-f]{48}", one["SANDBOX_CHAT_SECRET"])
    assert {name for name in one if one[name] == other[name]} == set()


def test_pages_stand_below_the_sandbox() -> None:
    pages = stand_ins.pages(SANDBOX, {f"{SANDBOX}/twilio/conversations"})
    assert [("Flex desk", f"{SANDBOX}/flex   (an agent in Twilio Flex)")] == pages


# The addresses that a configuration names, and the pages that are shown to whoever started it.
USED: dict[str, tuple[set[str], list[str]]] = {
    "nothing": (set(), []),
    "a bot without a page": ({f"{SANDBOX}/autopilot"}, []),
    "another machine's": ({"https://api.telegram.org", "https://sandbox.example.test/telegram"}, []),
    "one": ({f"{SANDBOX}/autopilot", f"{SANDBOX}/telegram"}, ["Telegram"]),
    "with a slash": ({f"{SANDBOX}/telegram/"}, ["Telegram"]),
    "a path within it": ({f"{SANDBOX}/telegram/more"}, ["Telegram"]),
    "a longer name": ({f"{SANDBOX}/telegrams"}, []),
    "several": ({f"{SANDBOX}/respondio/custom/channel/webhook/", f"{SANDBOX}/twilio/api"}, ["Agent desk", "Phone"]),
}


@pytest.mark.parametrize(("hosts", "shown"), USED.values(), ids=USED)
def test_only_the_pages_of_what_is_configured_are_shown(hosts: set[str], shown: list[str]) -> None:
    assert shown == [name for name, _ in stand_ins.pages(SANDBOX, hosts)]


def test_the_sandboxs_own_configuration_has_every_page(tmp_path: Path) -> None:
    settings = check(tomllib.loads(stand_ins.configuration(tmp_path).read_text()), environment())
    every = {name for file in stand_ins.files() for name in tomllib.loads(file.read_text()).get("pages", {})}
    assert len(every) > 4
    assert every == {name for name, _ in stand_ins.pages(SANDBOX, settings.hosts)}


def test_a_stand_in_adds_its_part_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tmp_path / "toy.patchbay.toml"
    part.write_text('[channels.toy]\ntype = "webhook"\n')
    told = tmp_path / "toy.toml"
    told.write_text('[addresses]\nSANDBOX_TOY_URL = "/toy"\n')
    monkeypatch.setattr(stand_ins, "files", lambda: [part, told])
    whole = tomllib.loads(WHOLE.read_text())
    written = tomllib.loads(stand_ins.configuration(tmp_path).read_text())
    assert {**whole["channels"], "toy": {"type": "webhook"}} == written["channels"]
    monkeypatch.setattr(stand_ins, "files", lambda: [told])
    assert stand_ins.configuration(tmp_path).read_text() == WHOLE.read_text()
