"""The form of an inbound webhook: what every kind has, and what each adds."""

import json

from app.sandbox.messaging.addresses import SMS, WHATSAPP, phone_number
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.prices import count_segments
from app.sandbox.messaging.records import Button, Customer, Message

# Where numbers are at home; the made-up ones are nowhere in particular.
HOME = {"City": "", "State": "", "Zip": "", "Country": "US"}
TYPES = ("image", "video", "audio")


def inbound_form(
    account_sid: str, memory: MessagingMemory, message: Message, customer: Customer, urls: list[tuple[str, str]]
) -> dict[str, str]:
    """`urls` are those of the files, each with its type."""
    form = {
        **dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), message.sid),
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "SmsStatus": "received",
        "NumSegments": str(count_segments(message)),
        "From": message.from_,
        "To": message.to,
        "Body": message.body,
        "NumMedia": str(len(urls)),
    }
    for index, (url, content_type) in enumerate(urls):
        form |= {f"MediaUrl{index}": url, f"MediaContentType{index}": content_type}
    if message.kind == SMS:
        form |= {f"{side}{name}": value for side in ("From", "To") for name, value in HOME.items()}
    if message.kind == WHATSAPP:
        form |= _whatsapp(message, customer, urls)
        form |= _reply(memory, message)
    if message.place:
        place = message.place
        form |= {"Latitude": f"{place.latitude:.10g}", "Longitude": f"{place.longitude:.10g}"}
        form |= {name: value for name, value in (("Address", place.address), ("Label", place.label)) if value}
    return form


def button_fields(button: Button) -> dict[str, str]:
    return {"ButtonText": button.text, "ButtonPayload": button.payload, "MessageType": "button"}


def _whatsapp(message: Message, customer: Customer, urls: list[tuple[str, str]]) -> dict[str, str]:
    number = phone_number(message.from_)
    context = {"ProfileName": customer.name} | ({"WaId": number[1:]} if number else {})
    return {
        "ProfileName": customer.name,
        **({"WaId": number[1:]} if number else {}),
        "ExternalUserId": customer.external_id or "",
        "MessageType": _type(message, urls),
        "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": context}}, separators=(",", ":")),
    }


def _type(message: Message, urls: list[tuple[str, str]]) -> str:
    if message.place:
        return "location"
    if not urls:
        return "text"
    family = urls[0][1].partition("/")[0]
    return family if family in TYPES else "document"


def _reply(memory: MessagingMemory, message: Message) -> dict[str, str]:
    """`reply_to` is one of ours or of the customer's own."""
    answered = memory.messages.get(message.reply_to or "")
    if answered is None:
        return {}
    return {
        "OriginalRepliedMessageSid": answered.sid,
        "OriginalRepliedMessageSender": answered.from_,
        "Forwarded": "false",
        "FrequentlyForwarded": "false",
    }
