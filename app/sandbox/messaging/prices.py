"""How texts are cut, and what the stand-in charges for them: made-up US dollars in the shape of Twilio's, negative and
with five decimals."""

from decimal import Decimal

from app.sandbox.messaging.addresses import MESSENGER, SMS, WHATSAPP
from app.sandbox.messaging.records import Message

UNIT = "USD"
PRICES = {SMS: Decimal("0.0079"), WHATSAPP: Decimal("0.005"), MESSENGER: Decimal("0.005")}  # SMS: of one segment
TEMPLATE = Decimal("0.0135")


def count_segments(message: Message) -> int:
    """Texts are cut for the network; which letters make it cut sooner is only roughly told here."""
    if message.kind != SMS:
        return 1
    whole, part = (160, 153) if message.body.isascii() else (70, 67)
    return 1 if len(message.body) <= whole else -(-len(message.body) // part)


def price_of(message: Message) -> str | None:
    """Known once the message was sent or received."""
    if message.sent is None:
        return None
    price = TEMPLATE if message.content_sid else PRICES[message.kind] * count_segments(message)
    return f"{-price:.5f}"
