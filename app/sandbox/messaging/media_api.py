"""Files of messages over REST: their list, and the bytes, behind a link that is good for a while."""

from typing import Any

from flask import Response, jsonify, redirect, request

from app.sandbox.answers import Answer, done
from app.sandbox.checks import Json
from app.sandbox.messaging.api import PREFIX, Api, uri
from app.sandbox.messaging.records import Media, Message
from app.sandbox.twilio import links
from app.sandbox.twilio.records import Form
from app.sandbox.twilio.rest import Resource, Routes, found, picked

FILES = "/Messages/<message_sid>/Media"


class MediaApi(Api):
    def register(self, routes: Routes) -> None:
        super().register(routes)
        routes.add("GET", f"{FILES}/<name>", self._fetch)
        routes.add("DELETE", f"{FILES}/<name>", self._delete)

    def resources(self) -> list[Resource[Any, Any]]:
        files = Resource(FILES, self.message, self._show, all=self._of, key="media_list")
        return [files]

    def _fetch(self, message_sid: str, name: str) -> Answer:
        """With `.json` what is known of the file; without, the bytes, or as Twilio has it the way to them."""
        media = self._find(message_sid, name)
        if name.endswith(".json"):
            return jsonify(self._show(media))
        if self.memory.switches.direct_media:
            return links.serve(media)
        answer = redirect(links.link_to(self.memory, media), 307, Response)
        assert isinstance(answer, Response)
        return answer

    def _delete(self, message_sid: str, name: str) -> Answer:
        self.memory.change(self.memory.media, self._find(message_sid, name), is_deleted=True)
        return done()

    def _of(self, message: Message, _: Form | None = None) -> list[Media]:
        return [media for media in self.memory.media_of(message.sid) if not media.is_deleted]

    def _find(self, message_sid: str, name: str) -> Media:
        sid = name.removesuffix(".json")
        return found(next((media for media in self._of(self.message(message_sid)) if media.sid == sid), None))

    def _show(self, media: Media) -> Json:
        place = f"Messages/{media.message_sid}/Media"
        return {**self.stamp(media, place), **picked(media, "content_type"), "parent_sid": media.message_sid}


def media_url(account_sid: str, media: Media) -> str:
    """As an inbound webhook names a file: below the API, so a password is needed."""
    place = uri(account_sid, f"Messages/{media.message_sid}/Media/{media.sid}")
    return f"{request.host_url.rstrip('/')}{PREFIX}{place}"
