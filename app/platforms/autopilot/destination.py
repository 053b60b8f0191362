"""Destination `autopilot`: bots that speak the custom-channel protocol of Twilio Autopilot.

Twilio switched Autopilot off in August 2023; the protocol lives on in self-hosted bots, so `base_url` is a setting.
The protocol has no message id and no idempotency key, and every call advances the dialogue: a call whose outcome is
unknown is not made again unless the configuration says so.
Source: https://www.twilio.com/docs/autopilot/channels/custom-channel (v2) and .../custom-channel-v1.

Where a bot speaks on the phone, Autopilot put the call into its memory. With `record_calls` that call is recorded by
Twilio: https://www.twilio.com/docs/voice/api/recording#create-a-recording-resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from marshmallow import ValidationError, fields, validate, validates_schema
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.events import Answer, Receipt
from app.core.message import Content, Text
from app.core.reading import Unreadable, parsed
from app.core.render import Capabilities, as_text
from app.core.schema import keepable, url_field
from app.core.settings import secret_field, sid_field
from app.core.text import cut
from app.http import Http, Response
from app.platforms.autopilot.answer import named, read
from app.platforms.destination import Delivery, Destination, DestinationSchema, Late
from app.platforms.twilio.account import Account, TwilioFailure

HISTORIC_HOST = "https://channels.autopilot.twilio.com"
RECORDINGS_HOST = "https://api.twilio.com"
TEXT_LIMIT = 2_048  # of the sister resource Queries; the custom channel's page names none, so it may be configured
MAX_REPLIES = 50  # to one message; a broken bot must not flood a customer
NOT_WORKED = (401, 429, 503)  # answers after which the same call may be made again
FOUR_HOURS = 4 * 3600.0  # of silence, after which Autopilot ends a dialogue

NOT_ELIGIBLE = 21220  # the call is not in progress (any more), or is being recorded

CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")

# Names of the form fields, by version of the protocol. v1 knows no language.
FORM = {"v2": ("UserId", "Text", "Language"), "v1": ("user_id", "text", None)}


class Settings(DestinationSchema):
    """`handoff_tasks` are the tasks that mean "fetch a person"; a true `handoff` in the dialogue's memory means it too.

    `deadline` seconds after which an answer is late, and `late` what happens to it: `send`, `drop`, or `people` (the
    conversation is handed over). `resend_after_timeout` accepts that a question may be answered twice.

    A text longer than `text_limit` (UTF-16 units) is asked in several questions, one after the other, or cut
    (`long_text`): the bot gets its beginning then.

    `record_calls`: record the call that the bot's memory names, in one channel or in two (`record_channels`); Twilio
    tells `recording_status_callback` what became of it. The account of that call is the one above, unless
    `recordings_account_sid` and `recordings_auth_token` say another: a bot of one's own need not know Twilio's token.
    """

    base_url = url_field(required=False)
    account_sid = sid_field("AC")
    auth_token = secret_field(required=True)
    username = fields.String(load_default=None)  # an API key's sid in place of the account's
    assistant_sid = sid_field("UA")
    channel_name = fields.String(load_default="webchat", validate=validate.Length(min=1, max=64))
    language = fields.String(load_default="en-US", validate=validate.Length(min=2, max=35))
    version = fields.String(load_default="v2", validate=validate.OneOf(list(FORM)))
    handoff_tasks = fields.List(fields.String(), load_default=list)
    session_timeout = fields.Float(load_default=FOUR_HOURS, validate=validate.Range(1))
    timeout = fields.Float(load_default=30.0, validate=validate.Range(0.1, 300))
    deadline = fields.Float(load_default=None, allow_none=True, validate=validate.Range(0.1))
    late = fields.String(load_default="send", validate=validate.OneOf(["send", "drop", "people"]))
    resend_after_timeout = fields.Boolean(load_default=False)
    text_limit = fields.Integer(load_default=TEXT_LIMIT, validate=validate.Range(20))
    long_text = fields.String(load_default="split", validate=validate.OneOf(["split", "cut"]))
    record_calls = fields.Boolean(load_default=False)
    record_channels = fields.String(load_default="mono", validate=validate.OneOf(["mono", "dual"]))
    recording_status_callback = url_field(required=False)
    recordings_url = url_field(required=False)
    recordings_account_sid = sid_field("AC", required=False)
    recordings_auth_token = secret_field(load_default=None)

    @validates_schema
    def _whole_account(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if (data["recordings_account_sid"] is None) != (data["recordings_auth_token"] is None):
            rule = "recordings_account_sid and recordings_auth_token belong together."
            raise ValidationError(rule, "recordings_auth_token")


class AutopilotDestination(Destination):
    """See `app.platforms.destination.Destination` for the verbs."""

    Settings = Settings
    asks_together = True

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._limit: int = settings["text_limit"]
        self.longest_question: int | None = self._limit
        self.capabilities = Capabilities(
            text_limit=self._limit if settings["long_text"] == "split" else None,
            resend_safe=settings["resend_after_timeout"],
        )
        self.deadline: float | None = settings["deadline"]
        self.late: Late = settings["late"]
        self._version: str = settings["version"]
        self._language: str = settings["language"]
        self._handoff_tasks = frozenset(settings["handoff_tasks"])
        self._timeout: float = settings["timeout"]
        self._auth = (settings["username"] or settings["account_sid"], settings["auth_token"])
        base = (settings.get("base_url") or HISTORIC_HOST).rstrip("/")
        path = [settings["account_sid"], settings["assistant_sid"], "custom", settings["channel_name"]]
        self._url = "/".join([base, self._version, *(quote(part, safe="") for part in path)])
        self._recordings = Recordings(settings) if settings["record_calls"] else None

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        whole = as_text(delivery.content)
        text = cut(whole, self._limit, self.capabilities.text_unit)
        response = http.post(
            self._address(delivery.target_task),
            form=self._form(delivery.message.conversation, text),
            headers={"accept": "application/json"},
            auth=self._auth,
            timeout=self._timeout,
        )
        answer = self.answer_from(_checked(response).json())
        return answer if text == whole else replace(answer, unsupported=(*answer.unsupported, "long_text"))

    def record(self, call: str, uncertain: bool, http: Http) -> bool:
        return self._recordings is not None and self._recordings.start(call, uncertain, http)

    def _address(self, target_task: str | None) -> str:
        return f"{self._url}?{urlencode({'TargetTask': target_task})}" if target_task else self._url

    def _form(self, conversation: str, text: str) -> dict[str, str]:
        user, said, language = FORM[self._version]
        form = {user: conversation, said: text}
        return {**form, language: self._language} if language else form

    def answer_from(self, body: Any) -> Answer:
        """Read either version, and whatever else is plain; see `app.platforms.autopilot.answer`."""
        if not isinstance(body, Mapping):
            raise Failure(errors.UNPARSEABLE, "the answer is no JSON object", maybe_done=True)
        said, dialogue = read(body), named(body, "dialogue")
        memory = {**_object(named(dialogue, "memory")), **said.memory}
        task = _string(named(dialogue, "current_task"))
        handoff = said.handoff or task in self._handoff_tasks or memory.get("handoff") is True
        return Answer(
            receipt=Receipt(status="delivered"),
            replies=_bounded(said.told),
            unsupported=said.unsupported,
            handles={"dialogue": _string(named(dialogue, "sid")), "task": task},
            handoff=handoff,
            end=not said.listens and not handoff,
            memory=_kept(memory),
            record=_call(memory) if self._recordings else None,
        )


class Recordings:
    """Recordings of calls at Twilio. The API takes no idempotency key, so after a call whose outcome is unknown it is
    asked whether the recording is there."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        own = settings["recordings_account_sid"]
        self._account = Account(
            {
                "account_sid": own or settings["account_sid"],
                "auth_tokens": [settings["recordings_auth_token"] or settings["auth_token"]],
                "api_key_sid": None if own else settings["username"],
                "api_key_secret": None,  # the token stands for it
                "timeout": settings["timeout"] / 2,  # the list and the start share a lease that is meant for one call
            }
        )
        base = (settings.get("recordings_url") or RECORDINGS_HOST).rstrip("/")
        self._calls = f"{base}/2010-04-01/Accounts/{self._account.sid}/Calls"
        callback = settings.get("recording_status_callback")
        self._form = {
            "RecordingChannels": settings["record_channels"],
            **({"RecordingStatusCallback": callback} if callback else {}),
        }

    def start(self, call: str, uncertain: bool, http: Http) -> bool:
        """See `app.platforms.destination.Records`."""
        url = f"{self._calls}/{call}/Recordings.json"
        try:
            if not (uncertain and any(self._account.listed(f"{url}?PageSize=1", "recordings", http, most=1))):
                self._account.call("POST", url, http, self._form)
        except TwilioFailure as failure:
            if failure.code == NOT_ELIGIBLE:
                return False
            raise
        return True


