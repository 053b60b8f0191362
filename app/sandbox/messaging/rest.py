"""What differs in Twilio's oldest API: paths with an account, `.json` at their end, other lists, other dates."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import Blueprint, jsonify

from app.sandbox.checks import Json
from app.sandbox.flex.paging import cut, own_path
from app.sandbox.flex.records import Dated, Form
from app.sandbox.flex.rest import Answer, Keeper, Routes, View, not_found

PREFIX = "/twilio/api"
ACCOUNT = "/2010-04-01/Accounts/<account_sid>"
PAGE_SIZE_MOST = 1000
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
    """One page of a list."""
    found = cut(records, query, PAGE_SIZE_MOST)
    return jsonify(
        {
            key: [show(record) for record in found.records],
            "page": found.number,
            "page_size": found.size,
            "start": found.start,
            "end": max(found.start + len(found.records) - 1, 0),
            "uri": _page_uri(found.asked),
            "first_page_uri": _page_uri(found.first),
            "previous_page_uri": _page_uri(found.previous),
            "next_page_uri": _page_uri(found.next),
        }
    )


def _page_uri(query: str | None) -> str | None:
    return None if query is None else f"{own_path().removeprefix(PREFIX)}?{query}"
