"""The three kinds of addresses, and the senders of ours that customers of each kind write to."""

import re
from dataclasses import dataclass

from app.sandbox.settings import SandboxSettings

SMS, WHATSAPP, MESSENGER = "sms", "whatsapp", "messenger"
KINDS = (SMS, WHATSAPP, MESSENGER)
PREFIXES = {SMS: "", WHATSAPP: "whatsapp:", MESSENGER: "messenger:"}
# Some WhatsApp users are known by a business-scoped id alone, a country and digits.
PATTERNS = {
    SMS: r"\+[1-9][0-9]{6,14}",
    WHATSAPP: r"whatsapp:(\+[1-9][0-9]{6,14}|[A-Z]{2}\.[0-9]{5,20})",
    MESSENGER: r"messenger:[A-Za-z0-9_.-]{1,64}",
}


@dataclass(frozen=True)
class Sender:
    """A number, WhatsApp sender or page of ours, with its webhook URLs."""

    kind: str
    address: str
    url: str
    fallback_url: str


def read_senders(settings: SandboxSettings) -> dict[str, Sender]:
    """By kind."""
    places = {
        SMS: (settings.twilio_number, settings.twilio_number_channel),
        WHATSAPP: (settings.twilio_whatsapp, settings.twilio_whatsapp_channel),
        MESSENGER: (settings.twilio_messenger, settings.twilio_messenger_channel),
    }
    urls = {kind: settings.channel_url(channel) for kind, (_, channel) in places.items()}
    return {kind: Sender(kind, place[0], urls[kind], f"{urls[kind]}/fallback") for kind, place in places.items()}


def kind_of(address: str) -> str | None:
    """None if it is no address."""
    return next((kind for kind, pattern in PATTERNS.items() if re.fullmatch(pattern, address)), None)


def phone_number(address: str) -> str | None:
    """What is behind the prefix, if that is a phone number."""
    number = address.partition(":")[2] or address
    return number if number.startswith("+") else None


def mask(address: str) -> str:
    """As status callbacks of channels show an address: no prefix, the last four characters hidden."""
    bare = address.partition(":")[2] or address
    return bare[:-4] + "XXXX"
