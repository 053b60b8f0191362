"""Twilio-compatible REST: an application that sends over Twilio sends over any channel by changing a base URL.

Paths, parameters, pages, error bodies and codes are those of Twilio's Message resource:
https://www.twilio.com/docs/messaging/api/message-resource. An account is that of destinations whose
applications may send by REST (`app.platforms.destination.SendsByRest`); `From` is the address of one of them, `To` that
of a customer on any channel that names it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, request
from msgspec.structs import replace
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from app.core.errors import StoreUnavailable
from app.core.message import Attachment, Location, Message, Text
from app.core.reading import Unreadable, form
from app.gateway import Gateway
from app.log import logger
from app.platforms.twilio.message import CANCELED, id_of, is_part, parts_of, status_word
from app.platforms.twilio.webhooks import FORM, MAX_FIELDS
from app.store.messages import Record
from app.web.rest import refusal
from app.web.rest.account import Account, accounts_of
from app.web.rest.creating import create as create_message
from app.web.rest.listing import PAGE_SIZE, page
from app.web.rest.refusal import Refused
from app.web.rest.repeating import key_of, unknown_outcome
from app.web.rest.resource import (
    API_VERSION,
    account_of,
    feedback_of,
    media_of,
    medium_number,
    medium_of,
    message_uri,
    paging,
    shown,
)

blueprint = Blueprint("rest", __name__, url_prefix=f"/{API_VERSION}")
log = logger("twilio-api")

OUTCOMES = ("confirmed", "unconfirmed")
MESSAGES = "/Accounts/<account_sid>/Messages"
MESSAGE = f"{MESSAGES}/<sid>"


# Routes


@blueprint.post(f"{MESSAGES}.json")
def create(account_sid: str) -> Response:
    gateway, account = _gateway(), _account(account_sid)
    given = _form()
    key = key_of(account.sid, request.headers, given)
    return _answer(shown(account, create_message(gateway, account, given, key)), 201)


@blueprint.get(f"{MESSAGES}.json")
def listed(account_sid: str) -> Response:
    return _answer(page(_gateway(), _account(account_sid), request.args))


@blueprint.get(f"{MESSAGE}.json")
def fetch(account_sid: str, sid: str) -> Response:
    account = _account(account_sid)
    return _answer(shown(account, _find(account, sid)))


@blueprint.post(f"{MESSAGE}.json")
def update(account_sid: str, sid: str) -> Response:
    """An empty `Body` clears the message's text, `Status=canceled` calls off one that still waits."""
    account = _account(account_sid)
    record, given = _find(account, sid), _form()
    if given.get("Status"):
        _cancel(record, given["Status"])
    elif "Body" in given:
        _redact(record, given["Body"])
    else:
        raise Refused(refusal.UNKNOWN_PARAMETER, "Body or Status is required")
    return _answer(shown(account, _find(account, sid)))


@blueprint.delete(f"{MESSAGE}.json")
def delete(account_sid: str, sid: str) -> Response:
    gateway, account = _gateway(), _account(account_sid)
    messages = _with_parts(_find(account, sid))
    if not gateway.store.messages.forget(messages, gateway.lists[messages[0].channel]):
        raise Refused(refusal.BUSY, "The message is not finished", 409)
    return Response(status=204)


@blueprint.get(f"{MESSAGE}/Media.json")
def media(account_sid: str, sid: str) -> Response:
    account = _account(account_sid)
    record = _find(account, sid)
    shown = [medium_of(account, record, number) for number, url in enumerate(media_of(record.message)) if url]
    uri = f"{message_uri(account, record)}/Media.json"
    return _answer({"media_list": shown, **paging(uri, 0, PAGE_SIZE, len(shown), {}, None)})


@blueprint.get(f"{MESSAGE}/Media/<medium_sid>.json")
def medium(account_sid: str, sid: str, medium_sid: str) -> Response:
    account = _account(account_sid)
    record = _find(account, sid)
    return _answer(medium_of(account, record, _number_of(record, medium_sid)))


@blueprint.delete(f"{MESSAGE}/Media/<medium_sid>.json")
def delete_medium(account_sid: str, sid: str, medium_sid: str) -> Response:
    """Forget where one of a message's files lies."""
    record = _find(_account(account_sid), sid)
    gone = media_of(record.message)[_number_of(record, medium_sid)]
    if not _gateway().store.messages.rewrite([_without(message, gone) for message in _with_parts(record)]):
        raise Refused(refusal.BUSY, "The message is not finished", 409)
    return Response(status=204)


@blueprint.post(f"{MESSAGE}/Feedback.json")
def feedback(account_sid: str, sid: str) -> Response:
    """Whether the customer did what the message was for; counted for the operator."""
    account = _account(account_sid)
    record, outcome = _find(account, sid), _form().get("Outcome") or OUTCOMES[0]
    if outcome not in OUTCOMES:
        raise Refused(refusal.UNKNOWN_PARAMETER, f"Outcome must be one of: {', '.join(OUTCOMES)}")
    _gateway().store.lanes.count(f"feedback:{record.message.channel}:{outcome}")
    return _answer(feedback_of(account, record, outcome, int(time.time() * 1000)), 201)


@blueprint.get("/Accounts/<account_sid>.json")
def account(account_sid: str) -> Response:
    return _answer(account_of(_account(account_sid)))


@blueprint.get(f"{MESSAGE}/Media/<medium_sid>")
def medium_itself(account_sid: str, sid: str, medium_sid: str) -> Response:
    """Off to where it lies."""
    record = _find(_account(account_sid), sid)
    return Response(status=307, headers={"Location": media_of(record.message)[_number_of(record, medium_sid)]})


