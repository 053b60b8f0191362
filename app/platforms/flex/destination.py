"""The verbs of both generations.

The chat's set-up is a row of steps. What each of them made is a handle of the session, kept the moment it stands, so a
crash between two steps repeats none and skips none. Messages carry our id in `Attributes`; where the outcome of a call
is unknown, the chat's last messages tell whether it was carried out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import fields, validate
from msgspec.structs import asdict

from app.core.errors import Failure
from app.core.events import (
    Accepted,
    Answer,
    Changed,
    Checkup,
    Event,
    Receipt,
    Reply,
    StatusReport,
    Typing,
    Webhook,
    Written,
)
from app.core.message import Attachment, Author, Content, Text, derived_id
from app.core.reading import clean_text
from app.core.render import Capabilities, as_link, as_text, render
from app.core.schema import LABEL_LIMIT, Lenient, load, text_field
from app.core.session import Session
from app.core.text import cut
from app.http import Http
from app.platforms.destination import Delivery, Handoff, Who
from app.platforms.flex.media import Media
from app.platforms.flex.opening import Customer, Opening, Step
from app.platforms.flex.provision import Provisioning
from app.platforms.flex.settings import BODY_LIMIT, UNIT, base_url
from app.platforms.flex.tasks import Tasks
from app.platforms.flex.words import author_of, mark, mark_of, plain
from app.platforms.twilio.account import Account, Resource, TwilioFailure, form_of

LOOK_BACK = 50  # messages among which one of ours is looked for
MOST_MISSED = 5_000
MOST_INDEX = 2**53 - 1  # what all who count with us can count
CHECK = 300.0  # seconds
WAKE = "x-twilio-webhook-enabled"  # without it, what the API does fires no webhook and starts no Studio flow
HOOK = "hook_"  # begins the handles that are webhooks
CANNOT_BE_REACHED = "The customer could not be reached: {error}"
LINK_TOO_LONG = "The customer sent a file, but its link is too long to be shown here: {name}"


class _MessageSchema(Lenient):
    MessageSid = text_field(LABEL_LIMIT)
    Index = fields.Integer(required=True, validate=validate.Range(0, MOST_INDEX))


_message = _MessageSchema()


class FlexDestination(ABC):
    """See `app.platforms.destination.Destination` for the verbs; the generations fill in addresses and field names."""

    capabilities = Capabilities(
        contents=frozenset({"text", "attachment"}),
        text_limit=BODY_LIMIT,
        text_unit=UNIT,
        described=frozenset(),
        statuses=True,
        resend_safe=True,
        people=True,
    )
    deadline = None
    late = "send"
    repeats_for = 0.0  # three times at most (`RetryCount`), at once
    calls = 6  # is it there already, fetch a file (which may have moved twice), bring it up, send

    # Names of webhook fields and JSON fields of this generation.
    CHAT_FIELD: ClassVar[str]
    AUTHOR_FIELD: ClassVar[str]
    MESSAGE_EVENTS: ClassVar[frozenset[str]]
    READ_EVENTS: ClassVar[frozenset[str]]
    # The attribute by which a task names its chat.
    TASK_FIELD: ClassVar[str]
    # Whether a chat that is over takes messages all the same, so that only a look tells.
    ENDS_SILENTLY: ClassVar[bool]

    def __init__(self, name: str, settings: Mapping[str, Any], workspace: str | None) -> None:
        self.name = name
        self.session_timeout: float = settings["session_timeout"]
        self.watch: float = settings["check_every"] or CHECK
        self.farewell: str | None = settings["ended_text"]
        self.account = Account(settings)
        self._settings = settings
        labels: dict[str, fields.Field[Any]] = {
            "EventType": text_field(LABEL_LIMIT),
            self.CHAT_FIELD: text_field(LABEL_LIMIT),
        }
        self._webhook = Lenient.from_dict(labels)()
        self._callback: str = settings["callback"]
        self._flex = base_url(settings, "flex_url", "https://flex-api.twilio.com")
        self._media = Media(name, settings, self.account)
        self._tasks = Tasks(settings, self.account, workspace)

    # What differs between the generations

    @abstractmethod
    def _steps(self) -> Sequence[Step]:
        """The steps that open a chat, each by the handle that it leaves."""

    @abstractmethod
    def _url(self, handles: Mapping[str, Any]) -> str:
        """The chat's address."""

    @abstractmethod
    def _update(self, chat: str, event: str, values: Mapping[str, str]) -> list[Event]:
        """What a webhook says that is about the chat itself."""

    @abstractmethod
    def _is_over(self, chat: Mapping[str, Any]) -> bool:
        """Whether a chat, as the API shows it, has ended."""

    @abstractmethod
    def _media_of(self, message: Mapping[str, Any]) -> list[Mapping[str, str]]:
        """Files of a message, from a webhook or the API: {sid, content_type, filename}."""

    @abstractmethod
    def _horizon(self, handles: Mapping[str, Any], http: Http) -> int:
        """The number of the last message that people have read, -1 for none."""

    @abstractmethod
    def _move_horizon(self, handles: Mapping[str, Any], index: int, http: Http) -> None:
        """The customer has read everything up to a message."""

    @abstractmethod
    def _end(self, handles: Mapping[str, Any], http: Http) -> None:
        """Close a chat that nobody needs any more."""

    @abstractmethod
    def _delete(self, handles: Mapping[str, Any], http: Http) -> None:
        """Take away a chat that was never open to agents."""

    # Webhooks

    def verify(self, webhook: Webhook) -> None:
        self.account.verify(webhook)

    def parse(self, webhook: Webhook) -> list[Event]:
        form = form_of(webhook)
        data = load(self._webhook, form)
        event, chat = data["EventType"], data[self.CHAT_FIELD]
        if event in self.MESSAGE_EVENTS:
            return self._said(form, chat, load(_message, form))
        if event in self.READ_EVENTS:
            return [Changed(chat)]
        if event == "onTypingStarted":  # no event type of Twilio's lists; taken where a project sends it
            return [Typing(alias=chat)]
        return self._update(chat, event, form)

    def acknowledge(self, webhook: Webhook, accepted: Sequence[Accepted]) -> Reply:
        return Reply(200, "")

    def refuse(self, webhook: Webhook, status: int, sentence: str) -> Reply:
        """403 for a bad signature. A chat that we do not know is no error that Twilio could mend."""
        if status == 404:
            return Reply(200, "")
        return Reply(403 if status == 401 else status, {"error": {"message": sentence}})

    def _said(self, form: Mapping[str, str], chat: str, data: Mapping[str, Any]) -> list[Event]:
        author = form.get(self.AUTHOR_FIELD, "")
        if mark_of(form.get("Attributes")):
            return [Changed(chat, data["Index"])]
        by_people = form.get("Source") == "SDK"
        message = {
            "sid": data["MessageSid"],
            "index": data["Index"],
            "body": clean_text(form.get("Body", "")),
            "media": self._media_of(form),
        }
        written = self._written(chat, message, "agent" if by_people else author_of(author))
        identity = None if by_people else plain(author)
        return [Written(**{**asdict(one), "identity": identity}) for one in written] or [Changed(chat, data["Index"])]

    def _written(self, chat: str, message: Mapping[str, Any], author: Author) -> list[Written]:
        """A message of theirs as one or more of ours: what it says, then its files."""
        contents: list[Content] = [Text(message["body"])] if message.get("body") else []
        contents += [self._media.link(media) for media in message["media"]]
        return [
            Written(
                content=content,
                external_id=message["sid"] if number == 0 else f"{message['sid']}/{number}",
                alias=chat,
                author=author,
                index=message["index"],
                more=number + 1 < len(contents),
                metadata={"chat": chat, "index": message["index"]},
            )
            for number, content in enumerate(contents)
        ]

    def check_link(self, token: str) -> str:
        return " ".join(self._media.links.read(token))

    def media(self, token: str, http: Http) -> str:
        return self._media.where(token, http)

    # The customer's side

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        message = delivery.message
        opening = self._opening(delivery, Customer(message.conversation, message.profile), message.id, http)
        self._open(opening)
        handles, said = opening.handles, (delivery.id, opening.identity, delivery.content, http)
        index, refused = -1, None
        try:
            index = self._say(handles, *said, delivery.uncertain)
        except TwilioFailure as failure:
            if failure.kind.retry:
                raise
            refused = failure
        if refused or self.ENDS_SILENTLY:
            chat = self._after(handles, refused, http)
            if chat is None:
                handles.clear()
                self._open(opening)
                index = self._say(handles, *said)
            elif self._is_over(chat):
                return Answer(over=True)
            elif refused:
                raise refused
        return Answer(Receipt(f"{handles['chat']}/{index}"), handles=handles)

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Open the chat with what the bot knew, and show in it what was said so far."""
        profiles = [message.profile for message in handoff.transcript if message.profile]
        customer = Customer(handoff.conversation, profiles[-1] if profiles else None)
        key = derived_id(handoff.conversation, handoff.session.version)
        opening = self._opening(handoff, customer, key, http)
        opening.transcript = handoff.transcript
        resumed = bool(opening.handles)
        self._open(opening)
        chat = opening.handles["chat"]
        known = [said.id for said in handoff.transcript]
        at = handoff.progress.get("told") if handoff.progress.get("chat") == chat else None
        told = known.index(at) + 1 if at in known else 0
        last = max((n for n, said in enumerate(handoff.transcript) if said.direction == "inbound"), default=-1)
        for number, said in enumerate(handoff.transcript[told:], told):
            author = opening.identity if said.direction == "inbound" else said.source
            for part, content in enumerate(render(said.content, self.capabilities)):
                ident = said.id if part == 0 else derived_id(said.id, part)
                doubtful = resumed and number == told  # an earlier try may have come this far
                # only the last words of the customer are news to a flow that waits for the chat
                self._say(opening.handles, ident, author, content, http, doubtful, wake=number == last)
            handoff.remember({"chat": chat, "told": said.id}, [])
        return Answer(handles=opening.handles)

    def report(self, report: StatusReport, http: Http) -> None:
        """Agents see what the customer has read, and that they could not be reached."""
        said, handles = report.message.metadata, report.handles
        if not handles.get("ready") or said.get("chat") != handles.get("chat"):
            return  # that chat is over
        if report.status == "read" and isinstance(said.get("index"), int):
            self._move_horizon(handles, said["index"], http)
        if report.status == "failed":
            text = cut(CANNOT_BE_REACHED.format(error=report.error or "no reason was given"), BODY_LIMIT, UNIT)
            ident = derived_id(report.message.id, "failed")
            try:
                self._say(handles, ident, "system", Text(text), http, report.uncertain)
            except TwilioFailure as failure:
                chat = None if failure.kind.retry else self.account.find(self._url(handles), http)
                if failure.kind.retry or (chat is not None and not self._is_over(chat)):
                    raise

    # Looking after open chats

    def check(self, session: Session, seen: int | None, http: Http) -> Checkup:
        handles = session.handles
        if not handles.get("ready"):  # whoever was to open it gave up, or died of it
            return Checkup(over=True)
        chat = self.account.find(self._url(handles), http)
        if chat is None:
            return Checkup(over=True)
        newest = self._newest(handles, http, seen)
        written = [one for message in reversed(newest) for one in self._missed(handles, message)]
        return Checkup(
            written=tuple(written) if seen is not None else (),
            seen=newest[0]["index"] if newest else -1,
            read=self._horizon(handles, http),
            over=self._is_over(chat),
        )

    def close(self, session: Session, who: Who, http: Http) -> None:
        if self.abandon(session, http) or not session.chat:
            return
        if who != "platform":
            self._end(session.handles, http)
            self._end_task(session.handles, http)
        self._unhook(session.handles, http)

    def abandon(self, session: Session, http: Http) -> bool:
        if not session.chat or session.handles.get("ready"):
            return False
        if self._is_used(session.handles, http):
            self._end(session.handles, http)
            self._unhook(session.handles, http)
        else:
            self._delete(session.handles, http)
        self._end_task(session.handles, http)
        return True

    # Setting a project up

    @abstractmethod
    def provision(self, run: Provisioning) -> dict[str, str]:
        """Create what the destination needs in the project, or find it and correct what differs; the identifiers that
        the configuration wants. Raises: Failure."""

    # Parts

    def _opening(self, work: Delivery | Handoff, customer: Customer, key: str, http: Http) -> Opening:
        by_address = self._settings["target"] == "address"
        identity = customer.address if by_address else customer.conversation
        handles, memory = dict(work.session.handles), work.session.context
        return Opening(customer, identity, key, handles, work.keep, http, work.uncertain, memory)

    def _open(self, opening: Opening) -> None:
        """Take the steps that are left; `ready` is the last handle. What an earlier try left may be gone by now."""
        resumed = opening.handles and (opening.transcript or not opening.handles.get("ready"))
        if resumed and self.account.find(self._url(opening.handles), opening.http) is None:
            opening.handles.clear()
        for handle, step in self._steps():
            if handle not in opening.handles:
                step(opening)
        if not opening.handles.get("ready"):
            opening.stands(ready=True, identity=opening.identity)

    def _is_used(self, handles: Mapping[str, Any], http: Http) -> bool:
        """Whether somebody spoke in a chat that is not ready: then what was said must stay."""
        page = self.account.find(f"{self._url(handles)}/Messages?PageSize=1", http)
        return bool(page and page.get("messages"))

    def _say(
        self,
        handles: Mapping[str, Any],
        ident: str,
        author: str,
        content: Content,
        http: Http,
        doubtful: bool = False,
        *,
        wake: bool = True,
    ) -> int:
        """Put one content into the chat; its number there. `doubtful`: it may be there already."""
        if doubtful:
            for message in self._newest(handles, http, None, LOOK_BACK):
                if mark_of(message.get("attributes")) == ident:
                    return int(message["index"])
        form = {
            self.AUTHOR_FIELD: author,
            "Attributes": mark(ident),
            **self._content(handles, content, http),
        }
        url = f"{self._url(handles)}/Messages"
        return int(self.account.call("POST", url, http, form, {WAKE: "true" if wake else "false"})["index"])

    def _content(self, handles: Mapping[str, Any], content: Content, http: Http) -> dict[str, str]:
        if isinstance(content, Attachment) and self._settings["media"] == "upload":
            sid = self._media.upload(handles["service"], content, http)
            if sid:
                return {"MediaSid": sid}
        if not isinstance(content, Attachment):
            return {"Body": as_text(content)}  # render has split it
        link = as_link(content, BODY_LIMIT, UNIT)
        name = content.description or content.file_name or content.kind
        return {"Body": link or cut(LINK_TOO_LONG.format(name=name), BODY_LIMIT, UNIT)}

    def _newest(
        self, handles: Mapping[str, Any], http: Http, after: int | None, most: int = MOST_MISSED
    ) -> list[Resource]:
        """The chat's last messages, newest first: all behind number `after`, or `most` at once without one."""
        size = min(most, 100) if after is not None else min(most, LOOK_BACK)
        found = []
        url = f"{self._url(handles)}/Messages?Order=desc&PageSize={size}"
        for message in self.account.listed(url, "messages", http, most if after is not None else size):
            if after is not None and message["index"] <= after:
                break
            found.append(message)
        return found

    def _missed(self, handles: Mapping[str, Any], message: Mapping[str, Any]) -> Iterator[Written]:
        """What a message in the chat is for the customer; nothing if it is their own or ours."""
        author = message.get(self.AUTHOR_FIELD.lower()) or ""
        if not mark_of(message.get("attributes")) and plain(author) != handles["identity"]:
            said = {name: message[name] for name in ("sid", "index")}
            media = self._media_of({**message, "service": handles["service"]})
            yield from self._written(
                handles["chat"], {**said, "body": message.get("body"), "media": media}, author_of(author)
            )

    def _hook(self, opening: Opening, name: str, form: Sequence[tuple[str, str]]) -> None:
        """One webhook of the chat, never doubled: what another try left there is taken over, or corrected."""
        url = f"{self._url(opening.handles)}/Webhooks"
        wanted = dict(form)
        target = (wanted.get("Configuration.FlowSid"), wanted.get("Configuration.Url"))
        events = {value for field, value in form if field == "Configuration.Filters"}
        for hook in list(self.account.listed(url, "webhooks", opening.http)):
            made = hook.get("configuration") or {}
            if (made.get("flow_sid"), made.get("url")) != target:
                continue
            filters = made.get("filters")
            if not isinstance(filters, list) or set(map(str, filters)) == events:
                break  # a flow's webhook may show none, and must not start anew
            self.account.remove(f"{url}/{hook['sid']}", opening.http)
        else:
            hook = self.account.call("POST", url, opening.http, form)
        opening.stands(**{name: hook["sid"]})

    def _unhook(self, handles: Mapping[str, Any], http: Http) -> None:
        """Take our webhooks away from a chat that is over."""
        for hook in [sid for handle, sid in handles.items() if handle.startswith(HOOK)]:
            self.account.remove(f"{self._url(handles)}/Webhooks/{hook}", http)

    def _after(self, handles: Mapping[str, Any], refused: Failure | None, http: Http) -> Resource | None:
        """The chat after a message; if it cannot be seen, it is open whether the message is there."""
        try:
            return self.account.find(self._url(handles), http)
        except Failure as failure:
            failure.maybe_done = failure.maybe_done or refused is None
            raise

    def _end_task(self, handles: Mapping[str, Any], http: Http) -> None:
        """End the chat's task; one that Flex made later, or a flow, is found by the chat."""
        sid = handles.get("task")
        if not sid:
            task = self._tasks.find(self.TASK_FIELD, handles["chat"], http)
            sid = task["sid"] if task else None
        if sid:
            self._tasks.end(sid, http)
