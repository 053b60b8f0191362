"""Stand-in for Telegram: the Bot API, the webhook's updates, and the people who write to the bot."""

from collections.abc import Mapping
from urllib.parse import quote

from flask import Blueprint

from app.sandbox.checks import Json
from app.sandbox.faults import INCOMING, OUTGOING, Faults
from app.sandbox.settings import SandboxSettings
from app.sandbox.telegram import bot_api, page
from app.sandbox.telegram.bot_api import BotApi
from app.sandbox.telegram.memory import Memory, Webhook
from app.sandbox.telegram.page import Page
from app.sandbox.telegram.settings import TelegramSettings
from app.sandbox.telegram.updates import Updates


class Telegram:
    """The parts share one memory. The webhook leads to the gateway's channel until another one is set."""

    name, title, faults = "telegram", "Telegram", (*INCOMING, *OUTGOING)

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        own = TelegramSettings.from_env()
        url = f"{settings.gateway_url.rstrip('/')}/channels/{quote(own.telegram_channel)}"
        self._faults = faults
        self._memory = Memory(Webhook(url, own.telegram_secret))
        self._api = BotApi(own, self._memory)
        self._updates = Updates(self._memory, self._api, faults)

    def inspect(self) -> Json:
        return self._memory.inspect()

    def reset(self) -> None:
        self._updates.reset()
        self._memory.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        return {
            "API URL": f"{sandbox}/telegram",
            "Bot": f"@{self._api.bot['username']}",
            "Webhook": self._memory.webhook.url,
        }

    def blueprints(self) -> list[Blueprint]:
        desk = Page(self._memory, self._api, self._updates)
        return [page.create_blueprint(desk), bot_api.create_blueprint(self._api, self._faults)]
