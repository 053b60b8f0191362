"""Stand-in for respond.io's Webhook URL: checks each call strictly and keeps what it says."""

from dataclasses import dataclass
from hmac import compare_digest

from flask import Blueprint, Response, jsonify, request

from app.sandbox.checks import Check, Json, Refused, as_object, read_json_body
from app.sandbox.faults import Faults, expose
from app.sandbox.respondio_schema import webhook_check
from app.sandbox.settings import SandboxSettings
from app.sandbox.workspace import Workspace

AUTHORS = {"message": "customer", "message_echo": "bot"}
WEBHOOK = "/custom/channel/webhook/"


@dataclass(eq=False)
class Problem(Exception):  # it is an answer, not an error of ours
    """An answer that refuses the call: HTTP status, field, and a sentence."""

    status: int
    field: str
    message: str


def create_blueprint(settings: SandboxSettings, workspace: Workspace, faults: Faults) -> Blueprint:
    blueprint = Blueprint("respondio", __name__, url_prefix="/respondio")
    check = webhook_check(settings.respondio_channel_id, settings.respondio_id_type)

    def receive() -> Response:
        try:
            _authorise(settings)
            _keep(workspace, _read_call(check))
        except Problem as problem:
            return _refuse(workspace, problem)
        return jsonify(status="ok")

    def lacks_slash() -> Response:
        return _refuse(workspace, Problem(404, "path", f"The Webhook URL ends with {WEBHOOK}"))

    expose(blueprint, "respondio", faults, _error)
    blueprint.add_url_rule(WEBHOOK, "receive", receive, methods=["POST"])
    blueprint.add_url_rule(WEBHOOK.rstrip("/"), "lacks_slash", lacks_slash, methods=["POST"])
    return blueprint


def _authorise(settings: SandboxSettings) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    known = compare_digest(token.encode(), settings.respondio_token.encode())
    if scheme.lower() != "bearer" or not known:
        raise Problem(401, "Authorization", "Authorization: the channel's API Token is missing or wrong")


def _read_call(check: Check) -> Json:
    try:
        body = read_json_body(request.mimetype, request.get_data())
        check(body, "")
    except Refused as problem:
        raise Problem(400, problem.field, str(problem)) from problem
    return as_object(body, "")


def _keep(workspace: Workspace, body: Json) -> None:
    """All events of a call, or none: a report about an unknown mId refuses the whole call."""
    contact_id, profile, events = str(body["contactId"]), body.get("contact"), body["events"]
    assert isinstance(events, list)
    for index, event in enumerate(events):
        if event["type"] == "message_status" and not workspace.was_given(contact_id, event["mId"]):
            field = f"events[{index}].mId"
            workspace.violate("unknown_mid", contact_id, event["mId"])
            raise Problem(404, field, f"{field}: no message of this contact was answered with {event['mId']}")
    if profile or any(event["type"] in AUTHORS for event in events):
        workspace.welcome(contact_id, as_object(profile or {}, "contact"))
    for event in events:
        _keep_event(workspace, contact_id, event)


def _keep_event(workspace: Workspace, contact_id: str, event: Json) -> None:
    author = AUTHORS.get(str(event["type"]))
    if author:
        workspace.receive(contact_id, author, event)
    else:
        status = as_object(event["status"], "status")
        reason = status.get("message")
        workspace.report(contact_id, str(event["mId"]), str(status["value"]), str(reason) if reason else None)


def _refuse(workspace: Workspace, problem: Problem) -> Response:
    entry: Json = {"status": problem.status, "field": problem.field, "reason": problem.message}
    workspace.keep("refused", entry)
    return _error(problem.status, problem.message)


def _error(status: int, message: str) -> Response:
    response = jsonify(error={"message": message})
    response.status_code = status
    return response
