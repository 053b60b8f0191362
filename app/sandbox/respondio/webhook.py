"""Stand-in for respond.io's Webhook URL: checks each call strictly and keeps what it says."""

from hmac import compare_digest

from flask import Blueprint, Response, jsonify, request

from app.sandbox.checks import Json, Refused, as_object, read_json_body
from app.sandbox.faults import Faults, expose
from app.sandbox.respondio.schema import webhook_check
from app.sandbox.respondio.workspace import Workspace
from app.sandbox.settings import SandboxSettings

AUTHORS = {"message": "customer", "message_echo": "bot"}
WEBHOOK = "/custom/channel/webhook/"


def create_blueprint(settings: SandboxSettings, workspace: Workspace, faults: Faults) -> Blueprint:
    blueprint = Blueprint("respondio", __name__, url_prefix="/respondio")
    check = webhook_check(settings.respondio_channel_id, settings.respondio_id_type)

    def receive() -> Response:
        _authorise(settings)
        body = read_json_body(request.mimetype, request.get_data())
        check(body, "")
        _keep(workspace, as_object(body, ""))
        return jsonify(status="ok")

    def lacks_slash() -> Response:
        raise Refused("path", f"the Webhook URL ends with {WEBHOOK}", 404)

    def refuse(problem: Refused) -> Response:
        workspace.keep("refused", {"status": problem.status, "field": problem.field, "reason": str(problem)})
        return _error(problem.status, str(problem))

    expose(blueprint, "respondio", faults, _error)
    blueprint.register_error_handler(Refused, refuse)
    blueprint.add_url_rule(WEBHOOK, "receive", receive, methods=["POST"])
    blueprint.add_url_rule(WEBHOOK.rstrip("/"), "lacks_slash", lacks_slash, methods=["POST"])
    return blueprint


def _authorise(settings: SandboxSettings) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    known = compare_digest(token.encode(), settings.respondio_token.encode())
    if scheme.lower() != "bearer" or not known:
        raise Refused("Authorization", "the channel's API Token is missing or wrong", 401)


def _keep(workspace: Workspace, body: Json) -> None:
    """All events of a call, or none: a report about an unknown mId refuses the whole call."""
    contact_id, profile, events = str(body["contactId"]), body.get("contact"), body["events"]
    assert isinstance(events, list)
    for index, event in enumerate(events):
        if event["type"] == "message_status" and not workspace.was_given(contact_id, event["mId"]):
            workspace.violate("unknown_mid", contact_id, event["mId"])
            reason = f"no message of this contact was answered with {event['mId']}"
            raise Refused(f"events[{index}].mId", reason, 404)
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


def _error(status: int, message: str) -> Response:
    response = jsonify(error={"message": message})
    response.status_code = status
    return response
