"""Lists in pages, as all of Twilio's APIs have them: a page's token names the record next to it.

`PA` and a sid begins behind that record, `PB` and a sid ends before it. Addresses of pages are always encoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from flask import request

from app.sandbox.checks import Refused
from app.sandbox.twilio.form import Param, whole, words
from app.sandbox.twilio.records import Dated, Form

PAGE_SIZE = 50
PAGING = {"PageSize": Param(whole(1, 1000)), "Page": Param(whole()), "PageToken": Param(words())}
Record = TypeVar("Record", bound=Dated)


@dataclass(frozen=True)
class Page(Generic[Record]):
    """`asked`, `first`, `previous` and `next` are queries; the last two are None where there is no such page."""

    records: Sequence[Record]
    number: int
    size: int
    start: int
    asked: str
    first: str
    previous: str | None
    next: str | None

    def links(self, own: str, other: str, place: str) -> dict[str, str | None]:
        """The addresses of this page, called `own`, and those around it; `place` is the list's address."""
        others = {"first": self.first, "previous": self.previous, "next": self.next}
        queries = {own: self.asked, **{other.format(name): query for name, query in others.items()}}
        return {name: f"{place}?{query}" if query else None for name, query in queries.items()}


def cut(records: Sequence[Record], query: Form, most: int) -> Page[Record]:
    """The page that a query asks for; raises `Refused` where its token is none of this list."""
    size, number, token = min(query.get("PageSize", PAGE_SIZE), most), query.get("Page", 0), query.get("PageToken")
    start = _start([record.sid for record in records], size, number, token)
    shown = records[start : start + size]
    has_more = start + size < len(records)
    return Page(
        records=shown,
        number=number,
        size=size,
        start=start,
        asked=_query(size, number, token),
        first=_query(size, 0, None),
        previous=_query(size, max(number - 1, 0), f"PB{records[start].sid}") if 0 < start < len(records) else None,
        next=_query(size, number + 1, f"PA{shown[-1].sid}") if has_more else None,
    )


def own_path() -> str:
    """The path that was asked for, encoded again."""
    return quote(request.path)


def _start(sids: list[str], size: int, number: int, token: str | None) -> int:
    if token is None:
        if number:
            raise Refused("PageToken", "is missing, later pages need the one of the page before")
        return 0
    if token[:2] not in ("PA", "PB") or token[2:] not in sids:
        raise Refused("PageToken", "is not a page of this list")
    place = sids.index(token[2:])
    return place + 1 if token.startswith("PA") else max(place - size, 0)


def _query(size: int, number: int, token: str | None) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in PAGING]
    paging: list[tuple[str, Any]] = [("PageSize", size), ("Page", number)]
    return urlencode([*kept, *paging, *([("PageToken", token)] if token else [])])
