"""The sandbox's home page: every door, with whom one plays behind it, and the faults of each platform as buttons."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, url_for

from app.sandbox.checks import Json
from app.sandbox.messaging.addresses import read_senders
from app.sandbox.messaging.memory import READY_CONTENT
from app.sandbox.pages import show
from app.sandbox.settings import SandboxSettings

# The gateway's chats, as the sandbox's configuration names them.
CHATS = {
    "flex": ("Chat flex", "A bot answers, then people at the Flex desk"),
    "shop": ("Chat shop", "A bot answers, then people at the agent desk"),
    "classic": ("Chat classic", "As Chat flex, over the legacy chat of Flex"),
    "app": ("Chat app", "An application answers, in TwiML"),
}


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
    return {
        "Write as a customer": [
            *(Door(*words, f"{gateway}/chat/{name}") for name, words in CHATS.items()),
            Door("Phone", "SMS, WhatsApp and Messenger, with any number of customers", url_for("phone.page")),
        ],
        "Answer as somebody else": [
            Door("Flex desk", "An agent in Twilio Flex", url_for("flex_desk.page")),
            Door("Agent desk", "An agent in respond.io", url_for("agent.page")),
            Door("The application", "See what it answers, and write first over REST", url_for("application.page")),
        ],
        "Look inside": inside,
    }


def show_home(settings: SandboxSettings, platforms: Sequence[Json]) -> Response:
    """`platforms` with their faults, as `/sandbox/faults` has them."""
    return show(
        "home.html",
        settings=settings,
        doors=doors(settings),
        platforms=platforms,
        senders=read_senders(settings).values(),
        content=READY_CONTENT.sid,
    )
