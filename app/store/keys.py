"""The map of Redis: every key that Patchbay writes, what it holds, when it goes and who writes it.

Nothing else names a key: Python builds them through this table, and tests hold the scripts, what the engine leaves in a
server, and `docs/redis.md` to it (`python -m app.store.keys_page` prints its tables).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.store.key import Key, fields

PREFIX = "{patchbay}:"  # the braces are a hash tag: all keys lie in one slot of a Redis Cluster

MESSAGE = Key(
    *("message", "m", "<message>", "hash", "a message's record"),
    *("when done", "72 h (`retention`) after its work is done"),
    (
        *("records", "statuses", "bookings", "costs", "receipts", "forgetting", "settling", "price", "replay"),
        *("rewrite", "discard", "trim", "forget"),
    ),
    fields(
        ("body", "body", "the message, JSON"),
        ("st", "status"),
        ("sa", "status_at", "when that last changed, ms"),
        ("er", "error", "why it failed, or the last try"),
        ("cv", "conversation"),
        ("dr", "direction"),
        ("rp", "report_to", "who hears of its status"),
        ("lv", "live", "seconds for which the live stream keeps it; empty: it has none"),
        ("qd", "queued_at", "since when it waits, ms; empty: it never expires"),
        ("ex", "exempt", "1: goes out although its customer wants none"),
        ("xid", "external_id", "the platform's own id, with its name space"),
        ("ps", "parts", "status of each part that it speaks for, JSON"),
        ("wh", "whole", "the message that speaks for it"),
        ("co", "cost", "all that was booked for it, nanos"),
        ("cw", "cost_what", "what it costs by itself is for"),
        ("cn", "cost_nanos", "what it costs by itself"),
        ("cd", "cost_day", "the day of that, since 1970"),
        ("ck", "cost_keep", "seconds for which its conversation's sums are kept"),
        ("ca", "cost_refs", "the platform's ids by which its price is asked, JSON"),
        ("pr", "price_reported", "1: the platform told it"),
    ),
)
TIMELINE = Key(
    *("timeline", "t", "<conversation>", "list", "ids of its newest 200 messages, the oldest first"),
    *("always", "72 h (`retention`) after the last"),
    ("records", "unions", "discard", "rewrite", "forget"),
)
LIST = Key(
    *("list", "i", "<list>", "zset", "ids of messages that one account lists, by the time they came, ms"),
    *("always", "72 h (`retention`) after the last"),
    ("records", "rewrite", "Forgetting.forget"),
)
LIVE = Key(
    *("live stream", "e", "<conversation>", "stream", "what a customer's open page is told, at most about 1000"),
    *("always", "72 h (`retention`) after the last"),
    ("live", "forget"),
    fields(("kind", "kind", "message, status, typing or ended"), ("id", "message"), "status", "error"),
)
EXTERNAL_ID = Key(
    *("external id", "x", "<name space>:<id>", "string", "the message of ours that it names; empty: none"),
    *("always", "72 h (`dedup_window`; `retention` where a platform gave it)"),
    ("accept", "append", "follow_ups", "receipts", "Forgetting.forget"),
)
EARLY = Key(
    *(
        "early reports",
        "early",
        "<name space>:<id>",
        "list",
        "the newest 20 that overtook their receipt: status, error",
    ),
    *("always", "1 h after the last"),
    ("report", "receipts", "Forgetting.forget"),
)

QUEUE = Key(
    *("queue", "q", "<mailbox>", "list", "the items of a mailbox, the head first"),
    *("never", "until they are settled"),
    ("mailboxes", "arrivals", "heads", "bursts", "settling", "done_away", "cancel", "forget"),
)
MAILBOX = Key(
    *("mailbox", "b", "<mailbox>", "hash", "what is known of a mailbox and of its head"),
    *("never", "until the queue is empty"),
    (
        *("mailboxes", "arrivals", "old_heads", "releases", "settling", "claiming", "suspects", "cancel", "remember"),
        *("sweep", "forget"),
    ),
    fields(
        ("lane", "lane", "in which it waits or is worked"),
        ("owner", "owner", "who holds the lease"),
        ("claims", "claims", "since the last result"),
        ("alone", "alone", "tries of those in which its worker had nothing else in hand"),
        ("attempts", "attempts", "before those"),
        ("uncertain", "uncertain", "1: an earlier try may have been carried out"),
        ("progress", "progress", "what an earlier try remembered, JSON"),
        ("first", "first_at", "when the head was first claimed, ms"),
        ("asked", "asked", "the messages that are asked as one, the head first"),
    ),
)
READY = Key(
    *("ready", "ready", "<lane>", "zset", "mailboxes that wait, by when they are due, ms"),
    *("never", "until they are claimed"),
    ("places", "broadcasts", "cancel", "sweep", "forget"),
)
BULK = Key(
    *("bulk", "bulk", "<lane>", "zset", "mailboxes of broadcasts that wait, by when they are due, ms"),
    *("never", "until they are claimed"),
    ("places", "broadcasts", "cancel", "sweep", "forget"),
)
LEASED = Key(
    *("leased", "leased", "<lane>", "zset", "mailboxes at work, by when their lease ends, ms"),
    *("never", "until they are settled"),
    ("mailboxes", "releases", "settling", "claiming", "remember", "sweep", "forget"),
)
DRAINS = Key(
    *("drains", "drains", "<lane>", "zset", "tokens of drains that run or are on their way, by when they lapse, ms"),
    *("never", "until they lapse"),
    ("lanes", "claiming", "sweep", "Lanes.forget"),
)
LANE = Key(
    *("lane", "lane", "<lane>", "hash", "what is known of a lane"),
    *("never", ""),
    (
        *("mailboxes", "arrivals", "heads", "bursts", "settling", "claiming", "done_away", "breakers", "pacing"),
        *("declare", "cancel", "places", "broadcasts", "sweep", "forget"),
    ),
    fields(
        ("backlog", "backlog", "items in its mailboxes"),
        ("paused_until", "paused_until", "it rests, ms"),
        ("paused_why", "paused_why"),
        ("failures", "failures", "in a row"),
        ("opened", "opened", "how often the breaker has, in a row"),
        ("probe", "probe_until", "no other try, ms"),
        ("prober", "prober", "owner of that try"),
        ("tokens", "tokens", "calls that its rate allows"),
        ("tokens_at", "tokens_at", "the time of that, ms"),
        ("bulk", "bulk", "replies since the last broadcast, where some wait"),
        ("swept", "swept_at", "when the tick last looked, ms"),
        ("cap", "cap", "the most that its pace may be, where the configuration has one"),
        ("pace", "pace", "how many of its heads are worked at once"),
        ("turn", "turn", "counts changes of the pace"),
        ("look_at", "look_at", "not changed for the better before, ms"),
        ("usual", "usual", "what a call usually takes, ms"),
        ("top", "top", "the pace that is known to be good"),
        ("top_until", "top_until", "not exceeded before, ms"),
        ("before", "before", "the pace before a fall for slowness"),
        ("slow", "slow", "what a call took then, ms"),
        ("fell_why", "fell_why", "of its last fall"),
        ("fell_at", "fell_at", "ms"),
    ),
)
LANES = Key(
    *("lanes", "lanes", "", "hash", "the lanes of the configuration"),
    *("never", ""),
    ("declare",),
    fields(("<lane>", "limit", "drains that it may have at once by earlier versions, which know no pace")),
)
BUSY = Key(
    *("busy", "busy", "", "set", "lanes with work, which the tick looks at"),
    *("never", "until they have none"),
    ("lanes", "mailboxes", "declare", "sweep"),
)
CLOCK = Key(
    *("clock", "clock", "", "string", "when the tick last looked, ms: by it a clock that went back is noticed"),
    *("never", ""),
    ("sweep",),
)

SESSION = Key(
    *("session", "s", "<conversation>", "hash", "who answers a conversation"),
    *("always", "30 days (`session_keep`) after the last message"),
    ("sessions", "accept", "forget"),
    fields(
        "destination",
        ("mode", "mode", "bot or human"),
        ("handles", "handles", "the destination's own names, JSON"),
        ("context", "context", "what the bot knows, JSON"),
        ("since", "since", "the first message of this session"),
        ("refused", "refused", "handoffs in a row that came to nothing"),
        ("late", "late", "the messages that may follow a handoff"),
        ("version", "version", "counts changes of hands"),
        ("last_at", "last_at", "when it was last used, ms; within a second of that"),
    ),
)
ALIAS = Key(
    *("alias", "a", "<destination>:<name>", "string", "the conversation that a destination knows by that name"),
    *("always", "30 days (`session_keep`) after its last use"),
    ("remember", "Sessions.resolve", "Forgetting.forget"),
)
THREAD = Key(
    *("thread", "c", "<destination>:<thread>", "hash", "how far a destination's thread is known"),
    *("always", "30 days (`session_keep`) after the last change"),
    ("threads", "settling", "Forgetting.forget"),
    fields(("seen", "seen", "the last number that was carried over"), ("read", "read", "the last that people read")),
)
POLLS = Key(
    *("polls", "watch", "", "zset", "conversations whose thread is polled, by when that is due, ms"),
    *("never", "until their thread is closed"),
    ("later_polls", "sweep", "forget"),
)

ADDRESS = Key(
    *("address", "n", "<conversation>", "string", "the one conversation of a person who has several addresses"),
    *("always", "30 days (`session_keep`) after the last message"),
    ("unions", "forget"),
)
ADDRESSES = Key(
    *("addresses", "w", "<conversation>", "set", "all that lead to a person's conversation"),
    *("always", "30 days (`session_keep`) after the last message"),
    ("unions", "forget"),
)
LAST_ADDRESS = Key(
    *("last address", "to", "<conversation>", "string", "the address that the person wrote from last"),
    *("always", "30 days (`session_keep`) after the last message"),
    ("unions", "forget"),
)
CONSENT = Key(
    *("consent", "o", "<conversation>", "hash", "whether a customer wants messages on this channel"),
    *(
        "perhaps",
        "for ever; 30 days (`session_keep`) where a chat's customer stated it, `token_days` where they were forgotten",
    ),
    ("consents", "unions", "forget"),
    fields(("state", "state", "in or out"), ("by", "by", "who said so"), ("at", "at", "when, ms")),
)
REVOKED = Key(
    *("revocation", "v", "<conversation>", "string", "no visitor token made until then is good, Unix seconds"),
    *("always", "until the last of those tokens ends"),
    ("Revocations.revoke", "forget"),
)

COSTS_OF_DAY = Key(
    *("costs of a day", "cost", "<day since 1970>", "hash", "sums of a day (UTC)"),
    *("always", "400 days"),
    ("costs",),
    fields(("<channel>|<what>", "nanos")),
)
COSTS_OF_CONVERSATION = Key(
    *("costs of a conversation", "cost:c", "<conversation>", "hash", "sums of a conversation"),
    *("always", "30 days (`session_keep`) after the last"),
    ("costs", "unions", "forget"),
    fields(("<what>", "nanos")),
)

DEAD_LETTER = Key(
    *("dead letter", "d", "<dead letter>", "hash", "an item that was given up, or a webhook that could not be read"),
    *("never", "until an operator decides; 30 days (`dead_letter_keep`), or the lane has too many"),
    ("kept_dead_letters", "given_up", "dropped_dead_letters", "trim"),
    fields(
        ("lane", "where", "its lane, or whose webhook it was"),
        "reason",
        "error",
        ("at", "at", "when, ms"),
        ("bytes", "bytes", "of its message or webhook"),
        "mailbox",
        "item",
        ("also", "also", "the messages that were asked with its own"),
        "webhook",
    ),
)
DEAD_LETTERS = Key(
    *("dead letters", "dead", "", "zset", "all of them, by when they came, ms"),
    *("never", "as long as they"),
    ("kept_dead_letters", "dropped_dead_letters", "trim"),
)
DEAD_LETTERS_OF = Key(
    *("dead letters of a lane", "letters", "<where>", "zset", "those of one lane, by when they came, ms"),
    *("never", "as long as they"),
    ("kept_dead_letters", "dropped_dead_letters", "trim"),
)
DEAD_LETTER_BYTES = Key(
    *("bytes of dead letters", "letters", "", "hash", "what each lane's dead letters hold"),
    *("never", "as long as they"),
    ("kept_dead_letters", "dropped_dead_letters", "trim"),
    fields(("<where>", "bytes")),
)

NEXT = Key(
    *("next message", "next", "<lane>|<conversation>", "string", "when its messages so far are made up for, ms"),
    *("always", "until then (`rate_each`)"),
    ("spacing", "Forgetting.forget"),
)
BUCKET = Key(
    *("bucket", "l", "<bucket>", "string", "when it will be full again, ms"),
    *("always", "until it is full, at most a minute"),
    ("take", "Forgetting.forget"),
)
COUNTS = Key(
    *("counts", "counts", "", "hash", "what happened and is no message"),
    *("never", ""),
    ("take", "trim", "finishing", "expiring", "base", "Lanes.count"),
    fields(("<what>", "count")),
)
WORKERS = Key(
    *("workers", "workers", "", "set", "names of workers that showed a sign of life"),
    *("never", "until they leave or lapse"),
    ("Workers.beat", "Workers.leave", "Workers.alive"),
)
WORKER = Key(
    *("worker", "worker", "<worker>", "string", "the lanes that it serves, JSON"),
    *("always", "15 s after its last sign of life"),
    ("Workers.beat", "Workers.leave"),
)
PROBE_KEEP = 60  # seconds
PROBE = Key(
    *("probe", "probe", "", "string", "nothing; written to see whether the server and its copies take anything"),
    *("always", "60 s"),
    ("Server.try_write", "Connection.kept"),
)
NOTHING = Key(
    *("nothing", "nothing", "", "none", "never there; deleted so that a server without memory lets a script pass"),
    *("never", ""),
    ("even_if_full",),
)
DAMAGED = Key(
    *("damaged", "damaged", "<key>", "any", "a key of another type than this map has, set aside so that work goes on"),
    *("perhaps", "until a person deletes it, or it went by itself"),
    ("base", "Forgetting.forget"),
)

GROUPS: dict[str, Sequence[Key]] = {
    "Messages": (MESSAGE, TIMELINE, LIST, LIVE, EXTERNAL_ID, EARLY),
    "Mailboxes and lanes": (QUEUE, MAILBOX, READY, BULK, LEASED, DRAINS, LANE, LANES, BUSY, CLOCK),
    "Sessions": (SESSION, ALIAS, THREAD, POLLS),
    "Customers": (ADDRESS, ADDRESSES, LAST_ADDRESS, CONSENT, REVOKED),
    "Costs": (COSTS_OF_DAY, COSTS_OF_CONVERSATION),
    "Dead letters": (DEAD_LETTER, DEAD_LETTERS, DEAD_LETTERS_OF, DEAD_LETTER_BYTES),
    "The rest": (NEXT, BUCKET, COUNTS, WORKERS, WORKER, PROBE, DAMAGED, NOTHING),
}
KEYS = tuple(key for group in GROUPS.values() for key in group)


def key_of(name: str, keys: Sequence[Key] = KEYS) -> Key | None:
    """Which kind a key (without the prefix of all) is; None where it is on no map."""
    fitting = [key for key in keys if (name.startswith(f"{key.prefix}:") if key.of else name == key.prefix)]
    return max(fitting, key=lambda key: len(key.prefix), default=None)
