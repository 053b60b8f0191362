"""Calls to Telegram's Bot API in the name of one bot, and what its refusals mean.

Source: https://core.telegram.org/bots/api#making-requests. The bot's token stands in every address, so no address is
ever shown or quoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from msgspec.structs import replace

from app.core import errors
from app.core.errors import DetailedFailure, Failure, Kind, Unverified
from app.core.events import File
from app.core.reading import Unreadable, parsed
from app.http import MAX_WAIT, Http, Response

API = "https://api.telegram.org"
MAX_FILE = 20_000_000  # bytes; Telegram gives bots no larger ones
MAX_SAID = 300  # characters of a refusal that are kept

# Telegram has no codes but the HTTP status: what its sentence holds, in small letters, says which refusal it is.
REFUSALS: tuple[tuple[int, str, Kind], ...] = (
    (403, "bot was blocked", errors.OPTED_OUT),
    (403, "user is deactivated", errors.GONE),
    (403, "bot was kicked", errors.GONE),
    (403, "can't initiate conversation", errors.GONE),
    (403, "can't send messages to bots", errors.GONE),
    (400, "chat not found", errors.GONE),
    (400, "user not found", errors.GONE),
    (400, "peer_id_invalid", errors.GONE),
    (400, "upgraded to a supergroup", errors.GONE),  # we write to no groups
)
NOT_FOUND = 404
STATUSES: Mapping[int, Kind] = {
    NOT_FOUND: errors.UNAUTHORISED,  # a wrong token has no methods
    409: errors.MISCONFIGURED,
}
# The file at an address that we named could not be had, or is none that Telegram takes.
FILE_REFUSED = (
    "failed to get http url content", "wrong file identifier", "wrong remote file identifier", "http url specified",
    "wrong type of the web page content",
    "webpage_curl_failed", "webpage_media_empty", "photo_invalid_dimensions", "image_process_failed",
    "voice_messages_forbidden",
)  # fmt: skip
FILE_GONE = ("wrong file_id", "invalid file_id", "file is too big")


class TelegramFailure(DetailedFailure):
    """A refusal; `sentence` is Telegram's, in small letters."""

    def __init__(self, failure: Failure, status: int, sentence: str) -> None:
        super().__init__(failure)
        self.status = status
        self.sentence = sentence

    def speaks_of(self, words: tuple[str, ...]) -> bool:
        return self.status == 400 and any(part in self.sentence for part in words)


class Bot:
    """One bot, by the values of its channel's table."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._token: str = settings["token"]
        self._base: str = (settings.get("api_url") or API).rstrip("/")
        self._timeout: float = settings["timeout"]

    def call(self, method: str, http: Http, parameters: Mapping[str, Any]) -> Any:
        """The result of one method.

        Raises:
            TelegramFailure: it refused.
            Failure: there was no answer, or none that can be read.
        """
        url = f"{self._base}/bot{self._token}/{method}"
        answer = self._checked(http.post(url, json=parameters, timeout=self._timeout))
        body = answer.json()
        if not isinstance(body, dict) or body.get("ok") is not True or "result" not in body:
            raise Failure(errors.UNPARSEABLE, "the answer has no result", maybe_done=True)
        return body["result"]

    def download(self, file_id: str, http: Http, into: BinaryIO) -> File:
        """Write a file into `into`; Telegram does not say of what type it is.

        Raises:
            Unverified: there is no such file any more.
            Failure: it cannot be had.
        """
        try:
            found = self.call("getFile", http, {"file_id": file_id})
        except TelegramFailure as failure:
            if failure.speaks_of(FILE_GONE):
                raise Unverified("Telegram has the file no more") from None
            raise
        path = found.get("file_path") if isinstance(found, dict) else None
        if not isinstance(path, str) or not path:
            raise Failure(errors.UNPARSEABLE, "the file has no path")
        url = f"{self._base}/file/bot{self._token}/{quote(path, errors='replace')}"
        answer = http.download(url, into, timeout=self._timeout, most_bytes=MAX_FILE)
        if answer.status == NOT_FOUND:  # the token is right, or there would be no path
            raise Unverified("Telegram has the file no more")
        self._checked(answer)
        return File("")

    def _checked(self, answer: Response) -> Response:
        """This answer, if it is a success. Raises: TelegramFailure."""
        if answer.ok:
            return answer
        body = _body(answer)
        description = body.get("description")
        said = description if isinstance(description, str) else ""
        try:
            return replace(answer, secrets=(self._token, quote(self._token, safe=""), *answer.secrets)).check(said)
        except Failure as failure:
            kind = _kind(answer.status, said.lower()) or failure.kind
            seconds = _seconds(body.get("parameters"))
            told = Failure(
                kind,
                failure.detail[:MAX_SAID],
                retry_after=failure.retry_after if seconds is None else seconds,
                maybe_done=failure.maybe_done,
            )
            raise TelegramFailure(told, answer.status, said.lower()) from None


def _body(answer: Response) -> Mapping[str, Any]:
    try:
        body = parsed(answer.body, answer.headers.get("content-type", ""))
    except Unreadable:
        return {}
    return body if isinstance(body, dict) else {}


def _kind(status: int, sentence: str) -> Kind | None:
    """What the refusal means; None leaves it to what any platform means by that status."""
    found = (kind for code, part, kind in REFUSALS if code == status and part in sentence)
    return next(found, STATUSES.get(status))


def _seconds(parameters: Any) -> float | None:
    """For how long Telegram asks us to wait."""
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return min(max(0.0, seconds), MAX_WAIT)
