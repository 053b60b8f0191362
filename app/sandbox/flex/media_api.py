"""Twilio's media service: raw bytes go up, and come down through a link that is good for a while."""

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from app.sandbox import links
from app.sandbox.checks import Json, Refused
from app.sandbox.faults import Faults, expose
from app.sandbox.flex.form import Param, read_params, words
from app.sandbox.flex.memory import Memory
from app.sandbox.flex.records import Media, iso, new_sid
from app.sandbox.flex.rest import FORM_TYPE, Answer, Routes, created, error_answer, not_found, own_url
from app.sandbox.settings import SandboxSettings

MEDIA = "/mcs/v1/Services/<service_sid>/Media"


class MediaApi:
    def __init__(self, settings: SandboxSettings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory

    def register(self, routes: Routes) -> None:
        routes.add("POST", MEDIA, self.upload)
        routes.add("GET", f"{MEDIA}/<media_sid>", self.fetch)
        routes.add("GET", f"{MEDIA}/<media_sid>/Content", self.content)

    def upload(self, service_sid: str) -> Answer:
        self._check(service_sid)
        query = read_params({"Filename": Param(words(256))}, request.args)
        if not request.mimetype or request.mimetype in (FORM_TYPE, "multipart/form-data"):
            raise Refused("Content-Type", "must be the type of the file, whose bytes are the body")
        return created(self._show(self.add(request.mimetype, request.get_data(), query.get("Filename"))))

    def add(self, content_type: str, data: bytes, filename: str | None) -> Media:
        if not data:
            raise Refused("body", "must not be empty")
        media = Media(sid=new_sid("ME"), content_type=content_type, data=data, filename=filename)
        return self._memory.put(self._memory.media, media)

    def fetch(self, service_sid: str, media_sid: str) -> Answer:
        return jsonify(self._show(self._media(service_sid, media_sid)))

    def content(self, service_sid: str, media_sid: str) -> Answer:
        return _serve(self._media(service_sid, media_sid))

    def _check(self, service_sid: str) -> None:
        if service_sid != self._settings.flex_chat_service_sid:
            raise not_found()

    def _media(self, service_sid: str, media_sid: str) -> Media:
        self._check(service_sid)
        if media_sid not in self._memory.media:
            raise not_found()
        return self._memory.media[media_sid]

    def _show(self, media: Media) -> Json:
        place = MEDIA.replace("<service_sid>", self._settings.flex_chat_service_sid)
        url = own_url(f"{place}/{media.sid}")
        return {
            "sid": media.sid,
            "service_sid": self._settings.flex_chat_service_sid,
            "channel_sid": None,
            "message_sid": None,
            "category": "media",
            "content_type": media.content_type,
            "filename": media.filename,
            "size": len(media.data),
            "author": None,
            "date_created": iso(media.created),
            "date_upload_updated": iso(media.updated),
            "date_updated": iso(media.updated),
            "url": url,
            "links": {"content": f"{url}/Content", "content_direct_temporary": temporary_link(self._memory, media)},
        }


def temporary_link(memory: Memory, media: Media) -> str:
    return links.temporary_link(memory.secret, own_url(f"/media/{media.sid}"), media.sid)


def create_blueprint(memory: Memory, faults: Faults) -> Blueprint:
    """The links' far end, where no password is asked for."""
    blueprint = Blueprint("flex_media", __name__, url_prefix="/twilio/media")
    expose(blueprint, "flex", faults, error_answer)
    blueprint.add_url_rule("/<media_sid>", "download", _download(memory))
    return blueprint


def _download(memory: Memory) -> Callable[[str], Response]:
    def download(media_sid: str) -> Response:
        if not links.is_good(memory.secret, media_sid, request.args):
            return Response("This link is not good, or no longer", 403)
        media = memory.media.get(media_sid)
        return _serve(media) if media else Response(status=404)

    return download


def _serve(media: Media) -> Response:
    return links.serve(media.data, media.content_type)
