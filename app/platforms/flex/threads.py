"""The threads of one destination at Twilio: addressed by their handles, read, written to, looked after and ended.

Both generations of the API have the same things under different names: those stand in a table, `Generation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from app.http import Http
from app.platforms.flex.media import MediaFile
from app.platforms.flex.words import mark_of, plain
from app.platforms.twilio.account import Account, Resource, path_part

LOOK_BACK = 50  # messages among which one of ours is looked for
MAX_MISSED = 5_000
WAKE = "x-twilio-webhook-enabled"  # without it, what the API does fires no webhook and starts no Studio flow
HOOK = "hook_"  # begins the handles that are webhooks

Handles = Mapping[str, Any]


class Generation(Struct, frozen=True):
    """One generation's names: those of webhooks and forms have capitals, those of resources have none.

    `state_in` reads a thread's state from the webhook's `state_field` or the resource's `state`; None where that cannot
    be read, which is told of as `stateless`. `ended` is the state of one that is over, `closing` the form that ends
    one. `ends_silently`: a thread that is over takes messages all the same, so that only asking for it tells. `person`
    names somebody among the `people`, `ours` is the handle with the customer's own. `files` are a message's, from a
    webhook or from the API. `service_event` says only that something was said in the thread of its `service_field`.
    """

    thread_field: str
    author_field: str
    message_events: frozenset[str]
    read_event: str
    state_event: str
    state_field: str
    state: str
    state_in: Callable[[Any], Any]
    stateless: str
    ended: str
    closing: Callable[[Mapping[str, Any]], Mapping[str, str]]
    ends_silently: bool
    people: str
    person: str
    ours: str
    horizon: str
    horizon_field: str
    files: Callable[[Mapping[str, Any]], list[MediaFile]]
    service_event: str = ""
    service_field: str = ""


class Threads:
    """`home` is where threads stand, `made_at` where they are made and taken away as a whole."""

    def __init__(self, generation: Generation, account: Account, home: str, made_at: str) -> None:
        self.generation = generation
        self.account = account
        self.home = home
        self.made_at = made_at

    def url(self, handles: Handles) -> str:
        return f"{self.home}/{handles['chat']}"

    def find(self, handles: Handles, http: Http) -> Resource | None:
        return self.account.find(self.url(handles), http)

    def is_over(self, thread: Mapping[str, Any]) -> bool:
        """Whether a thread, as the API shows it, has ended."""
        return bool(self.generation.state_in(thread.get(self.generation.state)) == self.generation.ended)

    # Messages

    def newest(self, handles: Handles, http: Http, after: int | None, most: int = MAX_MISSED) -> list[Resource]:
        """The last messages, newest first: all behind number `after`, or `most` at once without one."""
        size = min(most, 100) if after is not None else min(most, LOOK_BACK)
        found = []
        url = f"{self.url(handles)}/Messages?Order=desc&PageSize={size}"
        for message in self.account.listed(url, "messages", http, most if after is not None else size):
            if after is not None and message["index"] <= after:
                break
            found.append(message)
        return found

    def index_of(self, handles: Handles, ident: str, http: Http) -> int | None:
        """The number of our message with that id, if it is among the last."""
        marks = ((mark_of(one.get("attributes")), one) for one in self.newest(handles, http, None, LOOK_BACK))
        return next((int(one["index"]) for mark, one in marks if mark == ident), None)

    def say(self, handles: Handles, form: Mapping[str, str], http: Http, *, wake: bool) -> int:
        """Put a message into the thread; its number there."""
        url = f"{self.url(handles)}/Messages"
        return int(self.account.call("POST", url, http, form, {WAKE: "true" if wake else "false"})["index"])

    def is_used(self, handles: Handles, http: Http) -> bool:
        """Whether anybody has spoken in it."""
        page = self.account.find(f"{self.url(handles)}/Messages?PageSize=1", http)
        return bool(page and page.get("messages"))

    # Who has read what

    def read_by_people(self, handles: Handles, http: Http) -> int:
        """The number of the last message that people have read, -1 for none."""
        names = self.generation
        found = self.account.listed(f"{self.url(handles)}/{names.people}", names.people.lower(), http)
        read = [one.get(names.horizon) for one in found if plain(one[names.person]) != handles[names.ours]]
        return max((index for index in read if index is not None), default=-1)

    def read_by_customer(self, handles: Handles, index: int, http: Http) -> None:
        """The customer has read everything up to a message; their horizon never moves back."""
        names = self.generation
        url = f"{self.url(handles)}/{names.people}/{path_part(handles[names.ours])}"
        person = self.account.find(url, http)
        if person and person.get(names.horizon, -1) < index:
            self.account.call("POST", url, http, {names.horizon_field: str(index)})

    # Webhooks of a thread

    def hook(self, handles: Handles, form: Sequence[tuple[str, str]], http: Http) -> str:
        """The sid of a webhook, never doubled: what another try left there is taken over, or corrected."""
        url = f"{self.url(handles)}/Webhooks"
        wanted = dict(form)
        target = (wanted.get("Configuration.FlowSid"), wanted.get("Configuration.Url"))
        events = {value for field, value in form if field == "Configuration.Filters"}
        for hook in list(self.account.listed(url, "webhooks", http)):
            made = hook.get("configuration") or {}
            if (made.get("flow_sid"), made.get("url")) != target:
                continue
            filters = made.get("filters")
            if not isinstance(filters, list) or set(map(str, filters)) == events:
                return str(hook["sid"])  # a flow's webhook may show none, and must not start anew
            self.account.remove(f"{url}/{hook['sid']}", http)
        return str(self.account.call("POST", url, http, form)["sid"])

    def unhook(self, handles: Handles, http: Http) -> None:
        """Take our webhooks away from a thread that is over."""
        for sid in [sid for handle, sid in handles.items() if handle.startswith(HOOK)]:
            self.account.remove(f"{self.url(handles)}/Webhooks/{sid}", http)

    # The end

    def close(self, handles: Handles, http: Http) -> None:
        thread = self.find(handles, http)
        if thread is not None and not self.is_over(thread):
            form = self.generation.closing(thread)
            self.account.call("POST", self.url(handles), http, form, {WAKE: "true"})

    def remove(self, handles: Handles, http: Http) -> None:
        self.account.remove(f"{self.made_at}/{handles['chat']}", http)
