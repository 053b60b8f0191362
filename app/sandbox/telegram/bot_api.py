"""The Bot API: what a bot may ask of Telegram. Source: https://core.telegram.org/bots/api."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from flask import Blueprint, Response, jsonify, request

from app.sandbox.answers import Answer, Problem
from app.sandbox.checks import Json, Refused, is_web_url
from app.sandbox.client import send
from app.sandbox.faults import Faults, expose
from app.sandbox.telegram.memory import TYPING_SECONDS, File, Memory, Person, Webhook
from app.sandbox.telegram.parameters import FILES, METHODS, read_parameters
from app.sandbox.telegram.settings import TelegramSettings

PATIENCE_SECONDS = 10.0
MAX_PHOTO, MAX_OTHER = 5_000_000, 20_000_000
ABILITIES = {"can_join_groups": False, "can_read_all_group_messages": False, "supports_inline_queries": False}
# What Telegram fetches from an address, by the parameter that names it.
TYPES: Mapping[str, tuple[str, ...]] = {
    "photo": ("image/jpeg", "image/png", "image/webp"),
    "video": ("video/mp4",),
    "animation": ("image/gif", "video/mp4"),
    "audio": ("audio/mpeg", "audio/mp4", "audio/x-m4a"),
    "voice": ("audio/ogg",),
    "document": ("application/pdf", "application/zip"),
}


@dataclass(frozen=True)
class BotApi:
    settings: TelegramSettings
    memory: Memory

    @property
    def bot(self) -> Json:
        number = int(self.settings.telegram_token.partition(":")[0])
        return {"id": number, "is_bot": True, "first_name": "The example shop", "username": "example_shop_bot"}

    def call(self, token: str, method: str) -> Answer:
        """Whatever the method, the answer has one form."""
        self._require(token)
        if method not in METHODS:
            raise Problem(404, "Not Found")
        parameters = read_parameters(request)
        return jsonify(ok=True, result=self.do(method, parameters))

    def do(self, method: str, parameters: Json) -> object:
        """Raises: Refused, Problem."""
        METHODS[method](parameters, "")
        shown = {name: value for name, value in parameters.items() if name != "secret_token"}
        self.memory.keep("calls", {"method": method, **shown})
        return self._doing(method)(parameters)

    def file(self, token: str, path: str) -> Response:
        self._require(token)
        found = next((file for file in self.memory.files.values() if file.path == path), None)
        if found is None:
            raise Problem(404, "Not Found")
        return Response(found.data, content_type="application/octet-stream")

    def _doing(self, method: str) -> Callable[[Json], object]:
        others: Mapping[str, Callable[[Json], object]] = {
            "getMe": lambda _: {**self.bot, **ABILITIES},
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._webhook_info,
            "sendChatAction": self._act,
            "getFile": self._get_file,
            "answerCallbackQuery": lambda _: True,
        }
        return others.get(method, self._send)

    def _send(self, parameters: Json) -> object:
        person = self._person(parameters)
        content = {name: value for name, value in parameters.items() if name in ("text", "caption", "reply_markup")}
        for name in (name for name in FILES if name in parameters):
            file = self._file_of(name, str(parameters[name]))
            content[name] = photo(file) if name == "photo" else as_told(file)
        if "latitude" in parameters:
            place = {name: parameters[name] for name in ("latitude", "longitude")}
            content["location"] = place
            if "title" in parameters:
                content["venue"] = {"location": place, "title": parameters["title"], "address": parameters["address"]}
        told = self.memory.write(person, self.bot, content, is_out=True).told
        return {name: value for name, value in told.items() if name != "reply_markup"}  # it is never told again

    def _act(self, parameters: Json) -> bool:
        person = self._person(parameters)
        with self.memory.lock:
            person.typing_until = time.time() + TYPING_SECONDS
            self.memory.version += 1
        return True

    def _set_webhook(self, parameters: Json) -> bool:
        url = str(parameters["url"])
        if url and not is_web_url(url):  # in earnest https alone; the gateway of a sandbox has none
            raise Problem(400, "Bad Request: bad webhook: invalid webhook URL specified")
        now = self.memory.webhook
        allowed = parameters.get("allowed_updates", list(now.allowed))
        connections = parameters.get("max_connections", 40)
        assert isinstance(allowed, list)
        assert isinstance(connections, int)
        secret = str(parameters.get("secret_token", ""))
        self.memory.webhook = Webhook(url, secret, tuple(map(str, allowed)), connections)
        return True

    def _delete_webhook(self, parameters: Json) -> bool:
        self.memory.webhook = Webhook("", "")
        return True

    def _webhook_info(self, parameters: Json) -> Json:
        now = self.memory.webhook
        info: Json = {"url": now.url, "has_custom_certificate": False, "pending_update_count": 0}
        if self.memory.last_error:
            info |= {"last_error_date": int(time.time()), "last_error_message": self.memory.last_error}
        return info | {"max_connections": now.connections, "allowed_updates": list(now.allowed)}

    def _get_file(self, parameters: Json) -> Json:
        file = self.memory.files.get(str(parameters["file_id"]))
        if file is None:
            raise Problem(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        return as_told(file) | {"file_path": file.path}

    def _file_of(self, name: str, value: str) -> File:
        """A file that is here already, or at an address."""
        if value in self.memory.files:
            return self.memory.files[value]
        if not is_web_url(value):
            raise Problem(400, "Bad Request: wrong file identifier/HTTP URL specified")
        try:
            answer = send(requests.Request("GET", value), PATIENCE_SECONDS, follow=True)
        except requests.RequestException as problem:
            raise Problem(400, "Bad Request: failed to get HTTP URL content") from problem
        if not answer.ok or len(answer.content) > (MAX_PHOTO if name == "photo" else MAX_OTHER):
            raise Problem(400, "Bad Request: failed to get HTTP URL content")
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if kind not in TYPES[name]:
            raise Problem(400, "Bad Request: wrong type of the web page content")
        title = value.partition("?")[0].rpartition("/")[2]
        return self.memory.keep_file(f"{name}s", kind, title, answer.content)

    def _person(self, parameters: Json) -> Person:
        person = self.memory.people.get(int(str(parameters["chat_id"])))
        if person is None:
            raise Problem(400, "Bad Request: chat not found")
        if person.has_blocked:
            raise Problem(403, "Forbidden: bot was blocked by the user")
        if not person.has_begun:
            raise Problem(403, "Forbidden: bot can't initiate conversation with a user")
        return person

    def _require(self, token: str) -> None:
        if token != self.settings.telegram_token:
            raise Problem(401, "Unauthorized")


def as_told(file: File) -> Json:
    return {"file_id": file.id, "file_unique_id": f"AQ{file.id[-4:]}", "file_size": len(file.data)}


def photo(file: File) -> list[Json]:
    """Telegram makes smaller ones of a picture; here they all lead to the same."""
    return [as_told(file) | {"width": width, "height": width * 3 // 4} for width in (90, 320, 1280)]


def error(status: int, description: str) -> Response:
    parameters = {"parameters": {"retry_after": 1}} if status == 429 else {}
    answer = jsonify(ok=False, error_code=status, description=description, **parameters)
    answer.status_code = status
    return answer


def create_blueprint(api: BotApi, faults: Faults) -> Blueprint:
    blueprint = Blueprint("telegram_bot_api", __name__, url_prefix="/telegram")
    expose(blueprint, "telegram", faults, error)
    blueprint.add_url_rule("/bot<token>/<method>", "call", api.call, methods=["GET", "POST"])
    blueprint.add_url_rule("/file/bot<token>/<path:path>", "file", api.file)

    def refused(problem: Refused) -> Response:
        api.memory.keep("violations", {"field": problem.field, "error": problem.reason})
        return error(400, f"Bad Request: {problem}")

    blueprint.register_error_handler(Refused, refused)
    blueprint.register_error_handler(Problem, lambda problem: error(problem.status, str(problem)))
    return blueprint
