"""Stand-in for the Autopilot custom channel, versions 2 and 1: strict about calls, with a bot behind it."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from flask import Blueprint, Response, g, jsonify, request, url_for

from app.sandbox.autopilot.bot import TASKS, Card, Turn, strip_markup
from app.sandbox.autopilot.dialogues import Call, Dialogue, Dialogues
from app.sandbox.checks import Field, Json, Refused, as_object, one_of, optional, read_json, record, text
from app.sandbox.faults import INCOMING, Faults, expose
from app.sandbox.settings import SandboxSettings
from app.sandbox.twilio.rest import error_answer, knows_password

LANGUAGE = "en-us"
MEMORY_LIMIT = 16_000
TEXT_LIMIT = 2048
USER_ID = {"v2": "UserId", "v1": "user_id"}
TEXT = {"v2": "Text", "v1": "text"}

FORMS = {
    "v2": record(
        {
            "UserId": Field(text(minimum=1)),
            "Text": Field(text(TEXT_LIMIT, minimum=1)),
            "Language": Field(text(pattern=f"(?i:{LANGUAGE})", shape="en-US")),
        }
    ),
    "v1": record({"user_id": Field(text(minimum=1)), "text": Field(text(TEXT_LIMIT, minimum=1))}),
}
QUERY = record({"TargetTask": optional(one_of(TASKS)), "Memory": optional(text(minimum=1))})

MEMORY_TOO_LARGE = 90100


class Autopilot:
    """The view, and the guard around it that keeps the calls of one user apart."""

    name, title, faults = "autopilot", "Bot", INCOMING

    def __init__(self, settings: SandboxSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._dialogues = Dialogues()

    def inspect(self) -> Json:
        return self._dialogues.inspect()

    def reset(self) -> None:
        self._dialogues.reset()

    def accounts(self, sandbox: str) -> Mapping[str, str]:
        return {
            "Base URL": f"{sandbox}/autopilot",
            "Account SID": self._settings.autopilot_account_sid,
            "Assistant SID": self._settings.autopilot_assistant_sid,
        }

    def blueprints(self) -> list[Blueprint]:
        blueprint = Blueprint(self.name, __name__, url_prefix="/autopilot")
        # Functions that run after a request run in reverse: the call is over before a fault cuts the connection.
        blueprint.before_request(self.enter)
        expose(blueprint, self.name, self._faults, _error)
        blueprint.after_request(self.leave_after)
        blueprint.teardown_request(lambda _: self.leave())
        rule = "/<any(v1, v2):version>/<account_sid>/<assistant_sid>/custom/<channel>"
        blueprint.add_url_rule(rule, "answer", self.answer, methods=["POST"])
        return [blueprint]

    def enter(self) -> Response | None:
        user_id = _glance_user_id(request.get_data())
        if user_id is None:
            return None
        if not self._dialogues.enter(user_id):
            return _error(HTTPStatus.CONFLICT, "A call for this UserId is in progress")
        g.in_progress = user_id
        return None

    def leave(self) -> None:
        user_id = g.pop("in_progress", None)
        if user_id is not None:
            self._dialogues.leave(user_id)

    def leave_after(self, response: Response) -> Response:
        self.leave()
        return response

    def answer(self, version: str, account_sid: str, assistant_sid: str, channel: str) -> Response:
        settings = self._settings
        if not knows_password(settings.autopilot_account_sid, settings.autopilot_auth_token):
            return self._refuse(401, "Authorization", "Authenticate")
        sids = (settings.autopilot_account_sid, settings.autopilot_assistant_sid)
        if (account_sid, assistant_sid) != sids:
            return self._refuse(404, "path", f"The requested resource {request.path} was not found")
        try:
            call = _read_call(version, channel)
        except Refused as problem:
            return self._refuse(400, problem.field, str(problem))
        return jsonify(ANSWERS[version](call, *self._dialogues.advance(call)))

    def _refuse(self, status: int, field: str, message: str) -> Response:
        self._dialogues.refuse(status, field, message)
        return _error(status, message)


def _glance_user_id(raw: bytes) -> str | None:
    """Whose call this is, as far as that can be seen before the form is checked."""
    fields = dict(parse_qsl(raw.decode("utf-8", "replace")))
    return fields.get("UserId") or fields.get("user_id")


def _read_call(version: str, channel: str) -> Call:
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refused("Content-Type", "must be application/x-www-form-urlencoded")
    form = _read_pairs(request.get_data(), "body")
    FORMS[version](form, "")
    query = _read_pairs(request.query_string, "query")
    QUERY(query, "")
    user_id, said = form[USER_ID[version]], form[TEXT[version]]
    return Call(version, channel, user_id, said, query.get("TargetTask"), _read_memory(query.get("Memory")))


def _read_pairs(raw: bytes, place: str) -> dict[str, str]:
    """Form fields; what was not percent-encoded, or is there twice, is refused."""
    try:
        encoded = raw.decode("ascii")
        pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(raw), errors="strict")
    except ValueError as problem:
        raise Refused(place, "is not percent-encoded UTF-8") from problem
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(place, "names a field twice")
    return fields


def _read_memory(value: str | None) -> Json:
    if value is None:
        return {}
    if len(value.encode()) > MEMORY_LIMIT:
        raise Refused("Memory", f"must have at most {MEMORY_LIMIT} bytes ({MEMORY_TOO_LARGE})")
    return as_object(read_json(value, "Memory"), "Memory")


def _error(status: int, message: str) -> Response:
    return error_answer(status, message, MEMORY_TOO_LARGE if f"({MEMORY_TOO_LARGE})" in message else None)


def _answer_v2(call: Call, dialogue: Dialogue, turn: Turn) -> Json:
    says = [{"speech": speech, "text": strip_markup(speech)} for speech in turn.says]
    response: Json = {"says": says, "shows": [_show(card) for card in turn.shows]}
    if turn.listens:
        response["listen"] = {}
    return {"response": response, "dialogue": _dialogue(call, dialogue, turn)}


def _answer_v1(_call: Call, _dialogue_after: Dialogue, turn: Turn) -> Json:
    """The older form: no wrapper, speech only, and nothing about the dialogue."""
    says = [{"speech": speech} for speech in turn.says]
    return {"says": says, "shows": [_show(card) for card in turn.shows], "listen": turn.listens}


def _dialogue(call: Call, dialogue: Dialogue, turn: Turn) -> Json:
    known = dialogue.memory.get("twilio")
    channels = {**(known if isinstance(known, dict) else {}), f"custom.{call.channel}": {}}
    memory: Mapping[str, object] = dialogue.memory | {"twilio": channels}
    return {
        "sid": dialogue.sid,
        "current_task": turn.task,
        "user_identifier": call.user_id,
        "memory": memory,
    }


def _show(card: Card) -> Json:
    url = url_for("static", filename=card.image, _external=True)
    return {"display_text": card.display_text, "images": [{"label": card.label, "url": url}]}


ANSWERS = {"v2": _answer_v2, "v1": _answer_v1}
