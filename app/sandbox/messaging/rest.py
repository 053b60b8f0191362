"""What differs in Twilio's oldest API: paths with an account, `.json` at their end, other lists, other dates."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, jsonify, request

from app.sandbox.checks import Json, Refused
from app.sandbox.flex.records import Dated, Form
from app.sandbox.flex.rest import PAGING, Answer, Keeper, Routes, View, not_found

PREFIX = "/twilio/api"
ACCOUNT = "/2010-04-01/Accounts/<account_sid>"
PAGE_SIZE, PAGE_SIZE_MOST = 50, 1000
Record = TypeVar("Record", bound=Dated)


class AccountRoutes(Routes):
    """Adds views below the one account that there is."""

    def __init__(self, blueprint: Blueprint, memory: Keeper, account_sid: str) -> None:
        super().__init__(blueprint, memory)
        self._known = account_sid

    def add(self, method: str, rule: str, view: View) -> None:
        def of_account(account_sid: str, **parts: str) -> Answer:
            if account_sid != self._known:
                raise not_found()
            return view(**parts)

        super().add(method, f"{ACCOUNT}{rule}", of_account)


def uri(account_sid: str, rest: str) -> str:
    """A path as answers have it: without the host."""
    return f"/2010-04-01/Accounts/{account_sid}/{rest}"


def page(key: str, records: Sequence[Record], show: Callable[[Record], Json], query: Form) -> Answer:
    """One page of a list; its token names the record that the page before ended with."""
    size = min(query.get("PageSize", PAGE_SIZE), PAGE_SIZE_MOST)
    start = _start(records, query)
    shown, number = records[start : start + size], query.get("Page", 0)
    has_more = start + size < len(records)
    return jsonify(
        {
            key: [show(record) for record in shown],
            "page": number,
            "page_size": size,
            "start": start,
            "end": max(start + len(shown) - 1, 0),
            "uri": _own_uri(request.query_string.decode()),
            "first_page_uri": _page_uri(size, 0, None),
            "previous_page_uri": None,
            "next_page_uri": _page_uri(size, number + 1, shown[-1].sid) if has_more else None,
        }
    )


def _start(records: Sequence[Record], query: Form) -> int:
    token = query.get("PageToken")
    if token is None:
        if query.get("Page"):
            raise Refused("PageToken", "is missing, later pages need the one of next_page_uri")
        return 0
    sids = [record.sid for record in records]
    if not token.startswith("PA") or token[2:] not in sids:
        raise Refused("PageToken", "is not a page of this list")
    return sids.index(token[2:]) + 1


def _page_uri(size: int, number: int, after: str | None) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in PAGING]
    paging: list[tuple[str, Any]] = [("PageSize", size), ("Page", number)]
    token = [("PageToken", f"PA{after}")] if after else []
    return _own_uri(urlencode([*kept, *paging, *token]))


def _own_uri(query: str) -> str:
    path = request.path.removeprefix(PREFIX)
    return f"{path}?{query}" if query else path
