"""What was found of a person in Redis: of one customer on one channel, under each of their addresses.

Only a part of it stands under their name; the rest is told by what leads to it, or is named in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from app.core.message import split_conversation
from app.store import keys

FEWEST = 8  # characters of a value among a destination's handles by which a webhook can be told


class Traces:
    """`conversations` are those of all their addresses, the one that goes on first.

    Found so far: `messages` (ids; `ids` has those of which nothing else is left, too); `mailboxes`, with how many items
    wait in each, and those `at_work`; `known_as`, the names that each destination has for them; `letters` and
    `webhooks` (ids of dead letters); `listed`, their messages in each list; `polled` conversations; `keys` by prefix,
    of those that are theirs as a whole; `whys`, of lanes that rested for a reason that names them.
    """

    def __init__(self, conversations: Sequence[str]) -> None:
        self.channel = split_conversation(conversations[0])[0]
        self.conversations = list(dict.fromkeys(conversations))
        self.messages = set[str]()
        self.ids = set[str]()
        self.mailboxes = dict[str, int]()
        self.at_work = set[str]()
        self.known_as = dict[str, set[str]]()
        self.letters = set[str]()
        self.webhooks = set[str]()
        self.listed = dict[str, set[str]]()
        self.polled = set[str]()
        self.keys = dict[str, set[str]]()
        self.whys = dict[str, str]()
        self._names = set[str]()  # of their messages and of what is theirs, at platforms

    @property
    def addresses(self) -> list[str]:
        return [split_conversation(one)[1] for one in self.conversations]

    @property
    def names(self) -> frozenset[str]:
        """All by which a text may name them."""
        identifiers = (address.partition(":")[2] for address in self.addresses)
        known_as = (name for names in self.known_as.values() for name in names)
        return frozenset((*self.conversations, *self.addresses, *identifiers, *known_as, *self._names, *self.ids))

    def add(self, prefix: str, rest: str) -> None:
        """A key is theirs as a whole."""
        self.keys.setdefault(prefix, set()).add(rest)

    def met(self, destination: str, *names: str) -> None:
        """A destination had to do with them, and may have names for them."""
        if destination not in ("", self.channel):
            self.known_as.setdefault(destination, set()).update(names)

    def waits(self, mailbox: str, lane: str, items: int, *, at_work: bool) -> None:
        """Something of theirs waits in a mailbox, or did."""
        self.mailboxes[mailbox] = max(items, self.mailboxes.get(mailbox, 0))
        self.at_work |= {mailbox} if at_work else set()
        direction = mailbox.rpartition("|")[2]
        self.met((direction if direction.startswith("status:") else lane).partition(":")[2])

    def has_session(self, destination: str, handles: str) -> None:
        """They have a session with those handles, JSON."""
        known = _parsed(handles)
        top = known.values() if isinstance(known, Mapping) else ()
        self.met(destination, *(one for one in top if isinstance(one, str) and one))
        self._names.update(one for one in _leaves(known) if len(one) >= FEWEST)

    def has_message(self, message: str, fields: Sequence[str | None]) -> None:
        """One of their messages; `fields` are those of `OF_MESSAGE`."""
        body, scope, parts, report_to = fields
        self.messages.add(message)
        self.ids.add(message)
        said, known = _parsed(body), _parsed(parts)
        scopes = [scope or "", *(one for one in (known if isinstance(known, Mapping) else ()) if ":" in one)]
        for one in filter(None, scopes):
            where, _, name = one.split(":", 2) if one.count(":") > 1 else (one, "", "")
            self.met(where, *([name.partition("/")[0]] if "/" in name else []))  # a thread, and a number in it
            self._names.update(filter(None, [name]))
        self.met(report_to or "")
        if isinstance(said, Mapping):
            self._has_body(said)

    def _has_body(self, said: Mapping[str, Any]) -> None:
        metadata = said.get("metadata")
        thread = metadata.get("chat") if isinstance(metadata, Mapping) else None
        self.met(str(said.get("source") or ""), *filter(None, [str(thread or "")]))
        self._names.update(filter(None, [str(said.get("external_id") or "")]))

    def owns(self, prefix: str, rest: str) -> bool:
        """Whether a key is theirs as a whole, by its name."""
        rule = RULES.get(prefix)
        return rule is not None and rule(self, rest)

    def counts(self) -> dict[str, int]:
        """How many there are of what, in the words of a report."""
        return {
            "messages": len(self.messages),
            "waiting items": sum(self.mailboxes.values()),
            "mailboxes at work": len(self.at_work),
            "dead letters": len(self.letters),
            "parked webhooks": len(self.webhooks),
            **{words: len(self.keys.get(prefix, ())) for prefix, words in WORDS.items()},
            "polls": len(self.polled),
            "places in lists": sum(map(len, self.listed.values())),
        }

    def _is_of_conversation(self, rest: str) -> bool:
        return rest in self.conversations

    def _is_mailbox(self, rest: str) -> bool:
        return rest.rpartition("|")[0] in self.conversations

    def _is_message(self, rest: str) -> bool:
        return rest in self.ids

    def _is_name(self, rest: str) -> bool:
        destination, _, name = rest.partition(":")
        return name in self.known_as.get(destination, ())

    def _is_mark(self, rest: str) -> bool:
        """Marks whose ids are made from an address, from a thread or a chat and a number in it."""
        where, _, mark = rest.partition(":")
        kind, _, name = mark.partition(":")
        if where == self.channel:
            name = name.removeprefix("forgotten:")
            chats = tuple(f"{one.partition(':')[2]}/" for one in self.addresses)
            return name.startswith(chats) or any(name == one or name.startswith(f"{one}/") for one in self.addresses)
        thread, slash, _ = name.partition("/")
        return (bool(slash) or kind == "ended") and thread in self.known_as.get(where, ())

    def _is_next(self, rest: str) -> bool:
        return rest.partition("|")[2] in self.conversations

    def _is_bucket(self, rest: str) -> bool:
        return rest.startswith(f"{self.channel}:") and rest.endswith(tuple(f":visitor:{one}" for one in self.addresses))

    def _is_damaged(self, rest: str) -> bool:
        prefix, name = split(rest)
        return prefix != keys.DAMAGED.prefix and self.owns(prefix, name)


OF_MESSAGE = keys.MESSAGE.short("body", "external_id", "parts", "report_to")
"""The fields of a message that say by which names it is known."""

BY_CONVERSATION: Mapping[str, str] = {
    keys.SESSION.prefix: "sessions",
    keys.TIMELINE.prefix: "timelines",
    keys.LIVE.prefix: "live streams",
    keys.COSTS_OF_CONVERSATION.prefix: "sums of costs",
    keys.CONSENT.prefix: "consent",
    keys.REVOKED.prefix: "revocations of visitors' tokens",
    keys.ADDRESS.prefix: "addresses that are one person's",
    keys.ADDRESSES.prefix: "lists of those addresses",
    keys.LAST_ADDRESS.prefix: "last addresses",
}
ELSEWHERE: Mapping[str, str] = {
    keys.THREAD.prefix: "threads",
    keys.EXTERNAL_ID.prefix: "ids of platforms",
    keys.EARLY.prefix: "reports that came early",
    keys.NEXT.prefix: "times of next messages",
    keys.BUCKET.prefix: "buckets",
    keys.DAMAGED.prefix: "damaged keys",
}
WORDS: Mapping[str, str] = {**BY_CONVERSATION, keys.ALIAS.prefix: "names at destinations", **ELSEWHERE}
"""How a report names what goes as a whole."""

RULES: Mapping[str, Callable[[Traces, str], bool]] = {
    **dict.fromkeys(BY_CONVERSATION, Traces._is_of_conversation),
    **dict.fromkeys((keys.QUEUE.prefix, keys.MAILBOX.prefix), Traces._is_mailbox),
    **dict.fromkeys((keys.EXTERNAL_ID.prefix, keys.EARLY.prefix), Traces._is_mark),
    **dict.fromkeys((keys.ALIAS.prefix, keys.THREAD.prefix), Traces._is_name),
    keys.MESSAGE.prefix: Traces._is_message,
    keys.NEXT.prefix: Traces._is_next,
    keys.BUCKET.prefix: Traces._is_bucket,
    keys.DAMAGED.prefix: Traces._is_damaged,
}


def split(name: str) -> tuple[str, str]:
    """A key's prefix (see `app.store.keys`) and the rest of its name. The quick form of `key_of`, for very many."""
    prefix, _, rest = name.partition(":")
    if prefix == keys.COSTS_OF_DAY.prefix and rest.startswith("c:"):
        return keys.COSTS_OF_CONVERSATION.prefix, rest[2:]
    return prefix, rest


def _parsed(raw: str | None) -> Any:
    try:
        return orjson.loads(raw or "null")
    except orjson.JSONDecodeError:
        return None


def _leaves(value: Any) -> Iterable[str]:
    """All texts in a value."""
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
