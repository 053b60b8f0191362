"""What Twilio calls: a customer wrote, the first address failed, a message came further.

Answers are TwiML. Sources: https://www.twilio.com/docs/messaging/guides/webhook-request,
https://www.twilio.com/docs/messaging/twiml, https://www.twilio.com/docs/usage/webhooks/webhooks-security.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from app.sandbox.answers import Answer, done, plain
from app.sandbox.application.memory import INBOUND, RANKS, REPLY, Media, Memory, Message, Status
from app.sandbox.faults import Faults, expose
from app.sandbox.settings import SandboxSettings

PICTURE = "quote.png"
COMMANDS = {
    "menu": "shows this list, to which one address redirects another",
    "picture": "shows a picture",
    "broken": "makes this application fail, and its fallback answer",
    "stop": "ends messages, so that what is answered fails; start begins them again",
}
CHANNELS = {"sms": "SMS", "whatsapp": "WhatsApp", "messenger": "Messenger", "webchat": "Web chat"}


@dataclass(frozen=True)
class Webhooks:
    settings: SandboxSettings
    memory: Memory

    def verify(self) -> Response | None:
        """Only Twilio, and who stands in for it, has the token that signs."""
        url = request.url.replace(request.host_url, own_url(self.settings, "/"), 1)
        signature = request.headers.get("X-Twilio-Signature", "")
        if RequestValidator(self.settings.application_auth_token).validate(url, request.form, signature):
            return None
        return plain("X-Twilio-Signature does not fit this request", 403)

    def message(self) -> Response:
        body = request.form["Body"]
        self.memory.add(_heard())
        match body.strip().lower():
            case "menu":
                answer = MessagingResponse()
                answer.redirect(self._url("menu"))
                return _twiml(answer)
            case "picture":
                return self._say("Parcel S, next day.", picture(self.settings))
            case "broken":
                return plain("Broken, as was asked for", 500)
        said = f"You said: {body}" if body else "Thank you, I have it."
        return self._say(f"{said}\n(over {channel_name(request.form['From'])}; say menu for more)")

    def menu(self) -> Response:
        return self._say("\n".join(f"{command}: {what}" for command, what in COMMANDS.items()))

    def fallback(self) -> Response:
        self.memory.add(_heard())  # perhaps the first address could not be reached
        return self._say(f"Sorry, something broke ({request.form.get('ErrorCode', 'unknown')}). This is the fallback.")

    def status(self) -> Answer:
        form = request.form
        word = form["MessageStatus"]
        if word not in RANKS:
            return plain(f"MessageStatus: must be one of {', '.join(RANKS)}", 400)
        error = f"{form['ErrorCode']}: {form.get('ErrorMessage', '')}" if form.get("ErrorCode") else ""
        self.memory.report(request.args.get("reply") or form["MessageSid"], Status(word, error))
        return done()

    def _say(self, text: str, *media: Media) -> Response:
        """One message to the customer who wrote. Their message's sid and this address name it, so that the same
        question, asked again, has the same answer; the address for its statuses carries that name."""
        key = f"{request.form['MessageSid']}-{request.path.rpartition('/')[2]}"
        self.memory.add(Message(key, request.form["From"], REPLY, text, media))
        answer = MessagingResponse()
        message = answer.message(status_callback=f"{self._url('status')}?{urlencode({'reply': key})}")
        message.body(text)
        for one in media:
            message.media(one.url)
        return _twiml(answer)

    def _url(self, name: str) -> str:
        return own_url(self.settings, url_for(f"application_webhooks.{name}"))


def create_blueprint(webhooks: Webhooks, faults: Faults) -> Blueprint:
    blueprint = Blueprint("application_webhooks", __name__, url_prefix="/application")
    expose(blueprint, "application", faults, lambda status, message: plain(message, status))
    blueprint.before_request(webhooks.verify)
    for view in (webhooks.message, webhooks.menu, webhooks.fallback, webhooks.status):
        blueprint.add_url_rule(f"/{view.__name__}", view.__name__, view, methods=["POST"])
    return blueprint


def own_url(settings: SandboxSettings, path: str) -> str:
    """The address of something of ours, as the gateway reaches it: the configured one, else as it was called."""
    return (settings.public_url or request.host_url).rstrip("/") + path


def picture(settings: SandboxSettings) -> Media:
    return Media(own_url(settings, url_for("static", filename=PICTURE)), "image/png")


def channel_name(address: str) -> str:
    """What people call the channel of an address; one without prefix is a phone number."""
    provider, colon, _ = address.partition(":")
    return CHANNELS.get(provider, provider) if colon else CHANNELS["sms"]


def _heard() -> Message:
    form = request.form
    count = int(form.get("NumMedia") or 0)
    media = tuple(Media(form[f"MediaUrl{n}"], form[f"MediaContentType{n}"]) for n in range(count))
    place = f"{form['Latitude']}, {form['Longitude']} {form.get('Address', '')}".strip() if "Latitude" in form else ""
    text = form["Body"] or place
    return Message(form["MessageSid"], form["From"], INBOUND, text, media, form.get("ProfileName", ""))


def _twiml(answer: MessagingResponse) -> Response:
    return Response(str(answer), content_type="text/xml")
