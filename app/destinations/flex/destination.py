"""The verbs of both generations.

The chat's set-up is a row of steps. What each of them made is a handle of the session, kept the moment it stands, so a
crash between two steps repeats none and skips none. Messages carry our id in `Attributes`; where the outcome of a call
is unknown, the chat's last messages tell whether it was carried out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from itsdangerous import BadData, URLSafeTimedSerializer
from marshmallow import fields, validate

from app.core import errors
from app.core.errors import Failure, Unverified
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
from app.core.render import Capabilities, as_text, render
from app.core.schema import LABEL_LIMIT, Lenient, load, text_field
from app.core.session import Session
from app.destinations.base import Delivery, Handoff, Who
from app.destinations.flex.opening import Customer, Opening, Step
from app.destinations.flex.provision import Provisioning
from app.destinations.flex.settings import BODY_LIMIT, base_url
from app.destinations.flex.words import author_of, mark, mark_of, plain
from app.http import Http
from app.twilio import Account, TwilioFailure, form_of, path_part

LOOK_BACK = 50  # messages among which one of ours is looked for
MOST_MISSED = 5_000
MEDIA_MOST = 16 * 1024 * 1024  # bytes of one attachment that is brought to Flex
WAKE = "x-twilio-webhook-enabled"  # without it, what the API does fires no webhook and starts no Studio flow
HOOK = "hook_"  # begins the handles that are webhooks
CANNOT_BE_REACHED = "The customer could not be reached: {error}"

# Where a task may go from its status when the chat is over.
TASK_ENDS = {"pending": "canceled", "reserved": "canceled", "assigned": "completed", "wrapping": "completed"}


class _MessageSchema(Lenient):
    MessageSid = text_field(LABEL_LIMIT)
    Index = fields.Integer(required=True, validate=validate.Range(0))


_message = _MessageSchema()


class FlexDestination(ABC):
    """See `app.destinations.base.Destination` for the verbs. The two generations fill in addresses and field names."""

    capabilities = Capabilities(
        contents=frozenset({"text", "attachment"}),
        text_limit=BODY_LIMIT,
        described=frozenset(),
        statuses=True,
        resend_safe=True,
        people=True,
    )
    deadline = None
    late = "send"
    calls = 6  # is it there already, fetch a file (which may have moved twice), bring it up, send

    # Names of webhook fields and JSON fields of this generation.
    CHAT_FIELD: ClassVar[str]
    AUTHOR_FIELD: ClassVar[str]
    MESSAGE_EVENTS: ClassVar[frozenset[str]]
    READ_EVENTS: ClassVar[frozenset[str]]

    def __init__(self, name: str, settings: Mapping[str, Any], workspace: str | None) -> None:
        self.name = name
        self.session_timeout: float = settings["session_timeout"]
        self.watch: float = settings["check_every"]
        self.farewell: str | None = settings["ended_text"]
        self.account = Account(settings)
        self._settings = settings
        labels: dict[str, fields.Field[Any]] = {
            "EventType": text_field(LABEL_LIMIT),
            self.CHAT_FIELD: text_field(LABEL_LIMIT),
        }
        self._webhook = Lenient.from_dict(labels)()
        self._workspace = workspace
        self._callback: str = settings["callback"]
        self._flex = base_url(settings, "flex_url", "https://flex-api.twilio.com")
        self._media = base_url(settings, "media_url", "https://mcs.us1.twilio.com")
        self._taskrouter = base_url(settings, "taskrouter_url", "https://taskrouter.twilio.com")
        # the last secret signs, all of them are good: links outlive a rotation of the tokens
        self._links = URLSafeTimedSerializer(settings["auth_tokens"][::-1], salt=f"media of {name}")

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
        if event.startswith("onTyping"):  # no event type of Twilio's lists; taken where a project sends it
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
            "body": form.get("Body"),
            "media": self._media_of(form),
        }
        written = self._written(chat, message, "agent" if by_people else author_of(author))
        identity = None if by_people else plain(author)
        return [Written(**{**vars(one), "identity": identity}) for one in written] or [Changed(chat, data["Index"])]

    def _written(self, chat: str, message: Mapping[str, Any], author: Author) -> list[Written]:
        """A message of theirs as one or more of ours: what it says, then its files."""
        contents: list[Content] = [Text(message["body"])] if message.get("body") else []
        contents += [self._file(media) for media in message["media"]]
        return [
            Written(
                content=content,
                external_id=message["sid"] if number == 0 else f"{message['sid']}/{number}",
                alias=chat,
                author=author,
                index=message["index"],
                metadata={"chat": chat, "index": message["index"]},
            )
            for number, content in enumerate(contents)
        ]

    def _file(self, media: Mapping[str, str]) -> Attachment:
        """An agent's file behind a link of ours: Twilio's own links last for minutes only."""
        kind = media["content_type"].partition("/")[0]
        token = self._links.dumps([media["service"], media["sid"]])
        return Attachment(
            kind if kind in ("image", "video", "audio") else "file",
            f"{self._callback}/media/{token}",
            mime_type=media["content_type"][:LABEL_LIMIT] or None,
            file_name=media["filename"][:LABEL_LIMIT] or None,
        )

    def media(self, token: str, http: Http) -> str:
        """Where the file behind a link of ours is now; the address lasts for minutes.

        Raises:
            Unverified: the link is none of ours, or too old.
            Failure: Twilio does not say.
        """
        try:
            service, sid = self._links.loads(token, max_age=self._settings["media_keep"])
        except (BadData, ValueError, TypeError):
            raise Unverified("the link is not valid any more") from None
        found = self.account.call("GET", f"{self._media}/v1/Services/{service}/Media/{sid}", http)
        links = found.get("links") or {}
        url = links.get("content_direct_temporary")
        if not isinstance(url, str):
            raise Failure(errors.UNPARSEABLE, "the media resource has no link")
        return url

    # The customer's side

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        message = delivery.message
        opening = self._opening(delivery, Customer(message.conversation, message.profile), message.id, http)
        self._open(opening)
        identity = opening.identity
        try:
            index = self._say(opening.handles, delivery.id, identity, delivery.content, http, delivery.uncertain)
        except TwilioFailure as failure:
            if not self._is_lost(opening.handles, failure, http):
                raise
            opening.handles.clear()
            self._open(opening)
            index = self._say(opening.handles, delivery.id, identity, delivery.content, http)
        return Answer(Receipt(f"{opening.handles['chat']}/{index}"), handles=opening.handles)

    def open(self, handoff: Handoff, http: Http) -> Answer:
        """Open the chat with what the bot knew, and show in it what was said so far."""
        profiles = [message.profile for message in handoff.transcript if message.profile]
        customer = Customer(handoff.conversation, profiles[-1] if profiles else None)
        key = derived_id(handoff.conversation, handoff.session.version)
        opening = self._opening(handoff, customer, key, http)
        opening.memory, opening.transcript = handoff.session.context, handoff.transcript
        self._open(opening)
        told = int(handoff.progress.get("told", 0))
        last = max((n for n, said in enumerate(handoff.transcript) if said.direction == "inbound"), default=-1)
        for number, said in enumerate(handoff.transcript[told:], told):
            author = opening.identity if said.direction == "inbound" else said.source
            for part, content in enumerate(render(said.content, self.capabilities)):
                ident = said.id if part == 0 else derived_id(said.id, part)
                doubtful = handoff.uncertain and number == told
                # only the last words of the customer are news to a flow that waits for the chat
                self._say(opening.handles, ident, author, content, http, doubtful, wake=number == last)
            handoff.remember({"told": number + 1}, [])
        return Answer(handles=opening.handles)

    def report(self, report: StatusReport, http: Http) -> None:
        """Agents see what the customer has read, and that he could not be reached."""
        said, handles = report.message.metadata, report.handles
        if not handles.get("ready") or said.get("chat") != handles.get("chat"):
            return  # that chat is over
        if report.status == "read" and isinstance(said.get("index"), int):
            self._move_horizon(handles, said["index"], http)
        if report.status == "failed":
            text = CANNOT_BE_REACHED.format(error=report.error or "no reason was given")[:BODY_LIMIT]
            ident = derived_id(report.message.id, "failed")
            try:
                self._say(handles, ident, "system", Text(text), http, report.uncertain)
            except TwilioFailure as failure:
                if not self._is_lost(handles, failure, http):
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
        hooks = [sid for handle, sid in session.handles.items() if handle.startswith(HOOK)]
        for hook in hooks:
            self.account.remove(f"{self._url(session.handles)}/Webhooks/{hook}", http)

    def abandon(self, session: Session, http: Http) -> bool:
        if not session.chat or session.handles.get("ready"):
            return False
        if not self._is_used(session.handles, http):
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
        return Opening(customer, identity, key, dict(work.session.handles), work.keep, http, work.uncertain)

    def _open(self, opening: Opening) -> None:
        """Take the steps that are left; `ready` is the last handle."""
        for handle, step in self._steps():
            if handle not in opening.handles:
                step(opening)
        if not opening.handles.get("ready"):
            opening.stands(ready=True, identity=opening.identity)

    def _is_lost(self, handles: Mapping[str, Any], failure: TwilioFailure, http: Http) -> bool:
        """Whether a message was refused because the chat is not there any more, or over."""
        if failure.kind.retry:
            return False
        chat = self.account.find(self._url(handles), http)
        return chat is None or self._is_over(chat)

    def _is_used(self, handles: Mapping[str, Any], http: Http) -> bool:
        """Whether somebody spoke in a chat that is not ready: then it was found open, and is not ours to take down."""
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
                if mark_of(message["attributes"]) == ident:
                    return int(message["index"])
        form = {
            self.AUTHOR_FIELD: author,
            "Attributes": mark(ident),
            **self._content(handles, content, http),
        }
        url = f"{self._url(handles)}/Messages"
        answer = self.account.call("POST", url, http, form, {WAKE: "true" if wake else "false"})
        try:
            return int(answer["index"])
        except (KeyError, TypeError, ValueError):
            raise Failure(errors.UNPARSEABLE, "the new message has no index", maybe_done=True) from None

    def _content(self, handles: Mapping[str, Any], content: Content, http: Http) -> dict[str, str]:
        if isinstance(content, Attachment) and self._settings["media"] == "upload":
            sid = self._upload(handles, content, http)
            if sid:
                return {"MediaSid": sid}
        return {"Body": as_text(content)[:BODY_LIMIT]}

    def _upload(self, handles: Mapping[str, Any], file: Attachment, http: Http) -> str | None:
        """The sid of a customer's file in Flex; None where it cannot be fetched or is refused: then its link goes."""
        try:
            fetched = http.fetch(file.url, timeout=self._settings["timeout"], most_bytes=MEDIA_MOST).check()
        except Failure:
            return None
        kind = file.mime_type or fetched.headers.get("content-type") or "application/octet-stream"
        url = f"{self._media}/v1/Services/{handles['service']}/Media"
        if file.file_name:
            url += f"?Filename={path_part(file.file_name)}"
        try:
            return str(self.account.call("POST", url, http, fetched.body, {"content-type": kind})["sid"])
        except Failure as failure:
            if failure.kind.retry:
                raise
            return None

    def _newest(
        self, handles: Mapping[str, Any], http: Http, after: int | None, most: int = MOST_MISSED
    ) -> list[dict[str, Any]]:
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
        """What a message in the chat is for the customer; nothing if it is his own or ours."""
        author = str(message.get(self.AUTHOR_FIELD.lower()) or "")
        if not mark_of(message.get("attributes")) and plain(author) != handles["identity"]:
            yield from self._written(
                handles["chat"],
                {**message, "media": self._media_of({**message, "service": handles["service"]})},
                author_of(author),
            )

    def _hook(self, opening: Opening, name: str, form: Sequence[tuple[str, str]], path: str = "") -> None:
        """One webhook of the chat, never doubled: what another try left there is taken over."""
        url = f"{self._url(opening.handles)}/Webhooks"
        wanted = dict(form)
        for hook in self.account.listed(url, "webhooks", opening.http):
            made = hook.get("configuration") or {}
            same = made.get("flow_sid") == wanted.get("Configuration.FlowSid")
            if same and made.get("url") == wanted.get("Configuration.Url"):
                break
        else:
            hook = self.account.call("POST", url, opening.http, form)
        opening.stands(**{name: hook["sid"]})

    def _task(self, attribute: str, value: str, http: Http) -> dict[str, Any] | None:
        """A task with this attribute, if there is one."""
        if not self._workspace:
            return None
        wanted = path_part(f'{attribute} == "{value}"')
        url = f"{self._tasks()}?EvaluateTaskAttributes={wanted}&PageSize=1"
        return next(self.account.listed(url, "tasks", http, 1), None)

    def _end_task(self, handles: Mapping[str, Any], http: Http) -> None:
        if not handles.get("task") or not self._workspace:
            return
        url = f"{self._tasks()}/{handles['task']}"
        task = self.account.find(url, http)
        ending = TASK_ENDS.get(task["assignment_status"]) if task else None
        if ending:
            self.account.call("POST", url, http, {"AssignmentStatus": ending, "Reason": "The chat is over."})

    def _tasks(self) -> str:
        return f"{self._taskrouter}/v1/Workspaces/{self._workspace}/Tasks"
