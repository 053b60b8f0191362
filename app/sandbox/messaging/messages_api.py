"""Messages over REST: create, fetch, list, redact or cancel, delete."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.sandbox.checks import Json, Refused
from app.sandbox.messaging import form as rules
from app.sandbox.messaging.addresses import Sender, kind_of, read_senders
from app.sandbox.messaging.api import Api, uri
from app.sandbox.messaging.form import refuse
from app.sandbox.messaging.prices import UNIT, count_segments, price_of
from app.sandbox.messaging.records import OUTBOUND, Button, Message, Place
from app.sandbox.twilio.form import params, word, words
from app.sandbox.twilio.records import Form, new_sid, rfc2822
from app.sandbox.twilio.rest import OfAccount, picked, read_form

UPDATE = params(words(), "Body") | params(word("canceled"), "Status")


def _day_or_moment(value: str, name: str) -> tuple[datetime, datetime]:
    """The first and the last second that are meant: of a whole day, or just the one."""
    try:
        start = datetime.fromisoformat(value)
    except ValueError as problem:
        raise Refused(name, "must be YYYY-MM-DD, or a date and time in ISO 8601") from problem
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(value) == 10 else timedelta(seconds=1)
    return start, start + length - timedelta(seconds=1)


class Messages(Api, OfAccount):
    paths = ("/Messages",)
    key = "messages"
    query = params(words(), "To From") | params(_day_or_moment, "DateSent DateSent< DateSent>")

    def find(self, _: None, name: str) -> Message | None:
        return self.find_message(name)

    def all(self, _: None, query: Form) -> list[Message]:
        """Newest first."""
        return [one for one in reversed(self.memory.messages.values()) if _matches(one, query)]

    def delete(self, message: Message) -> None:
        self.memory.change(self.memory.messages, message, is_deleted=True)

    def create(self, _: None) -> Message:
        form = read_form(rules.create_params(self.settings.twilio_messaging_service_sid))
        if not form.get("To"):
            raise refuse(rules.NO_TO, "A 'To' phone number is required")
        sender = self._sender(form)
        if self.memory.is_opted_out(sender.kind, form["To"]):
            raise refuse(rules.OPTED_OUT, "Attempt to send to unsubscribed recipient")
        return self.outbound.send(self._message(form, sender))

    def update(self, message: Message) -> Message:
        """An empty `Body` redacts, `Status` cancels; the customer keeps what has arrived."""
        form = read_form(UPDATE)
        if not form:
            raise Refused("Body", "is missing, an update needs Body or Status")
        if form.get("Body"):
            raise Refused("Body", "must be empty, a message can only be redacted")
        if "Status" in form:
            canceled = self.outbound.cancel(message)
            if canceled is None:
                raise refuse(rules.NOT_CANCELABLE, f"The message is {message.status} and cannot be canceled")
            message = canceled
        return self.memory.change(self.memory.messages, message, is_redacted=True) if "Body" in form else message

    def _sender(self, form: Form) -> Sender:
        """Who sends: the one that is named, or the service's for the kind of the recipient."""
        kind = kind_of(form["To"])
        assert kind
        senders = read_senders(self.settings)
        ours = senders[kind]
        if not form.get("From"):
            if not form.get("MessagingServiceSid"):
                raise refuse(rules.NO_FROM, "A 'From' or 'MessagingServiceSid' is required")
            return ours
        if form["From"] not in {sender.address for sender in senders.values()}:
            raise refuse(rules.NOT_OURS, f"The 'From' {form['From']} is not a sender of this account")
        if form["From"] != ours.address:
            raise refuse(rules.BAD_PAIR, "Invalid From and To pair, both must be of the same channel")
        return ours

    def _message(self, form: Form, sender: Sender) -> Message:
        media_urls = tuple(form.get("MediaUrl", ()))
        if len(media_urls) > rules.MAX_MEDIA:
            raise refuse(rules.TOO_MANY_MEDIA, f"At most {rules.MAX_MEDIA} MediaUrl are allowed")
        body, buttons = self._words(form)
        if not body and not media_urls and "PersistentAction" not in form:
            raise refuse(rules.NO_BODY, "A message body, media or content is required")
        return Message(
            sid=new_sid("MM" if media_urls else "SM"),
            direction=OUTBOUND,
            kind=sender.kind,
            to=form["To"],
            from_=sender.address,
            body=body,
            status=_first_status(form),
            num_media=len(media_urls),
            media_urls=media_urls,
            service_sid=form.get("MessagingServiceSid") or None,
            callback=form.get("StatusCallback"),
            content_sid=form.get("ContentSid"),
            buttons=buttons,
            place=_place(form),
        )

    def _words(self, form: Form) -> tuple[str, tuple[Button, ...]]:
        if "ContentSid" not in form:
            if "ContentVariables" in form:
                raise Refused("ContentVariables", "needs ContentSid")
            return form.get("Body", ""), ()
        content = self.memory.contents.get(form["ContentSid"])
        if content is None:
            raise refuse(rules.BAD_CONTENT, f"The ContentSid {form['ContentSid']} does not exist")
        return rules.fill(content.body, form.get("ContentVariables", {})), content.buttons

    def show(self, message: Message) -> Json:
        media = uri(self.settings.twilio_account_sid, f"Messages/{message.sid}/Media.json")
        return {
            **self.stamp(message, "Messages"),
            **picked(message, "status direction to error_code error_message"),
            "api_version": "2010-04-01",
            "from": message.from_,
            "body": "" if message.is_redacted else message.body,
            "num_media": str(message.num_media),
            "num_segments": str(count_segments(message)),
            "messaging_service_sid": message.service_sid,
            "date_sent": rfc2822(message.sent),
            "price": price_of(message),
            "price_unit": UNIT,
            "subresource_uris": {"media": media},
        }


def _first_status(form: Form) -> str:
    if ("SendAt" in form) != ("ScheduleType" in form):
        raise Refused("SendAt", "and ScheduleType go together")
    if "SendAt" in form:
        if not form.get("MessagingServiceSid"):
            raise refuse(rules.NEEDS_SERVICE, "A MessagingServiceSid is required to schedule a message")
        return "scheduled"
    return "accepted" if form.get("MessagingServiceSid") else "queued"


def _place(form: Form) -> Place | None:
    """A location, `geo:<latitude>,<longitude>|<label>`; other actions are taken and not shown."""
    for action in form.get("PersistentAction", ()):
        found = re.fullmatch(r"geo:(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)(?:\|(.*))?", action)
        if found:
            return Place(float(found[1]), float(found[2]), label=found[3] or "")
    return None


def _matches(message: Message, query: Form) -> bool:
    if message.is_deleted:
        return False
    if query.get("To", message.to) != message.to or query.get("From", message.from_) != message.from_:
        return False
    limits: dict[str, Callable[[datetime, datetime, datetime], bool]] = {
        "DateSent": lambda sent, first, last: first <= sent <= last,
        "DateSent<": lambda sent, first, last: sent <= last,
        "DateSent>": lambda sent, first, last: first <= sent,
    }
    asked = [(limits[name], query[name]) for name in limits if name in query]
    if asked and message.sent is None:
        return False
    sent = message.sent.replace(microsecond=0) if message.sent else message.created
    return all(is_within(sent, *span) for is_within, span in asked)
