"""What a call that creates a message may say, and Twilio's codes for what does not fit."""

import json
import re
from urllib.parse import urlsplit

from app.sandbox.answers import Problem
from app.sandbox.checks import Json, Refused, is_web_url
from app.sandbox.messaging.addresses import kind_of
from app.sandbox.twilio.form import Param, Reader, flag, json_object, moment, params, sid, whole, word, words

MAX_BODY, MAX_MEDIA = 1600, 10
# Codes of Twilio's dictionary; those that the contract does not name are unverified.
BAD_TO, NO_TO, NO_FROM, NO_BODY, NOT_OURS, OPTED_OUT = 21211, 21604, 21603, 21602, 21606, 21610
BAD_CALLBACK, TOO_LONG, BAD_MEDIA, TOO_MANY_MEDIA = 21609, 21617, 21620, 21623
BAD_SERVICE, BAD_PAIR, BAD_CONTENT, BAD_VARIABLES, NEEDS_SERVICE = 21701, 21910, 21655, 21656, 35118
NOT_CANCELABLE = 30409


def refuse(code: int, message: str) -> Problem:
    return Problem(400, message, code)


def recipient(value: str, name: str) -> str:
    if value and kind_of(value) is None:
        raise refuse(BAD_TO, f"The 'To' number {value} is not a valid phone number or channel address")
    return value


def body(value: str, name: str) -> str:
    if len(value) > MAX_BODY:
        raise refuse(TOO_LONG, f"The message body has {len(value)} characters, at most {MAX_BODY} are allowed")
    return value


def callback(value: str, name: str) -> str:
    """Absolute, with a host name that has no underscore."""
    if not is_web_url(value) or re.search(r"\s", value) or "_" in (urlsplit(value).hostname or ""):
        raise refuse(BAD_CALLBACK, f"The StatusCallback URL {value} is not a valid URL")
    return value


def media_url(value: str, name: str) -> str:
    if not is_web_url(value) or re.search(r"\s", value):
        raise refuse(BAD_MEDIA, f"The MediaUrl {value} is not a valid URL")
    return value


def service_sid(known: str) -> Reader:
    def read(value: str, name: str) -> str:
        if value and value != known:
            raise refuse(BAD_SERVICE, f"The Messaging Service {value} does not exist")
        return value

    return read


def variables(value: str, name: str) -> Json:
    try:
        read = json_object(value, name)
    except Refused as problem:
        raise refuse(BAD_VARIABLES, f"The ContentVariables parameter is invalid: {problem.reason}") from problem
    if not all(isinstance(entry, str) for entry in read.values()):
        raise refuse(BAD_VARIABLES, "The ContentVariables parameter is invalid: all values must be strings")
    return read


def fill(template: str, values: Json) -> str:
    """The text of a content template with its variables in it."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise refuse(BAD_VARIABLES, f"The ContentVariables parameter has no {json.dumps(found[1])}")
        return str(values[found[1]])

    return re.sub(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}", value, template)


def create_params(known_service: str) -> dict[str, Param]:
    """Everything that Twilio takes; what is not read further is only checked for its form."""
    return (
        params(recipient, "To")
        | params(service_sid(known_service), "MessagingServiceSid")
        | params(body, "Body")
        | params(media_url, "MediaUrl", many=True)
        | params(sid("HX"), "ContentSid")
        | params(variables, "ContentVariables")
        | params(callback, "StatusCallback")
        | params(whole(1, 36_000), "ValidityPeriod")
        | params(words(), "PersistentAction", many=True)
        | params(moment, "SendAt")
        | params(word("fixed"), "ScheduleType")
        | params(sid("AP"), "ApplicationSid")
        | params(whole(), "Attempt")
        | params(word("retain", "discard"), "ContentRetention")
        | params(word("retain", "obfuscate"), "AddressRetention")
        | params(word("free"), "TrafficType")
        | params(word("enable", "disable"), "RiskCheck")
        | params(words(), "From MaxPrice MessageIntent FallbackFrom")
        | params(flag, "ProvideFeedback ForceDelivery SmartEncoded ShortenUrls SendAsMms")
    )
