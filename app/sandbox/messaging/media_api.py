"""Files of messages over REST: their list, and the bytes, behind a link that is good for a while."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, redirect, request

from app.sandbox import links
from app.sandbox.checks import Json
from app.sandbox.faults import Faults, expose
from app.sandbox.flex.rest import Answer, deleted, error_answer, not_found, own_url, read_query
from app.sandbox.messaging.memory import Memory
from app.sandbox.messaging.messages_api import MessagesApi
from app.sandbox.messaging.records import Media, rfc2822
from app.sandbox.messaging.rest import PREFIX, AccountRoutes, page, uri
from app.sandbox.settings import SandboxSettings

LINKS = "/twilio/mms"


class MediaApi:
    def __init__(self, settings: SandboxSettings, memory: Memory, messages: MessagesApi) -> None:
        self._settings = settings
        self._memory = memory
        self._messages = messages

    def register(self, routes: AccountRoutes) -> None:
        routes.add("GET", "/Messages/<message_sid>/Media.json", self.all)
        routes.add("GET", "/Messages/<message_sid>/Media/<name>", self.fetch)
        routes.add("DELETE", "/Messages/<message_sid>/Media/<name>", self.delete)

    def all(self, message_sid: str) -> Answer:
        message = self._messages.find(message_sid)
        found = [media for media in self._memory.media_of(message.sid) if not media.is_deleted]
        return page("media_list", found, self._show, read_query({}))

    def fetch(self, message_sid: str, name: str) -> Answer:
        """With `.json` what is known of the file; without, the bytes, or as Twilio has it the way to them."""
        media = self._find(message_sid, name.removesuffix(".json"))
        if name.endswith(".json"):
            return jsonify(self._show(media))
        if self._memory.switches.direct_media:
            return links.serve(media.data, media.content_type)
        return _moved(temporary_link(self._memory, media))

    def delete(self, message_sid: str, name: str) -> Answer:
        media = self._find(message_sid, name.removesuffix(".json"))
        self._memory.change(self._memory.media, media, is_deleted=True)
        return deleted()

    def _find(self, message_sid: str, sid: str) -> Media:
        message, media = self._messages.find(message_sid), self._memory.media.get(sid)
        if media is None or media.is_deleted or media.message_sid != message.sid:
            raise not_found()
        return media

    def _show(self, media: Media) -> Json:
        account = self._settings.twilio_account_sid
        return {
            "sid": media.sid,
            "account_sid": account,
            "parent_sid": media.message_sid,
            "content_type": media.content_type,
            "date_created": rfc2822(media.created),
            "date_updated": rfc2822(media.updated),
            "uri": uri(account, f"Messages/{media.message_sid}/Media/{media.sid}.json"),
        }


def media_url(account_sid: str, media: Media) -> str:
    """As an inbound webhook names a file: below the API, so a password is needed."""
    place = uri(account_sid, f"Messages/{media.message_sid}/Media/{media.sid}")
    return f"{request.host_url.rstrip('/')}{PREFIX}{place}"


def temporary_link(memory: Memory, media: Media) -> str:
    return links.temporary_link(memory.secret, own_url(f"/mms/{media.sid}"), media.sid)


def create_blueprint(memory: Memory, faults: Faults) -> Blueprint:
    """The links' far end, where no password is asked for."""
    blueprint = Blueprint("messaging_media", __name__, url_prefix=LINKS)
    expose(blueprint, "messaging", faults, error_answer)
    blueprint.add_url_rule("/<media_sid>", "download", _download(memory))
    return blueprint


def _download(memory: Memory) -> Callable[[str], Response]:
    def download(media_sid: str) -> Response:
        if not links.is_good(memory.secret, media_sid, request.args):
            return Response("This link is not good, or no longer", 403)
        media = memory.media.get(media_sid)
        return links.serve(media.data, media.content_type) if media else Response(status=404)

    return download


def _moved(url: str) -> Response:
    answer = redirect(url, 307, Response)
    assert isinstance(answer, Response)
    return answer
