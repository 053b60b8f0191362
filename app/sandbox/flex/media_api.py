"""Twilio's media service: raw bytes go up, and come down through a link that is good for a while."""

from flask import request

from app.sandbox.answers import Answer, created
from app.sandbox.checks import Json, Refused
from app.sandbox.flex.api import Api
from app.sandbox.flex.memory import FlexMemory
from app.sandbox.twilio import links
from app.sandbox.twilio.form import params, read_params, words
from app.sandbox.twilio.records import File, iso, new_sid
from app.sandbox.twilio.rest import FORM_TYPE, Routes, found, own_url

FILES = "/mcs/v1/Services/<service_sid>/Media"


class Files(Api):
    paths = (FILES,)

    def add_others(self, routes: Routes) -> None:
        routes.add("POST", FILES, self._upload)
        routes.add("GET", f"{FILES}/<media_sid>/Content", self._content)

    def owner(self, service_sid: str) -> None:
        self.check_service(service_sid)

    def find(self, _: None, name: str) -> File | None:
        return self.memory.media.get(name)

    def _upload(self, service_sid: str) -> Answer:
        self.check_service(service_sid)
        query = read_params(params(words(256), "Filename"), request.args)
        if not request.mimetype or request.mimetype in (FORM_TYPE, "multipart/form-data"):
            raise Refused("Content-Type", "must be the type of the file, whose bytes are the body")
        file = add_file(self.memory, request.mimetype, request.get_data(), query.get("Filename"))
        return created(self.show(file))

    def _content(self, service_sid: str, media_sid: str) -> Answer:
        self.check_service(service_sid)
        return links.serve(found(self.find(None, media_sid)))

    def show(self, file: File) -> Json:
        service = self.settings.flex_chat_service_sid
        url = own_url(f"{FILES.replace('<service_sid>', service)}/{file.sid}")
        return {
            "sid": file.sid,
            "service_sid": service,
            "channel_sid": None,
            "message_sid": None,
            "category": "media",
            "content_type": file.content_type,
            "filename": file.filename,
            "size": len(file.data),
            "author": None,
            "date_created": iso(file.created),
            "date_upload_updated": iso(file.updated),
            "date_updated": iso(file.updated),
            "url": url,
            "links": {"content": f"{url}/Content", "content_direct_temporary": links.link_to(self.memory, file)},
        }


RESOURCES = (Files,)


def add_file(memory: FlexMemory, content_type: str, data: bytes, filename: str | None) -> File:
    if not data:
        raise Refused("body", "must not be empty")
    file = File(sid=new_sid("ME"), content_type=content_type, data=data, filename=filename)
    return memory.put(memory.media, file)
