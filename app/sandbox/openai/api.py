"""The views of the stand-in, below `/openai/v1`. It remembers for tests alone what it was asked."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest

from flask import Blueprint, Response, jsonify, request, stream_with_context

from app.sandbox.checks import Json, Refused, as_object, read_json_body
from app.sandbox.faults import INCOMING, Faults, expose
from app.sandbox.openai.answers import STREAMS, WHOLE, tokens_in
from app.sandbox.openai.model import Said, reply
from app.sandbox.openai.requests import READERS, Asked
from app.sandbox.settings import Checked, SandboxSettings, setting, token

CONTEXT = 8_192  # tokens that the model can read
TYPES = {401: "invalid_request_error", 404: "invalid_request_error", 429: "requests"}


@dataclass(frozen=True)
class OpenaiSettings(Checked):
    """The key that opens the stand-in, and the name of its model."""

    openai_api_key: str = token("sandbox-openai-key")
    openai_model: str = setting("sandbox-model", r"\S+", "a name without spaces")


class WrongModel(Exception):  # an answer, not an error of ours
    """There is no model by that name."""


class TooLong(Exception):  # as above
    """The model cannot read that much."""


class Openai:
    """The views, and lists of what was asked and of what was wrong."""

    name, title, faults = "openai", "OpenAI", INCOMING

    def __init__(self, _settings: SandboxSettings, faults: Faults) -> None:
        self._settings = OpenaiSettings.from_env()
        self._faults = faults
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._calls: list[Json] = []
            self._refused: list[Json] = []

    def inspect(self) -> Json:
        with self._lock:
            return {"calls": list(self._calls), "refused": list(self._refused)}

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        return {"Base URL": f"{sandbox}/openai/v1", "Model": self._settings.openai_model}

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint(self.name, __name__, url_prefix="/openai/v1")
        expose(blueprint, self.name, self._faults, _error)
        for path in READERS:
            blueprint.add_url_rule(f"/{path}", path.replace("/", "_"), partial(self.answer, path), methods=["POST"])
        blueprint.add_url_rule("/models", "models", self.models)
        return [blueprint]

    def models(self) -> Response:
        if refusal := self._closed():
            return refusal
        model = {"id": self._settings.openai_model, "object": "model", "created": 0, "owned_by": "sandbox"}
        return jsonify(object="list", data=[model])

    def answer(self, path: str) -> Response:
        if refusal := self._closed():
            return refusal
        try:
            asked = self._read(path)
        except Refused as problem:
            return self._refuse(400, problem.field, str(problem))
        except WrongModel as problem:
            return self._refuse(404, "model", f"The model {problem} does not exist.", "model_not_found")
        except TooLong:
            told = f"This model's maximum context length is {CONTEXT} tokens."
            return self._refuse(400, "messages", told, "context_length_exceeded")
        said = reply(asked)
        self._keep(path, asked, said)
        if asked.streams:
            return Response(stream_with_context(STREAMS[path](asked, said)), content_type="text/event-stream")
        return jsonify(WHOLE[path](asked, said))

    def _closed(self) -> Response | None:
        """The refusal of who has not the key."""
        given = request.headers.get("Authorization", "")
        if compare_digest(given.encode(), f"Bearer {self._settings.openai_api_key}".encode()):
            return None
        return self._refuse(401, "Authorization", "Incorrect API key provided.", "invalid_api_key")

    def _read(self, path: str) -> Asked:
        asked = READERS[path](as_object(read_json_body(request.mimetype, request.get_data()), "body"))
        if asked.model != self._settings.openai_model:
            raise WrongModel(asked.model)
        if tokens_in(asked) > CONTEXT:
            raise TooLong
        return asked

    def _keep(self, path: str, asked: Asked, said: Said) -> None:
        turns = [{"author": turn.role, "text": turn.text} for turn in asked.turns]
        call: Json = {"path": path, "text": asked.turns[-1].text, "said": said.text, "tool": said.tool, "turns": turns}
        with self._lock:
            self._calls.append(call)

    def _refuse(self, status: int, field: str, message: str, code: str | None = None) -> Response:
        with self._lock:
            self._refused.append({"status": status, "field": field, "message": message})
        return _error(status, message, code, field)


def _error(status: int, message: str, code: str | None = None, field: str | None = None) -> Response:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    response = jsonify(error={"message": message, "type": kind, "param": field, "code": code})
    response.status_code = status
    return response
