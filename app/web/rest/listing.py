"""`GET Messages.json`: pages and filters of the list of messages, as Twilio has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from app.core.address import address_of
from app.core.message import Message
from app.gateway import Gateway
from app.platforms.twilio.message import is_part
from app.store.messages import Position, Record
from app.web.rest.account import Account
from app.web.rest.refusal import UNKNOWN_PARAMETER, Refused
from app.web.rest.resource import messages_uri, paging, shown

PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000
LOOKED_AT = 5_000  # messages for one page; a page that finds fewer than it may hold leads on all the same
PAGING = ("Page", "PageSize", "PageToken")
DIGITS = 10
NUMBER = re.compile(rf"[0-9]{{1,{DIGITS}}}")
TOKEN = re.compile(r"PA([0-9]{1,15})-([0-9a-f]{32})")
A_DAY = 86_400_000


def page(gateway: Gateway, account: Account, args: Mapping[str, str]) -> dict[str, Any]:
    """One page of the list, the newest first. Raises: Refused."""
    size = _number(args, "PageSize", PAGE_SIZE, 1, MAX_PAGE_SIZE)
    number = _number(args, "Page", 0, 0, 2**31)
    since, until = _days(args)
    wanted = {name: address_of(args[name]) for name in ("To", "From") if args.get(name)}
    behind = _token(args)
    before = behind and _begin_of_page_before(gateway, account, behind, until, wanted, size)
    newest = gateway.store.messages.newest(account.sid, since=since, until=until, behind=behind)
    found: list[Record] = []
    more = False
    for count, (position, record) in enumerate(islice(newest, LOOKED_AT), 1):
        if _is_wanted(account, record.message, wanted):
            found.append(record)
        if len(found) == size or count == LOOKED_AT:
            behind, more = position, True
            break
    kept = {name: value for name, value in args.items() if name not in PAGING}
    token = _page_token(behind) if behind and more else None
    previous = (_page_token(before) if before else "") if args.get("PageToken") else None
    return {
        "messages": [shown(account, record) for record in found],
        **paging(messages_uri(account), number, size, len(found), kept, token, previous),
    }


def _begin_of_page_before(
    gateway: Gateway, account: Account, behind: Position, until: int | None, wanted: Mapping[str, str], size: int
) -> Position | None:
    """Behind which message the page lies that ends at `behind`; None if it is the first one."""
    newer = islice(gateway.store.messages.newer(account.sid, behind, until), LOOKED_AT)
    places = (place for place, record in newer if _is_wanted(account, record.message, wanted))
    return next(islice(places, size, None), None)


def _page_token(position: Position) -> str:
    return f"PA{position[0]}-{position[1]}"


def _is_wanted(account: Account, message: Message, wanted: Mapping[str, str]) -> bool:
    ours = account.sender_of(message)
    if ours is None or is_part(message):
        return False
    inbound = message.direction == "inbound"
    writer, reader = (message.customer, ours.address) if inbound else (ours.address, message.customer)
    return wanted.get("From", writer) == writer and wanted.get("To", reader) == reader


def _token(args: Mapping[str, str]) -> Position | None:
    token = args.get("PageToken", "")
    if not token:
        return None
    found = TOKEN.fullmatch(token)
    if not found:
        raise Refused(UNKNOWN_PARAMETER, "PageToken is none of this list")
    return int(found[1]), found[2]


def _number(args: Mapping[str, str], name: str, usual: int, least: int, most: int) -> int:
    value = args.get(name, "")
    if not value:
        return usual
    if not NUMBER.fullmatch(value) or int(value) < least:
        raise Refused(UNKNOWN_PARAMETER, f"{name} must be a whole number from {least}, of at most {DIGITS} digits")
    return min(int(value), most)


def _days(args: Mapping[str, str]) -> tuple[int, int | None]:
    """Unix ms between which the list lies, both included: `DateSent` is a day, `DateSent>` and `DateSent<` (as
    `DateSent<=2026-01-31` comes) are moments, a date alone its midnight."""
    since, until = 0, None
    if value := args.get("DateSent", ""):
        day = _moment("DateSent", value).replace(hour=0, minute=0, second=0, microsecond=0)
        since, until = _ms(day), _ms(day) + A_DAY - 1
    if value := args.get("DateSent>", ""):
        since = max(since, _ms(_moment("DateSent>", value)))
    if value := args.get("DateSent<", ""):
        end = _ms(_moment("DateSent<", value)) + 999  # dates are shown to the second
        until = end if until is None else min(until, end)
    return since, until


def _moment(name: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter: beyond the years that there are, once it is in UTC
        raise Refused(UNKNOWN_PARAMETER, f"{name} must be a date such as 2026-01-31") from None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
