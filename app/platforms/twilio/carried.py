"""What each of Twilio's channels carries, and which keywords Twilio answers there by itself."""

from __future__ import annotations

from app.core.address import SMS
from app.core.consent import KEYWORDS, plain
from app.core.message import ATTACHMENT_KINDS, Attachment
from app.core.render import Capabilities
from app.core.text import Unit
from app.platforms.twilio.message import BODY_LIMIT, mime_type_of

UNIT: Unit = "utf16"  # of BODY_LIMIT; Twilio does not say, and these are never fewer than the code points

# Twilio's own keywords for SMS, which it answers unless the service handles opt-outs otherwise:
# https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out
ANSWERED = frozenset(plain(keyword) for keywords in KEYWORDS.values() for keyword in keywords)

TEXT_AND_FILES = frozenset({"text", "attachment"})
CAPABILITIES = {
    provider: Capabilities(
        contents=TEXT_AND_FILES | more,
        text_limit=BODY_LIMIT,
        text_unit=UNIT,
        described=frozenset(described),
        resend_safe=True,
        templates=True,
    )
    for provider, more, described in (
        ("whatsapp", {"location"}, {"image", "video"}),
        ("messenger", set(), set()),
        ("rcs", set(), ATTACHMENT_KINDS),
        (SMS, set(), ATTACHMENT_KINDS),
    )
}

# Files that a channel carries; the others go as links. https://www.twilio.com/docs/whatsapp/guidance-whatsapp-media-messages,
# https://www.twilio.com/docs/messaging/guides/accepted-mime-types; those of Messenger are unverified.
OFFICE = "application/vnd.openxmlformats-officedocument"
CARRIED = {
    "whatsapp": {
        *("image/jpeg", "image/png", "video/mp4", "text/vcard", "application/pdf", "application/msword"),
        *("audio/ogg", "audio/amr", "audio/3gpp", "audio/aac", "audio/mpeg"),
        *(f"{OFFICE}.{kind}" for kind in ("wordprocessingml.document", "presentationml.presentation")),
        f"{OFFICE}.spreadsheetml.sheet",
    },
    "messenger": {"image/jpeg", "image/png", "image/gif", "audio/mpeg", "video/mp4", "application/pdf"},
    SMS: {
        *("image/jpeg", "image/png", "image/gif", "image/bmp", "text/vcard", "text/calendar", "application/pdf"),
        *("audio/mpeg", "audio/mp4", "audio/ogg", "audio/amr", "audio/3gpp"),
        *("video/mp4", "video/mpeg", "video/quicktime", "video/3gpp", "video/webm"),
    },
}
SYNONYMS = {"image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg", "text/x-vcard": "text/vcard"}


def is_carried(file: Attachment, customer: str) -> bool:
    """Whether the customer's channel shows such a file."""
    found = mime_type_of(file)
    return SYNONYMS.get(found, found) in CARRIED.get(customer.partition(":")[0], ())
