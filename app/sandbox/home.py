"""The sandbox's home page: every door, with whom one plays behind it, and the faults of each platform as buttons."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Response, url_for

from app.sandbox.checks import Json
from app.sandbox.pages import show
from app.sandbox.settings import SandboxSettings
from app.sandbox.stand_ins import StandIn

HOUSE = Path(__file__).parent


@dataclass(frozen=True)
class Door:
    title: str
    what: str
    url: str


def doors(settings: SandboxSettings) -> dict[str, list[Door]]:
    """By what one does there."""
    gateway = settings.gateway_url.rstrip("/")
    inside = [
        Door("Inspect", "What the stand-ins were told, and what was wrong with it", url_for("control.inspect")),
        Door("Readiness", "Whether the gateway takes messages, and how many workers it has", f"{gateway}/readyz"),
    ]
    if settings.flower_url:
        inside.append(Door("Flower", "The gateway's workers; the terminal shows the login", settings.flower_url))
    chats = [Door(f"Chat {name}", title, f"{gateway}/chat/{name}") for name, title in chat_titles(settings).items()]
    rooms = {"Write in a chat": chats, "Play a part on a platform": _pages(), "Look inside": inside}
    return {what: behind for what, behind in rooms.items() if behind}


def chat_titles(settings: SandboxSettings) -> dict[str, str]:
    """The gateway's chats by name."""
    return dict(json.loads(settings.chats)) if settings.chats else _own_chats()


@cache
def _own_chats() -> dict[str, str]:
    """As the sandbox's configuration has them, and what stand-ins add to it."""
    files = [HOUSE / "patchbay.toml", *sorted(HOUSE.glob("up/*.patchbay.toml"))]
    channels = [one for file in files for one in tomllib.loads(file.read_text()).get("channels", {}).items()]
    return {name: values["title"] for name, values in channels if values["type"] == "webchat"}


def _pages() -> list[Door]:
    """The pages of the stand-ins: the path of each, and in brackets what it is for."""
    files = (tomllib.loads(file.read_text()) for file in sorted(HOUSE.glob("up/*.toml")))
    told = [(title, told.partition(" ")) for file in files for title, told in file.get("pages", {}).items()]
    return [Door(title, _sentence(what.strip(" ()")), path) for title, (path, _, what) in told]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def show_home(settings: SandboxSettings, stand_ins: Sequence[StandIn], platforms: Sequence[Json]) -> Response:
    """`platforms` with their faults, as `/sandbox/faults` has them."""
    sandbox = url_for("control.index", _external=True).rstrip("/")
    return show(
        "home.html",
        settings=settings,
        doors=doors(settings),
        chats=chat_titles(settings),
        platforms=platforms,
        accounts={one.title: one.accounts(sandbox) for one in stand_ins},
    )
