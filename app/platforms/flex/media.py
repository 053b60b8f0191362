"""Files on their way into Flex and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.core import errors
from app.core.errors import Failure
from app.core.message import Attachment
from app.core.reading import clean_text
from app.core.schema import LABEL_LIMIT, shortened
from app.core.text import cut_name
from app.http import Http
from app.platforms.flex.settings import base_url
from app.platforms.twilio.account import Account, path_part
from app.platforms.twilio.links import Links

MAX_MEDIA = 16 * 1024 * 1024  # bytes of one file that is brought to Flex


class MediaFile(Struct, frozen=True):
    """A file of a message in a thread."""

    sid: str
    content_type: str
    filename: str

    @property
    def kind(self) -> str:
        kind = self.content_type.partition("/")[0]
        return kind if kind in ("image", "video", "audio") else "file"


class Media:
    """Twilio's media service, as one destination uses it."""

    def __init__(self, name: str, settings: Mapping[str, Any], account: Account) -> None:
        self._account = account
        self._base = base_url(settings, "media_url", "https://mcs.us1.twilio.com")
        self._timeout: float = settings["timeout"]
        self.links = Links(settings, f"media of {name}")

    def link(self, service: str, file: MediaFile) -> Attachment:
        """An agent's file behind a link of ours: Twilio's own links last for minutes only."""
        return Attachment(
            file.kind,
            self.links.to(service, file.sid),
            mime_type=file.content_type if 0 < len(file.content_type) <= LABEL_LIMIT else None,
            file_name=shortened(clean_text(file.filename), LABEL_LIMIT, "filename", cut_name) or None,
        )

    def where(self, token: str, http: Http) -> str:
        """Where the file behind a link of ours is now; the address lasts for minutes.

        Raises:
            Unverified: the link is none of ours, or too old.
            Failure: Twilio does not say.
        """
        service, sid = self.links.read(token)
        found = self._account.call("GET", f"{self._base}/v1/Services/{service}/Media/{sid}", http)
        url = (found.get("links") or {}).get("content_direct_temporary")
        if not isinstance(url, str):
            raise Failure(errors.UNPARSEABLE, "the media resource has no link")
        return url

    def upload(self, service: str, file: Attachment, http: Http) -> str | None:
        """The sid of a customer's file in Flex; None where it cannot be fetched or is refused: then its link goes."""
        try:
            fetched = http.fetch(file.url, timeout=self._timeout, most_bytes=MAX_MEDIA).check()
        except Failure:
            return None
        kind = file.mime_type or fetched.headers.get("content-type") or "application/octet-stream"
        url = f"{self._base}/v1/Services/{service}/Media"
        if file.file_name:
            url += f"?Filename={path_part(file.file_name)}"
        try:
            return str(self._account.call("POST", url, http, fetched.body, {"content-type": kind})["sid"])
        except Failure as failure:
            if failure.kind.retry:
                raise
            return None
