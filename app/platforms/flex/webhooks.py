"""What Flex's webhooks say."""

from __future__ import annotations

from collections.abc import Mapping

from marshmallow import fields, validate

from app.core.events import Changed, Ended, Event, Ignored, Typing, Webhook
from app.core.reading import clean_text
from app.core.schema import LABEL_LIMIT, Lenient, load, text_field
from app.platforms.flex.messages import Messages
from app.platforms.flex.threads import Generation
from app.platforms.proofs import NOTHING_SAID
from app.platforms.twilio.webhooks import form_of

MAX_INDEX = 2**53 - 1  # what all who count with us can count


class _MessageSchema(Lenient):
    MessageSid = text_field(LABEL_LIMIT)
    Index = fields.Integer(required=True, validate=validate.Range(0, MAX_INDEX))


_message = _MessageSchema()


class Webhooks:
    def __init__(self, generation: Generation, messages: Messages) -> None:
        self._names = generation
        self._messages = messages
        self._schema = Lenient.from_dict(
            {name: text_field(LABEL_LIMIT) for name in ("EventType", generation.thread_field)}
        )()

    def sample(self) -> dict[str, str]:
        """The fields of one that says nothing."""
        return {"EventType": NOTHING_SAID, self._names.thread_field: NOTHING_SAID}

    def parse(self, webhook: Webhook) -> list[Event]:
        names, form = self._names, form_of(webhook)
        if names.service_event and form.get("EventType") == names.service_event and form.get(names.service_field):
            return [Changed(form[names.service_field])]
        data = load(self._schema, form)
        event, thread = data["EventType"], data[names.thread_field]
        if event in names.message_events:
            return self._said(form, thread)
        if event == names.read_event:
            return [Changed(thread)]
        if event == "onTypingStarted":  # no event type of Twilio's lists; taken where a project sends it
            return [Typing(alias=thread)]
        return self._state(form, thread) if event == names.state_event else [Ignored(event)]

    def _said(self, form: Mapping[str, str], thread: str) -> list[Event]:
        data = load(_message, form)
        body = clean_text(form.get("Body", ""))
        written = self._messages.from_webhook(form, thread, data["MessageSid"], data["Index"], body)
        return [*written] or [Changed(thread, data["Index"])]

    def _state(self, form: Mapping[str, str], thread: str) -> list[Event]:
        state = self._names.state_in(form.get(self._names.state_field))
        if state is None:
            return [Ignored(self._names.stateless), Changed(thread)]  # the thread itself knows
        return [Ended(thread, alias=thread)] if state == self._names.ended else [Ignored(self._names.state_event)]