def _checked(response: Response) -> Response:
    """Each call advances the dialogue, so only an answer that says it was not worked may be followed by another try."""
    try:
        return response.check(_said(response.body))
    except Failure as failure:
        done = failure.kind.retry and response.status not in NOT_WORKED
        raise failure.restated(maybe_done=done) from None


def _bounded(replies: tuple[Content, ...]) -> tuple[Content, ...]:
    """At most MAX_REPLIES; what is more becomes one text."""
    if len(replies) <= MAX_REPLIES:
        return replies
    rest = "\n".join(as_text(reply) for reply in replies[MAX_REPLIES - 1 :])
    return (*replies[: MAX_REPLIES - 1], Text(rest))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _call(memory: Mapping[str, Any]) -> str | None:
    """The sid of the call in which the bot speaks: `twilio.<channel>.CallSid`, whatever the channel is called."""
    channels = _object(memory.get("twilio")).values()
    sids = (_string(_object(channel).get("CallSid")) for channel in channels)
    return next(filter(CALL_SID.fullmatch, sids), None)


def _kept(memory: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the bot remembers, unless that is more than its platform ever kept."""
    try:
        keepable(memory)
    except ValidationError:
        return {}
    return memory


def _said(body: bytes) -> str:
    """Code and message of Twilio's error body, if it is one."""
    try:
        error = _object(parsed(body))
    except Unreadable:
        return ""
    return " ".join(str(error[name]) for name in ("code", "message") if error.get(name))
