"""Whom respond.io knows: contact ids that stand for conversations, and what of a profile it takes.

Source: https://respond.io/help/custom-channel/custom-channel.
"""

from __future__ import annotations

import re
import string
from hashlib import sha256

from app.core.message import Profile, split_conversation
from app.core.schema import URL_LIMIT
from app.core.text import cut
from app.platforms.respondio.contents import UNIT

CONTACT_LIMIT = 50
NAME_LIMIT = 50  # of a first name, and of a last name
# The Custom ID alphabet without `=`, which starts an escape, and the `@` of ALIAS.
PLAIN = f"{string.ascii_letters}{string.digits}_+/"
ESCAPES = {byte: f"={byte:02X}" for byte in range(256) if chr(byte) not in PLAIN}
ALIAS = "@@"  # begins a contact id that stands for a conversation too long to be written out
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")

# What a part of the contact's profile must look like to be sent at all: one bad part has the whole call refused.
PROFILE = {
    "firstName": re.compile(r".{1,50}"),
    "lastName": re.compile(r".{1,50}"),
    "email": re.compile(r"(?=.{3,50}\Z)[^@\s]+@[^@\s]+"),
    "phone": re.compile(r".{1,18}"),
    "profilePic": re.compile(rf"https?://.{{1,{URL_LIMIT - 8}}}"),
    "locale": re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*"),
    "countryCode": re.compile(r"[A-Z]{2}"),
    "language": re.compile(r"[a-z]{2}"),
}


def is_phone(value: str) -> bool:
    """Whether this can be a phone number in E.164 form. Numbering plans change, so no plan is asked whether it exists:
    whoever writes from it does."""
    return bool(PHONE.fullmatch(value))


def contact_id(conversation: str) -> str:
    """A conversation key in the Custom ID alphabet (`A-Z a-z 0-9 _ = + / @`, at most 50 characters).

    Other bytes are written `=XX`, so the key can be read back; a key too long for that is hashed behind `@@`, and the
    store remembers what the hash stands for.
    """
    raw = conversation.encode()
    escaped = raw.decode("latin-1").translate(ESCAPES)
    return escaped if len(escaped) <= CONTACT_LIMIT else ALIAS + sha256(raw).hexdigest()[:40]


def conversation_of(contact: str) -> str | None:
    """The inverse of `contact_id` for ids that are no hash; None if we cannot have made it."""
    try:
        raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), contact.encode())
        conversation = raw.decode()
    except UnicodeDecodeError:
        return None
    channel, customer = split_conversation(conversation)
    return conversation if channel and ":" in customer and contact_id(conversation) == contact else None


def contact_profile(profile: Profile) -> dict[str, str]:
    """The profile in respond.io's words, without the parts that it would refuse; a null is one of them."""
    first, _, last = " ".join((profile.name or "").split()).partition(" ")
    language = (profile.locale or "").replace("_", "-").partition("-")[0].lower()
    values = {
        "firstName": cut(first, NAME_LIMIT, UNIT),
        "lastName": cut(last, NAME_LIMIT, UNIT),
        "email": profile.email,
        "phone": profile.phone,
        "profilePic": profile.picture,
        "locale": profile.locale,
        "countryCode": (profile.country or "").upper(),
        "language": language,
    }
    return {name: value for name, value in values.items() if value and PROFILE[name].fullmatch(value)}