@blueprint.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
def nothing(rest: str) -> Response:
    raise _not_found()


@blueprint.errorhandler(Refused)
def _refused(error: Refused) -> Response:
    body = {
        "code": error.code,
        "message": error.message,
        "more_info": f"https://www.twilio.com/docs/errors/{error.code}",
        "status": error.status,
    }
    response = _answer(body, error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    if error.status in (429, 503):
        response.headers["Retry-After"] = "5"
    return response


@blueprint.errorhandler(HTTPException)
def _refused_by_flask(error: HTTPException) -> Response:
    status = error.code or 500
    code = {404: refusal.NOT_FOUND, 405: refusal.NO_SUCH_METHOD}.get(status, refusal.UNKNOWN_PARAMETER)
    return _refused(Refused(code, error.description or error.name, status))


@blueprint.errorhandler(StoreUnavailable)
def _unavailable(error: StoreUnavailable) -> Response:
    return _refused(Refused(refusal.UNAVAILABLE, _what_is_known(error), 503))


def _what_is_known(error: StoreUnavailable) -> str:
    if not error.maybe_done:
        return "The store cannot be reached; nothing was recorded"
    if request.endpoint == "rest.create":
        return unknown_outcome(request.headers)
    return "The store did not answer; the change may have been made. It can be repeated"


@blueprint.errorhandler(Exception)
def _bug(error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    return _refused(Refused(refusal.BUG, "An unexpected error; it has been logged", 500))


# Changing


def _cancel(record: Record, status: str) -> None:
    if status != CANCELED:
        raise Refused(refusal.UNKNOWN_PARAMETER, "Status may only become canceled")
    if status_word(record.message.direction, record.status, record.error) == CANCELED:
        return  # whoever heard no answer asks again
    gateway, messages = _gateway(), _with_parts(record)
    ids = [message.id for message in messages]
    done, wakes = gateway.store.messages.cancel(record.message.conversation, ids, "canceled: by the application")
    gateway.publisher.publish(wakes)
    if not done:
        raise Refused(refusal.TOO_LATE, "The message cannot be canceled any more", 409)


def _redact(record: Record, body: str) -> None:
    if body:
        raise Refused(refusal.UNKNOWN_PARAMETER, "Body may only be emptied")
    if not _gateway().store.messages.rewrite([_emptied(message) for message in _with_parts(record)]):
        raise Refused(refusal.BUSY, "The message is not finished", 409)


def _emptied(message: Message) -> Message:
    """The message without its words, its own and those that were kept about it."""
    content = message.content
    metadata = dict(message.metadata)
    metadata.pop("content_variables", None)
    if isinstance(kept := metadata.get("twilio"), Mapping):
        metadata["twilio"] = {name: "" if name in ("body", "Body") else value for name, value in kept.items()}
    match content:
        case Attachment():
            return replace(message, content=replace(content, description=None), metadata=metadata)
        case Location():
            return replace(message, metadata=metadata)
    return replace(message, content=Text(""), metadata=metadata)


def _without(message: Message, url: str) -> Message:
    """The message without the address of one file, wherever it stands; it stays one with files, so its sid stays."""
    metadata = dict(message.metadata)
    if isinstance(kept := metadata.get("twilio"), Mapping) and isinstance(kept.get("media"), list):
        metadata["twilio"] = {**kept, "media": ["" if one == url else one for one in kept["media"]]}
    content = message.content
    if isinstance(content, Attachment) and content.url == url:
        content = replace(content, url="")
    return replace(message, content=content, metadata=metadata)


def _with_parts(record: Record) -> list[Message]:
    """The messages of ours that are one of the application's, all of one conversation."""
    message = record.message
    found = _gateway().store.messages.read_many(parts_of(message))
    before = [part.message for part in found if part and is_part(part.message)]
    return [*(part for part in before if part.conversation == message.conversation), message]


# Finding


def _number_of(record: Record, medium_sid: str) -> int:
    number = medium_number(record, medium_sid)
    if number is None:
        raise _not_found()
    return number


def _find(account: Account, sid: str) -> Record:
    """Raises: Refused, the account has no such message."""
    message_id = id_of(sid)
    record = _gateway().store.messages.read(message_id) if message_id else None
    if record is None or is_part(record.message) or account.sender_of(record.message) is None:
        raise _not_found()
    return record


def _account(sid: str) -> Account:
    """The account that the caller has logged in to. Raises: Refused."""
    account = _accounts(_gateway()).get(sid)
    login = request.authorization
    user, password = (login.username or "", login.password or "") if login and login.type == "basic" else ("", "")
    if account is None or not account.admits(user, password):
        raise Refused(refusal.AUTHENTICATE, "Authenticate", 401)
    return account


@lru_cache(maxsize=4)
def _accounts(gateway: Gateway) -> dict[str, Account]:
    return accounts_of(gateway)


def _form() -> MultiDict[str, str]:
    """What the caller gave, in the charset that they named. One odd byte costs one character. Raises: Refused."""
    if request.mimetype != FORM:
        return request.form  # in parts, or none
    try:
        return MultiDict(form(request.get_data(), request.content_type or "", MAX_FIELDS))
    except Unreadable:
        raise Refused(refusal.UNKNOWN_PARAMETER, f"The form has more than {MAX_FIELDS} fields", 413) from None


def _gateway() -> Gateway:
    gateway: Gateway = current_app.extensions["patchbay"]
    return gateway


def _not_found() -> Refused:
    return Refused(refusal.NOT_FOUND, f"The requested resource {request.path[:200]} was not found", 404)


def _answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, content_type="application/json")
