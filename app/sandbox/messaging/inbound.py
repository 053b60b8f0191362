"""What customers do with their phones: each message is kept and posted to the gateway's webhook."""

from functools import partial

from app.sandbox.answers import Problem
from app.sandbox.checks import Refused
from app.sandbox.messaging import consent
from app.sandbox.messaging.addresses import WHATSAPP, read_senders
from app.sandbox.messaging.carrier import Parcel, Result
from app.sandbox.messaging.inbound_form import button_fields, inbound_form
from app.sandbox.messaging.media_api import media_url
from app.sandbox.messaging.memory import MessagingMemory
from app.sandbox.messaging.outbound import Outbound
from app.sandbox.messaging.records import INBOUND, Customer, Media, Message, Place
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.deliveries import Deliveries
from app.sandbox.twilio.records import new_sid, now


class Inbound:
    """The caller holds the memory's lock."""

    def __init__(
        self,
        settings: SandboxSettings,
        memory: MessagingMemory,
        outbound: Outbound,
        deliveries: Deliveries[Parcel],
    ) -> None:
        self._account_sid = settings.twilio_account_sid
        self._senders = read_senders(settings)
        self._memory = memory
        self._outbound = outbound
        self._deliveries = deliveries

    def say(self, customer: Customer, text: str, reply_to: str | None = None) -> Message:
        if not text.strip():
            raise Refused("text", "must not be empty")
        if reply_to is not None:
            self._needs_whatsapp(customer, "replyTo")
            self._find(customer, reply_to)
        keyword = consent.read_keyword(customer.kind, text)
        message = self._keep(self._new(customer, "SM", body=text, reply_to=reply_to))
        more = {"OptOutType": keyword} if keyword and self._memory.switches.advanced_opt_out else {}
        self._post(message, customer, more)
        if keyword:
            self._answer_keyword(customer, keyword)
        return message

    def send_file(self, customer: Customer, content_type: str, data: bytes, filename: str, text: str) -> Message:
        if not data:
            raise Refused("body", "must not be empty")
        message = self._new(customer, "MM", body=text, num_media=1)
        media = Media(
            sid=new_sid("ME"), message_sid=message.sid, content_type=content_type, data=data, filename=filename
        )
        self._memory.put(self._memory.media, media)
        self._post(self._keep(message), customer, {})
        return message

    def send_place(self, customer: Customer, place: Place) -> Message:
        self._needs_whatsapp(customer, "latitude")
        message = self._keep(self._new(customer, "SM", body="", place=place))
        self._post(message, customer, {})
        return message

    def press(self, customer: Customer, sid: str, payload: str) -> Message:
        """A button of an earlier message of ours."""
        self._needs_whatsapp(customer, "message")
        pressed = self._find(customer, sid)
        button = next((one for one in pressed.buttons if one.payload == payload), None)
        if button is None:
            raise Refused("payload", "is none of this message's buttons")
        message = self._keep(self._new(customer, "SM", body=button.text, reply_to=sid))
        self._post(message, customer, button_fields(button))
        return message

    def _new(self, customer: Customer, prefix: str, body: str, **more: object) -> Message:
        return Message(
            sid=new_sid(prefix),
            direction=INBOUND,
            kind=customer.kind,
            to=self._senders[customer.kind].address,
            from_=customer.sid,
            body=body,
            status="received",
            sent=now(),
            webhook=("queued", None),
            **more,  # type: ignore[arg-type]  # fields of the record, named by the callers above
        )

    def _keep(self, message: Message) -> Message:
        return self._memory.put(self._memory.messages, message)

    def _post(self, message: Message, customer: Customer, more: dict[str, str]) -> None:
        files = self._memory.media_of(message.sid)
        urls = [(media_url(self._account_sid, media), media.content_type) for media in files]
        form = inbound_form(self._account_sid, self._memory, message, customer, urls) | more
        sender, switches = self._senders[customer.kind], self._memory.switches
        url = f"{sender.url}#{switches.overrides}" if switches.overrides else sender.url
        fallback = sender.fallback_url if switches.fallback else None
        settle = partial(self._settle, message.sid)
        self._deliveries.post(Parcel(customer.sid, INBOUND, message.sid, url, form, fallback, settle))

    def _settle(self, sid: str, result: Result) -> None:
        with self._memory.lock:
            message = self._memory.messages.get(sid)
            if message is None:
                return
            webhook = ("failed", result.error) if result.error else ("sent", None)
            self._memory.change(self._memory.messages, message, webhook=webhook)
        self._outbound.reply(message, result.said)

    def _answer_keyword(self, customer: Customer, keyword: str) -> None:
        answer = consent.apply(self._memory, customer.sid, keyword)
        if answer:
            self._memory.put(self._memory.messages, self._network_answer(customer, answer))

    def _network_answer(self, customer: Customer, answer: str) -> Message:
        """It comes from our number but not from us, so it is not called back and REST does not list it."""
        return Message(
            sid=new_sid("SM"),
            direction="network",
            kind=customer.kind,
            to=customer.sid,
            from_=self._senders[customer.kind].address,
            body=answer,
            status="delivered",
            sent=now(),
            is_deleted=True,
        )

    def _needs_whatsapp(self, customer: Customer, field: str) -> None:
        if customer.kind != WHATSAPP:
            raise Refused(field, f"is something for WhatsApp, not for {customer.kind}")

    def _find(self, customer: Customer, sid: str) -> Message:
        message = self._memory.messages.get(sid)
        if message is None or message.customer != customer.sid:
            raise Problem(404, "There is no such message with this customer")
        return message
