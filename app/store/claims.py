"""How a head travels from the scripts to whoever works it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import orjson

from app.core import session as sessions
from app.core.message import decode
from app.core.session import Session
from app.core.status import Status
from app.core.work import Claim, item_of
from app.store.keys import SESSION


class Claimed(NamedTuple):
    """What `work.lua` says of a head that it gives out, in its order; behind it stand the session's fields, if it has
    one. Numbers may be text; '' is nothing. `rest` is JSON: what most heads have nothing of."""

    mailbox: str
    owner: str
    item: str
    claims: int | str
    now: str
    first_at: str
    turn: str
    body: str
    status: str
    rest: str


SESSION_FIELDS = SESSION.short(
    *("destination", "mode", "handles", "context", "since", "last_at", "version", "refused", "late")
)
"""In the order of `claiming.lua`."""


def claim_of(answer: Sequence[Any]) -> Claim:
    """The claim that a script's list says. Whoever has it must settle it, though what is kept of it be damaged."""
    size = len(Claimed._fields)
    said = Claimed._make(answer[:size])
    rest = orjson.loads(said.rest) if said.rest else {}
    attempt = int(rest.get("attempts", 0)) + int(said.claims)
    conversation = said.mailbox.rpartition("|")[0]
    try:
        return _claim(said, rest, answer[size:], conversation, attempt)
    except (ValueError, TypeError, AttributeError) as error:  # of JSON that is none, or is something else
        item, damaged = item_of(said.item), f"{type(error).__name__}: {error}"
        return Claim(said.mailbox, said.owner, item, conversation, int(said.now), attempt, damaged=damaged)


def _claim(
    said: Claimed, rest: Mapping[str, str], session: Sequence[str | None], conversation: str, attempt: int
) -> Claim:
    return Claim(
        mailbox=said.mailbox,
        owner=said.owner,
        item=item_of(said.item),
        conversation=conversation,
        now=int(said.now),
        attempt=attempt,
        uncertain="uncertain" in rest or int(said.claims) > 1,
        progress=orjson.loads(rest["progress"]) if "progress" in rest else {},
        message=decode(said.body) if said.body else None,
        status=cast("Status", said.status or "queued"),
        error=rest.get("error", ""),
        first_at=int(said.first_at),
        status_at=int(rest.get("status_at", 0)),
        session=_session_of(session),
        to=rest.get("to", ""),
        asked=tuple(rest.get("asked", "").split()),
        turn=int(said.turn),
        suspect="suspect" in rest,
    )


def _session_of(values: Sequence[str | None]) -> Session | None:
    found = zip(SESSION_FIELDS, values, strict=False)  # no values: no session
    return sessions.from_fields({field: value for field, value in found if value is not None})
