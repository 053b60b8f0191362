"""What a server holds, held to the map of Redis: every key, its type, its fields, and whether it goes by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import redis

from app.store.key import Key
from app.store.keys import DEAD_LETTER, KEYS, MESSAGE, PREFIX, QUEUE, key_of


def strays(client: redis.Redis, keys: Sequence[Key] = KEYS) -> list[str]:
    """A sentence for each key or field that is not as the map says."""
    names = sorted(client.scan_iter(match="[{]" + PREFIX[1:] + "*", count=1_000))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.type(name)
        pipeline.ttl(name)
    answers = pipeline.execute()
    waiting = _waiting(client, names)
    found = []
    for name, held, left in zip(names, answers[::2], answers[1::2], strict=True):
        if held != "none":  # it lapsed meanwhile
            found += [f"{name}: {what}" for what in _strays(client, name, held, left, waiting, keys)]
    return found


def _strays(
    client: redis.Redis, name: str, held: str, left: int, waiting: set[str], keys: Sequence[Key]
) -> Iterator[str]:
    key = key_of(name.removeprefix(PREFIX), keys)
    if key is None:
        yield "is not on the map"
        return
    if key.type not in (held, "any"):
        yield f"is a {held}, not a {key.type}"
        return
    goes = left >= 0
    must = {"never": False, "always": True, "perhaps": goes, "when done": name not in waiting}
    if goes is not must[key.expiry]:
        yield "goes by itself" if goes else "stays for ever"
    known = [re.sub("<[^>]*>", ".+", re.escape(field.name)) for field in key.fields]
    for field in sorted(_fields(client, name, held)):
        if not any(re.fullmatch(pattern, field, re.DOTALL) for pattern in known):
            yield f"has a field {field} that is not on the map"


def _fields(client: redis.Redis, name: str, held: str) -> set[str]:
    if held == "hash":
        return set(client.hkeys(name))
    if held == "stream":
        entries = cast("list[Any]", client.xrange(name))
        return {field for _, fields in entries for field in fields}
    return set()


def _waiting(client: redis.Redis, names: Sequence[str]) -> set[str]:
    """The keys of the messages that wait in a mailbox or are a dead letter's."""
    pipeline, also = client.pipeline(transaction=False), list[str]()
    for name in names:
        if name.startswith(f"{PREFIX}{QUEUE.prefix}:"):
            pipeline.lrange(name, 0, -1)
        if name.startswith(f"{PREFIX}{DEAD_LETTER.prefix}:"):
            pipeline.hmget(name, DEAD_LETTER.short("item"))
            also += (client.hmget(name, DEAD_LETTER.short("also"))[0] or "").split()
    items = [item or "" for answer in pipeline.execute() for item in answer]
    ids = [item.partition(" ")[2] for item in items if item.startswith("message ")]
    return {PREFIX + MESSAGE.name(one) for one in [*ids, *also]}
