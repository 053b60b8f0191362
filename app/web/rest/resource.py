"""Messages as Twilio-compatible REST shows them: the Message and Media resources, and the frame of a list's page.

Source: https://www.twilio.com/docs/messaging/api/message-resource, .../media-resource.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from app.core.address import SMS
from app.core.costs import amount_of
from app.core.message import Attachment, Message, derived_id
from app.platforms.twilio.addresses import on_the_wire
from app.platforms.twilio.message import error_of, mime_type_of, sid_of, status_word, whole
from app.store.messages import Record
from app.web.rest.account import Account

API_VERSION = "2010-04-01"
GSM_ONE = (  # septet each: https://www.etsi.org/deliver/etsi_ts/123000_123099/123038/
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWO = "\f^{}\\[~]|€"


def shown(account: Account, record: Record) -> dict[str, Any]:
    message = record.message
    sender = account.sender_of(message)
    kept = message.metadata.get("twilio") if message.direction == "outbound" else None
    kept = kept if isinstance(kept, Mapping) else {}
    ours, theirs = on_the_wire(sender.address) if sender else None, on_the_wire(message.customer)
    inbound = message.direction == "inbound"
    failed = not inbound and record.status == "failed"
    status = status_word(message.direction, record.status, record.error)
    code, why = error_of(record.error) if failed and status == "failed" else (0, "")
    body, files = whole(message)[0], [url for url in media_of(message) if url]
    gone = inbound or record.status not in ("queued", "failed")
    uri = message_uri(account, record)
    return {
        "sid": sid_of(message),
        "account_sid": account.sid,
        "api_version": API_VERSION,
        "messaging_service_sid": kept.get("messaging_service_sid"),
        "from": theirs if inbound else ours,
        "to": ours if inbound else theirs,
        "body": body,
        "direction": "inbound" if inbound else kept.get("direction", "outbound-reply"),
        "status": status,
        "num_media": str(len(files)),
        "num_segments": str(segments(body) if message.customer.startswith(f"{SMS}:") else 1),
        "error_code": code or None,
        "error_message": why or None,
        "date_created": _date(message.at),
        "date_sent": _date(message.at) if gone else None,
        "date_updated": _date(record.changed_at or message.at),
        "price": None if record.cost is None else amount_of(-record.cost),
        "price_unit": account.currency or None,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def media_of(message: Message) -> list[str]:
    """The addresses of its files; '' in the place of one that was deleted, so that the others keep their sids."""
    return whole(message)[1]


def medium_of(account: Account, record: Record, number: int) -> dict[str, Any]:
    message, sid = record.message, _medium_sid(record, number)
    return {
        "sid": sid,
        "account_sid": account.sid,
        "parent_sid": sid_of(message),
        "content_type": mime_type_of(Attachment("file", media_of(message)[number])) or "application/octet-stream",
        "date_created": _date(message.at),
        "date_updated": _date(message.at),
        "uri": f"{message_uri(account, record)}/Media/{sid}.json",
    }


def _medium_sid(record: Record, number: int) -> str:
    return f"ME{derived_id(record.message.id, f'medium-{number}')}"


def medium_number(record: Record, sid: str) -> int | None:
    """Which of a message's files has that sid."""
    return next((n for n, url in enumerate(media_of(record.message)) if url and _medium_sid(record, n) == sid), None)


def paging(
    uri: str,
    number: int,
    size: int,
    count: int,
    kept: Mapping[str, str],
    token: str | None,
    previous: str | None = None,
) -> dict[str, Any]:
    """The frame of a page. `token` leads to the next one, if there is one; `previous` to the one before ('' if that is
    the first), None if there is none."""

    def page(at: int, **more: str) -> str:
        return f"{uri}?{urlencode({**kept, 'PageSize': size, 'Page': at, **more})}"

    return {
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(count - 1, 0),
        "uri": page(number),
        "first_page_uri": page(0),
        "previous_page_uri": _previous(page, number, previous),
        "next_page_uri": page(number + 1, PageToken=token) if token else None,
    }


def _previous(page: Callable[..., str], number: int, token: str | None) -> str | None:
    if token is None:
        return None
    return page(max(number - 1, 0), PageToken=token) if token else page(0)


def account_of(account: Account) -> dict[str, Any]:
    """The account itself, as far as there is one here: who asks for it looks whether it is active."""
    uri = f"/{API_VERSION}/Accounts/{account.sid}"
    return {
        "sid": account.sid,
        "owner_account_sid": account.sid,
        "friendly_name": "Patchbay",
        "status": "active",
        "type": "Full",
        "auth_token": None,
        "date_created": None,
        "date_updated": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"messages": f"{uri}/Messages.json"},
    }


def feedback_of(account: Account, record: Record, outcome: str, at: int) -> dict[str, Any]:
    return {
        "account_sid": account.sid,
        "message_sid": sid_of(record.message),
        "outcome": outcome,
        "date_created": _date(at),
        "date_updated": _date(at),
        "uri": f"{message_uri(account, record)}/Feedback.json",
    }


def messages_uri(account: Account) -> str:
    return f"/{API_VERSION}/Accounts/{account.sid}/Messages.json"


def message_uri(account: Account, record: Record) -> str:
    """Without the `.json` at its end."""
    return f"/{API_VERSION}/Accounts/{account.sid}/Messages/{sid_of(record.message)}"


def _date(at: int) -> str:
    return format_datetime(datetime.fromtimestamp(at // 1000, UTC))


def segments(body: str) -> int:
    """How many text messages a body takes: 160 septets or 70 UTF-16 units, fewer each where there are several."""
    if all(char in GSM_ONE or char in GSM_TWO for char in body):
        length, alone, each = sum(1 + (char in GSM_TWO) for char in body), 160, 153
    else:
        length, alone, each = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= alone else -(-length // each)
