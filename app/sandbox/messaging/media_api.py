"""Files of messages over REST: their list, and the bytes, behind a link that is good for a while."""

from flask import Response, jsonify, redirect, request

from app.sandbox.answers import Answer
from app.sandbox.checks import Json
from app.sandbox.messaging.api import PREFIX, Api, uri
from app.sandbox.messaging.records import Media, Message
from app.sandbox.twilio import links
from app.sandbox.twilio.records import Form
from app.sandbox.twilio.rest import Routes, found, picked


class MediaOfMessages(Api):
    paths = ("/Messages/<message_sid>/Media",)
    key = "media_list"

    def add_others(self, routes: Routes) -> None:
        for path in self.paths:
            routes.add("GET", f"{path}/<name>", self._fetch)
            routes.add("DELETE", f"{path}/<name>", self._delete)

    def owner(self, message_sid: str) -> Message:
        return found(self.find_message(message_sid))

    def all(self, message: Message, _: Form | None = None) -> list[Media]:
        return [media for media in self.memory.media_of(message.sid) if not media.is_deleted]

    def _fetch(self, message_sid: str, name: str) -> Answer:
        """With `.json` what is known of the file; without, the bytes, or as Twilio has it the way to them."""
        media = self._find(message_sid, name)
        if name.endswith(".json"):
            return jsonify(self.show(media))
        if self.memory.switches.direct_media:
            return links.serve(media)
        answer = redirect(links.link_to(self.memory, media), 307, Response)
        assert isinstance(answer, Response)
        return answer

    def _delete(self, message_sid: str, name: str) -> None:
        self.memory.change(self.memory.media, self._find(message_sid, name), is_deleted=True)

    def _find(self, message_sid: str, name: str) -> Media:
        sid = name.removesuffix(".json")
        return found(next((media for media in self.all(self.owner(message_sid)) if media.sid == sid), None))

    def show(self, media: Media) -> Json:
        place = f"Messages/{media.message_sid}/Media"
        return {**self.stamp(media, place), **picked(media, "content_type"), "parent_sid": media.message_sid}


def media_url(account_sid: str, media: Media) -> str:
    """As an inbound webhook names a file: below the API, so a password is needed."""
    place = uri(account_sid, f"Messages/{media.message_sid}/Media/{media.sid}")
    return f"{request.host_url.rstrip('/')}{PREFIX}{place}"
