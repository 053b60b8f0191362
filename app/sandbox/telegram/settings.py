"""The made-up bot, and where its webhook goes until one is set."""

from dataclasses import dataclass

from app.sandbox.settings import NAME, Checked, setting, token


@dataclass(frozen=True)
class TelegramSettings(Checked):
    telegram_token: str = token("7700001:sandbox-telegram-token")
    telegram_secret: str = token("sandbox-telegram-secret")
    telegram_channel: str = setting("telegram", NAME, "the name of a channel")
