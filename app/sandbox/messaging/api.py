"""What differs in Twilio's oldest API: paths with an account, `.json` at their end, other lists, other dates."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint

from app.sandbox.answers import Answer, View
from app.sandbox.checks import Json
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.outbound import Outbound
from app.sandbox.messaging.records import Message
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.paging import Page, own_path
from app.sandbox.twilio.records import Dated, rfc2822
from app.sandbox.twilio.rest import Resource, Routes, check_known, stamp

PREFIX = "/twilio/api"


class AccountRoutes(Routes):
    """Adds views below the one account that there is."""

    base, suffix, max_page_size = "/2010-04-01/Accounts/<account_sid>", ".json", 1000

    def __init__(self, blueprint: Blueprint, memory: MessagingMemory, account_sid: str) -> None:
        super().__init__(blueprint, memory)
        self._account_sid = account_sid

    def call(self, view: View, parts: dict[str, str]) -> Answer | None:
        check_known(parts.pop("account_sid"), self._account_sid)
        return view(**parts)

    def show_page(self, key: str, records: list[Json], page: Page[Any]) -> Json:
        return {
            key: records,
            "page": page.number,
            "page_size": page.size,
            "start": page.start,
            "end": max(page.start + len(records) - 1, 0),
            **page.links("uri", "{}_page_uri", own_path().removeprefix(PREFIX)),
        }


@dataclass(frozen=True)
class Api(Resource):
    """What the resources work on."""

    settings: SandboxSettings
    memory: MessagingMemory
    outbound: Outbound

    def find_message(self, sid: str) -> Message | None:
        message = self.memory.messages.get(sid)
        return None if message is None or message.is_deleted else message

    def stamp(self, record: Dated, place: str) -> Json:
        account = self.settings.twilio_account_sid
        return {**stamp(account, record, rfc2822), "uri": uri(account, f"{place}/{record.sid}.json")}


def uri(account_sid: str, rest: str) -> str:
    """A path as answers have it: without the host."""
    return f"/2010-04-01/Accounts/{account_sid}/{rest}"
