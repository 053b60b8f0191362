"""The stand-ins that there are: the one place that names them all."""

from collections.abc import Callable, Mapping
from typing import Protocol

from flask import Blueprint

from app.sandbox.application import Application
from app.sandbox.autopilot import Autopilot
from app.sandbox.checks import Json
from app.sandbox.faults import Faults
from app.sandbox.flex import Flex
from app.sandbox.messaging import Messaging
from app.sandbox.openai import Openai
from app.sandbox.respondio import Respondio
from app.sandbox.settings import SandboxSettings
from app.sandbox.telegram import Telegram


class StandIn(Protocol):
    """A platform: its name for programs, its title for people, the kinds of faults that it can have."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def faults(self) -> tuple[str, ...]: ...

    def blueprints(self) -> list[Blueprint]: ...

    def inspect(self) -> Json: ...

    def reset(self) -> None: ...

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        """What a gateway is told about it, by words for people; `sandbox` is our own address, no slash behind it."""


STAND_INS: tuple[Callable[[SandboxSettings, Faults], StandIn], ...] = (
    Autopilot,
    Respondio,
    Flex,
    Messaging,
    Application,
    Telegram,
    Openai,
)
